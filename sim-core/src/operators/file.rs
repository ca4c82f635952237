//! From bytes to a checked [`Pack`], and back.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::schema::Pack;
use super::validate;
use crate::json_message;
use crate::profile::Fault;
use crate::profile::from_json::FromJson;

/// Why a pack is refused. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackError {
    /// The file is longer than [`Pack::MAX_BYTES`].
    TooLarge {
        /// Its length.
        num_bytes: usize,
    },
    /// The bytes are not JSON.
    NotJson {
        /// What the JSON parser says, with line and column.
        message: String,
    },
    /// A field is missing, unknown, or of the wrong type, or the version is another.
    Shape(Fault),
    /// Fields have the right types but values that no pack can have.
    Values(Vec<Fault>),
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { num_bytes } => {
                write!(f, "the pack has {num_bytes} bytes; the limit is {}", Pack::MAX_BYTES)
            }
            Self::NotJson { message } => write!(f, "the pack is not JSON: {message}"),
            Self::Shape(fault) => write!(f, "{fault}"),
            Self::Values(faults) => {
                for (place, fault) in faults.iter().enumerate() {
                    write!(f, "{}{fault}", if place > 0 { "\n" } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

impl core::error::Error for PackError {}

impl Pack {
    /// The format version.
    pub const VERSION: u32 = 1;
    /// Longest file that is read.
    pub const MAX_BYTES: usize = 16 << 20;

    /// Reads a pack and checks every value in it.
    ///
    /// # Errors
    /// See [`PackError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, PackError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(PackError::TooLarge { num_bytes: bytes.len() });
        }
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| {
            let place = format!(" at line {} column {}", error.line(), error.column());
            let message = error.to_string();
            let message = message.strip_suffix(&place).unwrap_or(&message);
            PackError::NotJson { message: format!("{}{place}", json_message::for_people(message)) }
        })?;
        let pack = <Self as FromJson>::from_json(value)
            .map_err(|fault| PackError::Shape(Fault { path: format!("${}", fault.path), ..fault }))?;
        pack.validate()?;
        Ok(pack)
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`PackError::Values`] with the faults.
    pub fn validate(&self) -> Result<(), PackError> {
        let faults = validate::faults(self);
        if faults.is_empty() { Ok(()) } else { Err(PackError::Values(faults)) }
    }

    /// The file; equal packs give equal bytes.
    ///
    /// # Errors
    /// [`PackError::Values`] if it is not one that [`Self::from_json`] would accept.
    pub fn to_json(&self) -> Result<String, PackError> {
        self.validate()?;
        let compact = serde_json::to_string(self)
            .map_err(|error| PackError::Shape(Fault { path: "$".to_string(), message: error.to_string() }))?;
        Ok(laid_out(&compact))
    }
}

/// A line for each row of a table: readable, and almost as short.
fn laid_out(compact: &str) -> String {
    let mut out = String::with_capacity(compact.len() + compact.len() / 32);
    for (place, part) in compact.split("],").enumerate() {
        if place > 0 {
            out.push_str("],\n");
        }
        out.push_str(part);
    }
    out.push('\n');
    out
}
