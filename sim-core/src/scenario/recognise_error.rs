//! Why a file or text is nothing that can be used.

use alloc::string::String;
use core::fmt;

/// Why it is nothing that can be used. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecogniseError {
    /// Nothing, or white space only.
    Empty,
    /// It is known by its content and longer than its reader takes.
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its length.
        num_bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// UTF-16, with or without a byte order mark.
    Utf16,
    /// It begins as files of this kind do.
    Packed {
        /// The kind.
        kind: &'static str,
    },
    /// A dataset of texts, whose lengths only the model's tokenizer knows.
    Texts {
        /// The kind.
        kind: &'static str,
        /// Name of the dataset on the command line.
        dataset_name: &'static str,
    },
    /// A JSON list of what is read line by line.
    List {
        /// What each entry is.
        kind: &'static str,
    },
    /// None of the kinds that are known.
    Unknown {
        /// Its first characters, or what else is telling.
        begins: String,
    },
}

impl fmt::Display for RecogniseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is nothing in it"),
            Self::TooLarge { what, num_bytes, limit } => {
                write!(f, "{what} of {num_bytes} bytes; the limit is {limit}")
            }
            Self::Utf16 => f.write_str("the text is UTF-16; save it as UTF-8"),
            Self::Packed { kind } => write!(f, "this is a {kind} file; unpack it first"),
            Self::Texts { kind, dataset_name } => write!(
                f,
                "{kind}: its prompts are texts, and counting their tokens needs the model's tokenizer; use `profiler \
                 simulate --dataset-name {dataset_name} --tokenizer PATH/tokenizer.json`"
            ),
            Self::List { kind } => write!(
                f,
                "a JSON list, each entry {kind}; this is read from JSON lines, one object on each (jq -c '.[]' FILE writes \
                 them)"
            ),
            Self::Unknown { begins } => write!(
                f,
                "{begins} is none of what can be read here: a profile; a model's config.json; a GPU's pack of operators; a result of vllm bench \
                 serve (--save-result); a trace of Mooncake, Qwen-Bailian, Azure or BurstGPT; a table of requests with prompt and output tokens; a vllm serve, vllm bench \
                 serve or profiler simulate command, also in a compose file, a manifest or a chart's values; a share link"
            ),
        }
    }
}

impl core::error::Error for RecogniseError {}
