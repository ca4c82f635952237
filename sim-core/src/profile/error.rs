//! Why a profile is refused.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// One thing that is wrong with a profile, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where: a JSON path such as `$.step_time.decode_attention.time_us[3][2]`.
    pub path: String,
    /// What: the value, the limit, and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Why a profile is refused. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProfileError {
    /// The file is longer than [`super::Profile::MAX_BYTES`].
    TooLarge {
        /// Its length.
        num_bytes: usize,
    },
    /// The bytes are not JSON.
    NotJson {
        /// What the JSON parser says, with line and column.
        message: String,
    },
    /// The top level is not an object, or has no integer `version` of at least 0.
    NoVersion,
    /// `version` is above [`super::Profile::VERSION`].
    NewerVersion {
        /// The file's version.
        got: u64,
    },
    /// An older file lacks what its upgrade needs.
    NotUpgradable {
        /// The file's version.
        from: u64,
        /// What is missing, and where.
        fault: Fault,
    },
    /// A field is missing, unknown, or of the wrong type.
    Shape(Fault),
    /// Fields have the right types but values no profile can have: every one of them, in file order.
    Values(Vec<Fault>),
    /// The settings ask what the profile cannot answer: a setting outside its limits.
    Settings {
        /// Name of the setting.
        setting: &'static str,
        /// What is wrong, with value and limit.
        message: String,
    },
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { num_bytes } => {
                write!(
                    f,
                    "the profile has {num_bytes} bytes; the limit is {} (is this another kind of file?)",
                    super::Profile::MAX_BYTES
                )
            }
            Self::NotJson { message } => write!(f, "the profile is not JSON: {message}"),
            Self::NoVersion => write!(
                f,
                "$.version: missing or not a whole number of at least 0; a profile is a JSON object with \"version\": {} (is this \
                 another kind of file?)",
                super::Profile::VERSION
            ),
            Self::NewerVersion { got } => write!(
                f,
                "$.version: {got} is newer than {}, the newest this program reads; update the program, or write the \
                 profile with an older profiler",
                super::Profile::VERSION
            ),
            Self::NotUpgradable { from, fault } => {
                write!(f, "the profile has format version {from} and cannot be upgraded: {fault}")
            }
            Self::Shape(fault) => write!(f, "{fault}"),
            Self::Values(faults) => {
                write!(f, "the profile has {} fault{}", faults.len(), if faults.len() == 1 { "" } else { "s" })?;
                for fault in faults {
                    write!(f, "\n  {fault}")?;
                }
                Ok(())
            }
            Self::Settings { setting, message } => write!(f, "{setting}: {message}"),
        }
    }
}

impl core::error::Error for ProfileError {}
