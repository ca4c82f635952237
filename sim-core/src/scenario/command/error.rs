//! Why a text cannot be read as commands.

use core::fmt;

use super::MAX_COMMAND_BYTES;
use super::left_over::LeftOver;

/// Why a text cannot be read as commands. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// It is longer than [`MAX_COMMAND_BYTES`].
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A quotation mark is left open in a command.
    Quotes {
        /// The line it is on, from 1.
        line: usize,
    },
    /// It begins as YAML or JSON does, has a container's keys, and cannot be read.
    Yaml {
        /// The line, from 1.
        line: usize,
        /// What is wrong there: reads on after a colon.
        why: &'static str,
    },
    /// It is YAML or JSON that names vLLM, and has neither a command of its nor a list of its flags.
    NoArguments,
    /// Nothing in it calls a program whose flags are known, but something else in it is about vLLM.
    NotRead {
        /// What, and why it is not read.
        what: LeftOver,
    },
    /// Nothing in it calls a program whose flags are known.
    NoCommand,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length } => write!(f, "command: {length} bytes; the limit is {MAX_COMMAND_BYTES}"),
            Self::Quotes { line } => write!(f, "command, line {line}: a quotation mark is not closed"),
            Self::Yaml { line, why } => write!(f, "command, line {line}: {why}"),
            Self::NoArguments => f.write_str(
                "this names vLLM, but in it is no command of vLLM's and no list of its flags (entrypoint:, command: or \
                 args:, as a text or a list); paste the container's part, or its flags behind vllm serve",
            ),
            Self::NotRead { what } => write!(f, "this is no command that is read. {what}"),
            Self::NoCommand => f.write_str(
                "this is no command that is known: it must call vllm serve, vllm bench serve, python -m \
                 vllm.entrypoints.openai.api_server, or profiler simulate, itself or in a container",
            ),
        }
    }
}

impl core::error::Error for CommandError {}
