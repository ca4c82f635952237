//! Reads what `vllm bench serve --save-result` writes, detailed or not, of vLLM 0.32.0 or older.
//!
//! The only reader of these files: the page lays one over a prediction, the command line simulates it again
//! ([`crate::scenario::repeat`]).
//!
//! The file is Python's JSON: `NaN`, `Infinity` and `-Infinity` may stand where a number does. `--append-result` puts
//! one object after the other into a file. Older files lack some of the keys
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
mod simulation;
mod stated;

use columns::{Columns, ObjectVisitor};
use scalar::Scalar;
pub use simulation::StatedSimulation;
pub use stated::{StatedLists, latency_statistic};

/// Why a file is not read. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MeasuredError {
    /// More than [`MeasuredResult::MAX_BYTES`], or [`MeasuredResult::MAX_BYTES_OF_ALL`] where all results are read.
    TooLarge {
        /// Bytes of the file.
        num_bytes: usize,
        /// The limit.
        limit: usize,
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
            Self::TooLarge { num_bytes, limit } => write!(
                f,
                "the result file has {num_bytes} bytes; the limit is {limit}: save it without --save-detailed"
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
    /// With what, if this simulator wrote it.
    pub simulation: Option<StatedSimulation>,
    /// Lists with an entry for each request, of which a file without details has some, too.
    pub lists: StatedLists,
    /// Each request, if the file is detailed.
    pub outputs: Option<MeasuredOutputs>,
    /// What was concluded instead of read: sentences.
    pub notes: Vec<String>,
}

impl MeasuredResult {
    /// Longest file of which one result is read: on the page.
    pub const MAX_BYTES: usize = 64 << 20;
    /// Longest file of which all are: on the command line.
    pub const MAX_BYTES_OF_ALL: usize = 256 << 20;
    /// Most requests.
    pub const MAX_REQUESTS: usize = 1_000_000;
    /// Most inter-token latencies of all requests together.
    pub const MAX_ITLS: usize = 50_000_000;

    /// Most results of a file that are all read.
    pub const MAX_RESULTS: usize = 10_000;

    /// Reads a file; of several results the last.
    ///
    /// # Errors
    /// See [`MeasuredError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, MeasuredError> {
        let text = text(bytes, Self::MAX_BYTES)?;
        let objects = objects(&text)?;
        let last = objects.last().copied().unwrap_or_default();
        let mut result = Self::from_object(last)?;
        result.num_results = objects.len();
        if objects.len() > 1 {
            let note = format!("The file holds {} results; the last one was read.", objects.len());
            result.notes.insert(0, note);
        }
        Ok(result)
    }

    /// Reads every result of a file.
    ///
    /// # Errors
    /// The number of the first result, from 1, that has an error, and its [`MeasuredError`].
    pub fn all_from_json(bytes: &[u8]) -> Result<Vec<Self>, (usize, MeasuredError)> {
        let text = text(bytes, Self::MAX_BYTES_OF_ALL).map_err(|error| (1, error))?;
        let objects = objects(&text).map_err(|error| (1, error))?;
        if objects.len() > Self::MAX_RESULTS {
            let value = format!("{} results", objects.len());
            let error = MeasuredError::Value { place: "the file".to_string(), value, need: "at most 10000" };
            return Err((Self::MAX_RESULTS + 1, error));
        }
        let read = |(place, object)| Self::from_object(object).map_err(|error| (place, error));
        (1..).zip(objects).map(read).collect()
    }

    fn from_object(object: &str) -> Result<Self, MeasuredError> {
        let mut columns = Columns::default();
        let mut deserializer = serde_json::Deserializer::from_str(object);
        let mut refused = None;
        let read = deserializer.deserialize_map(ObjectVisitor { columns: &mut columns, refused: &mut refused });
        if let Some(error) = refused {
            return Err(error);
        }
        read.map_err(|error| json_error(&error))?;
        Self::from_columns(columns)
    }

    fn from_columns(mut columns: Columns) -> Result<Self, MeasuredError> {
        let is_simulated = columns.simulation.is_some();
        let simulation = columns.simulation.take();
        let lists = columns.stated();
        if !columns.is_detailed() {
            lists.check()?;
        }
        let mut result = Self { num_results: 1, is_simulated, simulation, lists, ..Self::default() };
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

/// The text of a file.
fn text(bytes: &[u8], limit: usize) -> Result<Cow<'_, str>, MeasuredError> {
    if bytes.len() > limit {
        return Err(MeasuredError::TooLarge { num_bytes: bytes.len(), limit });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = core::str::from_utf8(bytes)
        .map_err(|error| MeasuredError::Json { message: format!("byte {} is not UTF-8", error.valid_up_to()) })?;
    Ok(quote_bare_words(text))
}

/// The JSON values in `text`, at least one.
fn objects(text: &str) -> Result<Vec<&str>, MeasuredError> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut objects = Vec::new();
    loop {
        let start = stream.byte_offset();
        match stream.next() {
            Some(Ok(IgnoredAny)) => objects.push(&text[start..stream.byte_offset()]),
            Some(Err(error)) => return Err(json_error(&error)),
            None => break,
        }
    }
    if objects.is_empty() {
        return Err(MeasuredError::Json { message: "the file is empty".to_string() });
    }
    Ok(objects)
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
