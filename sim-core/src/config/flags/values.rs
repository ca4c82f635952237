//! How vLLM's parser reads the words of a flag (`vllm/utils/argparse_utils.py`, `vllm/engine/arg_utils.py`).

use alloc::borrow::Cow;
use alloc::string::{String, ToString as _};

use serde_json::Value;

use crate::config::human_readable::{human_readable_int, human_readable_int_or_auto, python_int};
use crate::metrics::python_float;

/// How a word is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// As it is.
    Text,
    /// By Python's `int`.
    Integer,
    /// By Python's `float`.
    Number,
    /// By [`human_readable_int`].
    HumanInteger,
    /// By [`human_readable_int_or_auto`].
    HumanIntegerOrAuto,
    /// JSON.
    Json,
    /// A JSON object, in which numbers may have the suffixes of [`human_readable_int`]; its keys are not looked at.
    Object,
    /// A JSON object if it is in braces, else as it is.
    ObjectOrText,
    /// In lower case, with `_` for `-`.
    AnyCase,
}

impl ValueKind {
    /// Whether a word can be read so.
    ///
    /// # Errors
    /// What would be right.
    pub fn check(self, word: &str) -> Result<(), &'static str> {
        let (is_right, expected) = match self {
            Self::Text | Self::AnyCase => return Ok(()),
            Self::Integer => (python_int(word).is_ok(), "a whole number, without a suffix"),
            Self::Number => (python_float::parse(word).is_some(), "a number"),
            Self::HumanInteger => (human_readable_int(word).is_ok(), "a whole number, such as 4096, 4k or 4K"),
            Self::HumanIntegerOrAuto => {
                (human_readable_int_or_auto(word).is_ok(), "a whole number, such as 4096, 4k or 4K, or auto")
            }
            Self::Json => (json(word).is_some(), "JSON"),
            Self::Object => (json(&with_plain_numbers(word)).is_some_and(|value| value.is_object()), "a JSON object"),
            Self::ObjectOrText => {
                let inner = word.trim();
                let is_object = inner.starts_with('{') && inner.ends_with('}');
                (!is_object || json(word).is_some(), "a JSON object, or a text")
            }
        };
        if is_right { Ok(()) } else { Err(expected) }
    }

    /// Whether two words are read as the same value.
    #[must_use]
    pub fn is_same(self, one: &str, other: &str) -> bool {
        fn equal<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
            one.is_some() && one == other
        }
        let lower = |word: &str| word.to_ascii_lowercase().replace('-', "_");
        let bits = |word: &str| python_float::parse(word).map(f64::to_bits);
        one == other
            || match self {
                Self::Text => false,
                Self::AnyCase => lower(one) == lower(other),
                Self::Integer => equal(python_int(one).ok(), python_int(other).ok()),
                Self::Number => equal(bits(one), bits(other)),
                Self::HumanInteger => equal(human_readable_int(one).ok(), human_readable_int(other).ok()),
                Self::HumanIntegerOrAuto => {
                    equal(human_readable_int_or_auto(one).ok(), human_readable_int_or_auto(other).ok())
                }
                Self::Json | Self::ObjectOrText => equal(json(one), json(other)),
                Self::Object => equal(json(&with_plain_numbers(one)), json(&with_plain_numbers(other))),
            }
    }
}

/// Whether a word stands for none where a flag takes none.
#[must_use]
pub(super) fn is_none(word: &str) -> bool {
    word.is_empty() || word == "None"
}

fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// JSON in which `8k` and the like, outside of texts, are plain numbers.
fn with_plain_numbers(text: &str) -> Cow<'_, str> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
    let mut plain = String::new();
    let mut rest = text;
    let mut has_changed = false;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '"' => 1 + end_of_text(rest.get(1..).unwrap_or_default()),
            _ if is_word(letter) => rest.find(|letter| !is_word(letter)).unwrap_or(rest.len()),
            _ => letter.len_utf8(),
        };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let number = Some(token).filter(|token| token.ends_with(|end: char| end.is_ascii_alphabetic()));
        match number.and_then(|token| human_readable_int(token).ok()) {
            Some(number) => {
                plain.push_str(&number.to_string());
                has_changed = true;
            }
            None => plain.push_str(token),
        }
        rest = after;
    }
    if has_changed { Cow::Owned(plain) } else { Cow::Borrowed(text) }
}

/// Bytes up to and with the closing quotation mark; all if there is none.
fn end_of_text(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
