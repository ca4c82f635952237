//! A single value of a result file, whatever its type.

use alloc::string::{String, ToString};
use core::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What a measured number must be; see [`is_measurable`].
pub(super) const NEED_NUMBER: &str = "a number from 0 to 1e10";

/// Whether somebody can have measured `number`: three hundred years in seconds, and later than any date in Unix time.
pub(super) fn is_measurable(number: f64) -> bool {
    (0.0..=1e10).contains(&number)
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Number(f64),
    Text(String),
    /// A boolean, a list or an object, by name.
    Other(&'static str),
}

impl Scalar {
    /// As an error shows it: not all of a long text.
    pub(super) fn shown(&self) -> String {
        const MAX_CHARS: usize = 60;
        match self {
            Self::Null => "null".to_string(),
            Self::Number(number) => alloc::format!("{number:?}"),
            Self::Text(text) => {
                let end = if text.chars().count() > MAX_CHARS { "…" } else { "" };
                alloc::format!("{:?}{end}", text.chars().take(MAX_CHARS).collect::<String>())
            }
            Self::Other(name) => (*name).to_string(),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other(if value { "true" } else { "false" }))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(crate::math::u64_to_f64(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(-crate::math::u64_to_f64(value.unsigned_abs())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        // Bare words that the reader has quoted.
        Ok(match value {
            "NaN" => Scalar::Number(f64::NAN),
            "Infinity" => Scalar::Number(f64::INFINITY),
            "-Infinity" => Scalar::Number(f64::NEG_INFINITY),
            _ => Scalar::Text(value.to_string()),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("an object"))
    }
}
