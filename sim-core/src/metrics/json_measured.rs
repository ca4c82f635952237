//! Reads what `vllm bench serve --save-result` writes, detailed or not, of vLLM 0.32.0 or older.
//!
//! The file is Python's JSON: `NaN`, `Infinity` and `-Infinity` may stand where a number does. `--append-result` puts
//! one object after the other into a file; the last one is read. Older files lack some of the keys
//! (`vllm/benchmarks/serve.py::benchmark`); what is put in their place is said in [`MeasuredResult::notes`].

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use core::fmt;

use serde::de::{Deserializer as _, IgnoredAny};

use crate::json_message;
use crate::math;
use crate::metrics::bench_json::BACKEND;
use crate::metrics::bench_outputs::{MeasuredOutput, MeasuredOutputs};

mod columns;
mod scalar;

use columns::{Columns, ObjectVisitor};
use scalar::Scalar;

/// Why a file is not read. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MeasuredError {
    /// More than [`MeasuredResult::MAX_BYTES`].
    TooLarge {
        /// Bytes of the file.
        num_bytes: usize,
    },
    /// Not UTF-8, not JSON, or a value at the wrong place; nothing at all.
    Json {
        /// What, and where.
        message: String,
    },
    /// A key without which the file says nothing is absent.
    Missing {
        /// The key.
        key: &'static str,
        /// Why it is needed.
        because: &'static str,
    },
    /// A value is none that this key can have.
    Value {
        /// The key, with the index in its list.
        place: String,
        /// The value.
        value: String,
        /// What is allowed.
        need: &'static str,
    },
    /// Two lists have different lengths.
    Lengths {
        /// Length of the list `ttfts`.
        num_requests: usize,
        /// The other.
        key: &'static str,
        /// Its length.
        length: usize,
    },
}

impl fmt::Display for MeasuredError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { num_bytes } => write!(
                f,
                "the result file has {num_bytes} bytes; the limit is {}: save it without --save-detailed",
                MeasuredResult::MAX_BYTES
            ),
            Self::Json { message } => write!(f, "the result file is not JSON as Python writes it: {message}"),
            Self::Missing { key, because } => {
                write!(f, "the result file has no {key:?}, {because}: was it written by vllm bench serve?")
            }
            Self::Value { place, value, need } => write!(f, "{place} is {value}; it must be {need}"),
            Self::Lengths { num_requests, key, length } => write!(
                f,
                "{key} has {length} entries, but {} has {num_requests}: each must have one per request",
                columns::LENGTH_KEY
            ),
        }
    }
}

impl core::error::Error for MeasuredError {}

/// A measured run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MeasuredResult {
    /// Objects in the file, of which this is the last.
    pub num_results: usize,
    /// Texts by key: `date`, `backend`, `label`, `model_id` and whatever `--metadata` added. Those that are null or
    /// absent are left out.
    pub texts: BTreeMap<String, String>,
    /// Every number by key, in the file's units (milliseconds where the key says so): `duration`, `mean_ttft_ms`, …
    /// May be infinite or NaN.
    pub numbers: BTreeMap<String, f64>,
    /// Answered requests.
    pub completed: u64,
    /// Failed requests.
    pub failed: u64,
    /// Whether it says of itself that it was simulated.
    pub is_simulated: bool,
    /// Each request, if the file is detailed.
    pub outputs: Option<MeasuredOutputs>,
    /// What was concluded instead of read: sentences.
    pub notes: Vec<String>,
}

impl MeasuredResult {
    /// Longest file that is read.
    pub const MAX_BYTES: usize = 64 << 20;
    /// Most requests.
    pub const MAX_REQUESTS: usize = 1_000_000;
    /// Most inter-token latencies of all requests together.
    pub const MAX_ITLS: usize = 50_000_000;

    /// Reads a file.
    ///
    /// # Errors
    /// See [`MeasuredError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, MeasuredError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(MeasuredError::TooLarge { num_bytes: bytes.len() });
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = core::str::from_utf8(bytes)
            .map_err(|error| MeasuredError::Json { message: format!("byte {} is not UTF-8", error.valid_up_to()) })?;
        let text = quote_bare_words(text);
        let (last, num_results) = last_object(&text)?;
        let mut columns = Columns::default();
        let mut deserializer = serde_json::Deserializer::from_str(last);
        let mut refused = None;
        let read = deserializer.deserialize_map(ObjectVisitor { columns: &mut columns, refused: &mut refused });
        if let Some(error) = refused {
            return Err(error);
        }
        read.map_err(|error| json_error(&error))?;
        Self::from_columns(columns, num_results)
    }

    fn from_columns(columns: Columns, num_results: usize) -> Result<Self, MeasuredError> {
        let mut result = Self { num_results, is_simulated: columns.has_simulation, ..Self::default() };
        if num_results > 1 {
            result.notes.push(format!("The file holds {num_results} results; the last one was read."));
        }
        for (key, scalar) in &columns.scalars {
            match scalar {
                Scalar::Number(number) => {
                    result.numbers.insert(key.clone(), *number);
                }
                Scalar::Text(text) => {
                    result.texts.insert(key.clone(), text.clone());
                }
                Scalar::Null | Scalar::Other(_) => {}
            }
        }
        result.is_simulated |= result.texts.get("backend").is_some_and(|backend| backend == BACKEND);
        let because = "which every result has";
        let duration = result.non_negative("duration")?.ok_or(MeasuredError::Missing { key: "duration", because })?;
        let completed =
            result.non_negative("completed")?.ok_or(MeasuredError::Missing { key: "completed", because })?;
        result.completed = math::round_to_u64(completed);
        // Older files do not count the failed.
        let num_prompts = result.non_negative("num_prompts")?.unwrap_or(completed);
        let failed = result.non_negative("failed")?.unwrap_or_else(|| math::max(num_prompts - completed, 0.0));
        result.failed = math::round_to_u64(failed);
        if columns.is_detailed() {
            let outputs = columns.into_outputs(result.completed, &mut result.notes)?;
            result.outputs = Some(MeasuredOutputs { outputs, duration });
        }
        Ok(result)
    }

    fn non_negative(&self, key: &str) -> Result<Option<f64>, MeasuredError> {
        match self.numbers.get(key) {
            Some(&number) if !scalar::is_measurable(number) => Err(MeasuredError::Value {
                place: key.to_string(),
                value: format!("{number:?}"),
                need: scalar::NEED_NUMBER,
            }),
            number => Ok(number.copied()),
        }
    }
}

/// `NaN`, `Infinity` and `-Infinity` outside of strings, as strings: `serde_json` refuses the bare words. A text
/// without them is not copied.
fn quote_bare_words(text: &str) -> Cow<'_, str> {
    const WORDS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];
    let bytes = text.as_bytes();
    let mut quoted = String::new();
    let (mut copied, mut at, mut in_string) = (0, 0, false);
    while let Some(&byte) = bytes.get(at) {
        let word = WORDS
            .into_iter()
            .find(|word| matches!(byte, b'N' | b'I' | b'-') && !in_string && bytes[at..].starts_with(word.as_bytes()));
        if let Some(word) = word {
            quoted.push_str(&text[copied..at]);
            quoted.extend(["\"", word, "\""]);
            at += word.len();
            copied = at;
            continue;
        }
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => at += 1,
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    quoted.push_str(&text[copied..]);
    Cow::Owned(quoted)
}

/// The last of the JSON values in `text`, and how many there are.
fn last_object(text: &str) -> Result<(&str, usize), MeasuredError> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let (mut start, mut count) = (0, 0);
    loop {
        let offset = stream.byte_offset();
        match stream.next() {
            Some(Ok(IgnoredAny)) => {
                start = offset;
                count += 1;
            }
            Some(Err(error)) => return Err(json_error(&error)),
            None => break,
        }
    }
    if count == 0 {
        return Err(MeasuredError::Json { message: "the file is empty".to_string() });
    }
    Ok((&text[start..], count))
}

fn json_error(error: &serde_json::Error) -> MeasuredError {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = message.strip_suffix(&place).unwrap_or(&message);
    MeasuredError::Json { message: format!("{}{place}", json_message::for_people(message)) }
}

/// The outputs of requests whose columns were read.
fn output_rows(num_requests: usize) -> Vec<MeasuredOutput> {
    vec![MeasuredOutput { success: true, ..MeasuredOutput::default() }; num_requests]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(quote_bare_words(text), expect);
    }

    #[test]
    fn bare_words_are_quoted_outside_of_strings_only() {
        check(r#"{"a": NaN, "b": [-Infinity,Infinity]}"#, r#"{"a": "NaN", "b": ["-Infinity","Infinity"]}"#);
        check(r#"{"NaN": "Infinity \" NaN \\", "b": -1}"#, r#"{"NaN": "Infinity \" NaN \\", "b": -1}"#);
        check(r#"{"ü": NaN} "#, r#"{"ü": "NaN"} "#);
        check("\"\\", "\"\\");
    }
}
