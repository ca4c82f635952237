//! Why a workload cannot be built.

use alloc::string::{String, ToString};
use core::fmt;

use crate::json_message;
use crate::request_set::RequestError;

/// Why a workload cannot be built. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum WorkloadError {
    /// An option is outside its range, or contradicts another.
    Option {
        /// The option, with vLLM's name where it has one.
        field: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        need: &'static str,
    },
    /// A field of a file is absent or not what it must be.
    Row {
        /// Line of the file, from 1.
        line: u64,
        /// Column or key.
        field: String,
        /// What stands there, shortened.
        value: String,
        /// What must stand there.
        need: &'static str,
    },
    /// A file is not JSON, JSON Lines or CSV of the expected shape.
    Syntax {
        /// Line of the file, from 1.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// A file or a request is larger than this reader accepts.
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        value: u64,
        /// Most that are accepted.
        limit: u64,
    },
    /// The dataset yields no request at all.
    NoRequests,
    /// A send time is not a number or later than [`super::arrival::MAX_SEND_SECONDS`].
    SendTime {
        /// Index of the request.
        index: usize,
        /// Its time in seconds.
        seconds: f64,
    },
    /// A request is refused.
    Request {
        /// Index of the request.
        index: usize,
        /// Why.
        error: RequestError,
    },
}

impl WorkloadError {
    pub(super) fn option(field: &'static str, value: impl ToString, need: &'static str) -> Self {
        Self::Option { field, value: excerpt(&value.to_string()), need }
    }

    pub(super) fn row(line: u64, field: &str, value: impl ToString, need: &'static str) -> Self {
        Self::Row { line, field: excerpt(field), value: excerpt(&value.to_string()), need }
    }

    /// The error of a JSON text that begins on line `first_line` of its file.
    pub(super) fn json(first_line: u64, error: &serde_json::Error) -> Self {
        let line = first_line + u64::try_from(error.line().saturating_sub(1)).unwrap_or(0);
        let (column, message) = (error.column(), error.to_string());
        // Where the text is one line of many, its own line number would mislead.
        let place = alloc::format!(" at line {} column {column}", error.line());
        let message = message.strip_suffix(&place).unwrap_or(&message);
        let message = excerpt(&json_message::for_people(message));
        // Column 0 is the parser's for a whole value.
        let column = if column == 0 { String::new() } else { alloc::format!(" (column {column})") };
        Self::Syntax { line, message: message + &column }
    }
}

/// The first characters of a text that may be anything, on one line.
fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 120;
    let mut excerpt = String::new();
    for (index, char) in text.chars().enumerate() {
        if index == MAX_CHARS {
            excerpt.push('…');
            break;
        }
        if char.is_control() { excerpt.extend(char.escape_debug()) } else { excerpt.push(char) }
    }
    excerpt
}

/// A value as it stands in a sentence.
fn shown(value: &str) -> &str {
    if value.trim().is_empty() { "empty" } else { value }
}

impl fmt::Display for WorkloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option { field, value, need } => {
                write!(f, "{field} is {}; it must be {need}", shown(value))
            }
            Self::Row { line, field, value, need } => {
                write!(f, "line {line}: {field} is {}; it must be {need}", shown(value))
            }
            Self::Syntax { line, message } => write!(f, "line {line}: {message}"),
            Self::TooLarge { what, value, limit } => {
                write!(f, "{value} {what}; the limit is {limit}")
            }
            Self::NoRequests => {
                write!(f, "the dataset yields no request: it is empty, or every entry was filtered out")
            }
            Self::SendTime { index, seconds } => write!(
                f,
                "request {index} would be sent after {seconds:?} s; the limit is {} s: see request_rate, burstiness and \
                 the trace's timestamps",
                super::arrival::MAX_SEND_SECONDS
            ),
            Self::Request { index, error } => write!(f, "request {index}: {error}"),
        }
    }
}

/// No error has a source: the text of [`WorkloadError::Request`] holds its error's.
impl core::error::Error for WorkloadError {}
