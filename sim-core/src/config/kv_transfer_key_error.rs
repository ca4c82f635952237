//! Why a key of `--kv-transfer-config` is not taken.

use alloc::string::String;
use core::fmt;

/// Why a key is not taken. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KvTransferKeyError {
    /// The text is no JSON object, or `kv_connector_extra_config` is none.
    NotAnObject,
    /// The key, or this value of it, changes results in a way that is not simulated.
    NotSimulated {
        /// The key.
        key: String,
        /// The value, as JSON.
        value: String,
        /// What is.
        why: &'static str,
    },
    /// The value is not of the key's type.
    Value {
        /// The key.
        key: String,
        /// The value, as JSON.
        value: String,
        /// What is needed.
        need: &'static str,
    },
}

impl fmt::Display for KvTransferKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("--kv-transfer-config: ")?;
        match self {
            Self::NotAnObject => f.write_str(
                "must be a JSON object such as {\"kv_connector\": \"OffloadingConnector\", \"kv_role\": \"kv_both\", \
                 \"kv_connector_extra_config\": {\"cpu_bytes_to_use\": 68719476736}}",
            ),
            Self::NotSimulated { key, value, why } => write!(f, "{key} = {value} is not simulated: {why}"),
            Self::Value { key, value, need } => write!(f, "{key} = {value}: must be {need}"),
        }
    }
}

impl core::error::Error for KvTransferKeyError {}
