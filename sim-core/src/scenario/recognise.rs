//! What a file or text is that somebody drops or pastes, by its content.
//!
//! Only recognised, not checked: a file that is damaged is still what it was meant to be, and its reader says what is
//! wrong with it. Names play no part; they are wrong too often.

use alloc::string::{String, ToString};

use super::command::{self, MAX_COMMAND_BYTES};
use super::link::MAX_FRAGMENT_BYTES;
use crate::metrics::json_measured::MeasuredResult;
use crate::operators::Pack;
use crate::profile::Profile;
use crate::workload::mixture::MAX_MIXTURE_BYTES;
use crate::workload::table::json_keys::leading_keys;
use crate::workload::trace::{self, MAX_TRACE_BYTES, TraceKind};

use super::recognise_error::RecogniseError;
use crate::models::ModelConfig;

/// What it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Recognised {
    /// A profile, for [`Profile::from_json`].
    Profile,
    /// A model's `config.json`, for [`ModelConfig::from_json`].
    ModelConfig,
    /// A checkpoint's `hf_quant_config.json`, which says what `config.json` would say as `quantization_config`.
    QuantConfig,
    /// A GPU's operators, for [`Pack::from_json`].
    Pack,
    /// A result of `vllm bench serve`, for [`MeasuredResult::from_json`].
    BenchResult,
    /// A trace.
    Trace(TraceKind),
    /// A share link, for [`super::link::Link::from_fragment`].
    Link {
        /// The text, without white space around it.
        text: String,
    },
    /// Commands, for [`super::command::read`].
    Command {
        /// The text.
        text: String,
    },
}

impl Recognised {
    /// What it is, with an article.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Profile => "a profile",
            Self::ModelConfig => "a model's config.json",
            Self::QuantConfig => "a checkpoint's hf_quant_config.json",
            Self::Pack => "a pack of operators",
            Self::BenchResult => "a result of vllm bench serve",
            Self::Trace(kind) => kind.name(),
            Self::Link { .. } => "a share link",
            Self::Command { .. } => "a command",
        }
    }
}

/// Recognises `bytes`.
///
/// # Errors
/// See [`RecogniseError`].
pub fn recognise(bytes: &[u8]) -> Result<Recognised, RecogniseError> {
    let bytes = without_mark(bytes)?;
    let Some(first) = bytes.trim_ascii_start().first() else {
        return Err(RecogniseError::Empty);
    };
    if matches!(first, b'{' | b'[')
        && let Some(kind) = of_json(bytes)
    {
        return kind;
    }
    if let Some(kind) = trace::recognise(bytes) {
        return limited(kind.name(), bytes, MAX_TRACE_BYTES).map(|()| Recognised::Trace(kind));
    }
    of_text(bytes)
}

/// The bytes without UTF-8's byte order mark, unless they show that they are no text in UTF-8.
fn without_mark(bytes: &[u8]) -> Result<&[u8], RecogniseError> {
    const PACKED: [(&[u8], &str); 6] = [
        (b"\x1f\x8b", "gzip"),
        (b"PK\x03\x04", "zip"),
        (b"\x28\xb5\x2f\xfd", "zstandard"),
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"PAR1", "Parquet"),
    ];
    if let Some((_, kind)) = PACKED.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(RecogniseError::Packed { kind });
    }
    // In UTF-16, every other byte of ASCII is zero.
    let has_mark = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    let alternates = matches!(bytes, [0, 1..=255, 0, 1..=255, ..] | [1..=255, 0, 1..=255, 0, ..]);
    if has_mark || alternates {
        return Err(RecogniseError::Utf16);
    }
    Ok(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
}

fn limited(what: &'static str, bytes: &[u8], limit: usize) -> Result<(), RecogniseError> {
    if bytes.len() > limit {
        return Err(RecogniseError::TooLarge { what, num_bytes: bytes.len(), limit });
    }
    Ok(())
}

/// The kind of a JSON text; `None` if its keys do not tell.
fn of_json(bytes: &[u8]) -> Option<Result<Recognised, RecogniseError>> {
    let keys = leading_keys(bytes);
    let is_list = bytes.trim_ascii_start().starts_with(b"[");
    let has = |name: &[u8]| keys.contains(&name);
    let all = |names: &[&[u8]]| names.iter().all(|name| has(name));
    let any = |names: &[&[u8]]| names.iter().any(|name| has(name));
    if has(b"step_time") || all(&[b"provenance", b"hardware"]) {
        return Some(limited("a profile", bytes, Profile::MAX_BYTES).map(|()| Recognised::Profile));
    }
    if all(&[b"duration", b"completed"]) || any(&[b"request_throughput", b"mean_ttft_ms", b"ttfts"]) {
        let limited = limited("a result of vllm bench serve", bytes, MeasuredResult::MAX_BYTES);
        return Some(limited.map(|()| Recognised::BenchResult));
    }
    if has(b"pack_version") {
        return Some(limited("a pack of operators", bytes, Pack::MAX_BYTES).map(|()| Recognised::Pack));
    }
    if any(&[b"architectures", b"model_type", b"num_hidden_layers", b"text_config"]) {
        let limited = limited("a model's config.json", bytes, ModelConfig::MAX_BYTES);
        return Some(limited.map(|()| Recognised::ModelConfig));
    }
    if all(&[b"producer", b"quantization"]) {
        let limited = limited("a checkpoint's hf_quant_config.json", bytes, ModelConfig::MAX_BYTES);
        return Some(limited.map(|()| Recognised::QuantConfig));
    }
    if !is_list && has(b"classes") {
        let kind = TraceKind::Mixture;
        return Some(limited(kind.name(), bytes, MAX_MIXTURE_BYTES).map(|()| Recognised::Trace(kind)));
    }
    if any(&[b"conversations", b"conversation"]) {
        return Some(Err(RecogniseError::Texts { kind: "a ShareGPT dataset", dataset_name: "sharegpt" }));
    }
    if is_list && all(&[b"input_length", b"output_length"]) {
        return Some(Err(RecogniseError::List { kind: "a request of a timed trace" }));
    }
    if !is_list && trace::recognise(bytes) == Some(TraceKind::Table) {
        return Some(
            limited(TraceKind::Table.name(), bytes, MAX_TRACE_BYTES).map(|()| Recognised::Trace(TraceKind::Table)),
        );
    }
    if is_list && has(b"prompt") {
        return Some(Err(RecogniseError::List { kind: "a prompt" }));
    }
    if has(b"prompt") {
        return Some(Err(RecogniseError::Texts { kind: "a dataset of prompts", dataset_name: "custom" }));
    }
    None
}

fn of_text(bytes: &[u8]) -> Result<Recognised, RecogniseError> {
    let Some(head) = head(bytes) else {
        return Err(RecogniseError::Unknown { begins: "a binary file".to_string() });
    };
    let begins = head.trim_start();
    let is_one_word = !begins.trim_end().contains(char::is_whitespace);
    let is_link = begins.starts_with("v=") || begins.starts_with("#v=") || begins.contains("#v=") && is_one_word;
    if !is_link && !command::is_meant(head) {
        return Err(RecogniseError::Unknown { begins: columns(begins).unwrap_or_else(|| excerpt(begins)) });
    }
    let (what, limit) = if is_link { ("a share link", MAX_FRAGMENT_BYTES) } else { ("a command", MAX_COMMAND_BYTES) };
    limited(what, bytes, limit)?;
    let Ok(text) = core::str::from_utf8(bytes) else {
        return Err(RecogniseError::Unknown { begins: "a text that is not UTF-8".to_string() });
    };
    if is_link {
        Ok(Recognised::Link { text: text.trim().to_string() })
    } else {
        Ok(Recognised::Command { text: text.to_string() })
    }
}

/// As much of the beginning as a link or command may be long; `None` if it is no text.
fn head(bytes: &[u8]) -> Option<&str> {
    let head = bytes.get(..MAX_COMMAND_BYTES).unwrap_or(bytes);
    let text = match core::str::from_utf8(head) {
        Ok(text) => text,
        // The cut may have parted a character, but no other byte may be wrong.
        Err(error) if error.error_len().is_none() => core::str::from_utf8(head.get(..error.valid_up_to())?).ok()?,
        Err(_) => return None,
    };
    (!text.contains('\0')).then_some(text)
}

/// A table in a few words; `None` if the first lines are none.
fn columns(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim_end);
    let (head, row) = (lines.next()?, lines.next()?);
    let num_columns = head.split(',').count();
    let is_name =
        |name: &str| !name.trim().is_empty() && name.chars().all(|c| c.is_alphanumeric() || " _-./()\"".contains(c));
    let is_table = num_columns > 1 && row.split(',').count() == num_columns && head.split(',').all(is_name);
    is_table.then(|| alloc::format!("a CSV with the columns {}", excerpt(head)))
}

/// The beginning of a text, quoted, on one line.
fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 40;
    let end = if text.chars().nth(MAX_CHARS).is_some() { "…" } else { "" };
    alloc::format!("{:?}{end}", text.chars().take(MAX_CHARS).collect::<String>().trim_end())
}
