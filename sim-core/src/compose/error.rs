//! Why no profile can be composed.

use alloc::string::String;
use core::fmt;

use crate::models::ModelConfigError;
use crate::profile::ProfileError;

/// Why no profile can be composed. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ComposeError {
    /// The model's file cannot be read, or its class is not known.
    Model(ModelConfigError),
    /// A size of the model cannot be divided among the ranks.
    Indivisible {
        /// The size, as `config.json` calls it.
        field: &'static str,
        /// Its value.
        value: u32,
        /// The ranks.
        ranks: u32,
    },
    /// A parallel size is 0 or above [`MAX_RANKS`].
    Ranks {
        /// The flag, without dashes.
        flag: &'static str,
        /// Its value.
        value: u32,
    },
    /// `enable_expert_parallel` or `data_parallel_size` was given for a model without experts.
    NoExperts {
        /// The flag, without dashes.
        flag: &'static str,
    },
    /// A layer's matrices are wider than 2²⁷.
    TooWide {
        /// The widest.
        widest: u64,
    },
    /// The pack has no times of an operator that the model needs.
    Operator {
        /// The operator, in words.
        operator: &'static str,
        /// The GPU.
        gpu: String,
    },
    /// What was composed is no valid profile.
    Profile(ProfileError),
}

/// Most ranks.
pub const MAX_RANKS: u32 = 64;

impl fmt::Display for ComposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(error) => write!(f, "{error}"),
            Self::Indivisible { field, value, ranks } => {
                write!(f, "{field} is {value}, which {ranks} ranks cannot divide; choose another tensor-parallel-size")
            }
            Self::Ranks { flag, value } => write!(f, "--{flag} {value}: must be from 1 to {MAX_RANKS}"),
            Self::NoExperts { flag } => write!(f, "--{flag}: the model has no experts"),
            Self::TooWide { widest } => {
                write!(
                    f,
                    "config.json: a layer's matrices are {widest} wide; the limit is {}: is this a model's file?",
                    1 << 27
                )
            }
            Self::Operator { operator, gpu } => write!(f, "no times of {operator} are known on {gpu}"),
            Self::Profile(error) => write!(f, "what was composed is no valid profile: {error}"),
        }
    }
}

impl core::error::Error for ComposeError {}

impl From<ModelConfigError> for ComposeError {
    fn from(error: ModelConfigError) -> Self {
        Self::Model(error)
    }
}

impl From<ProfileError> for ComposeError {
    fn from(error: ProfileError) -> Self {
        Self::Profile(error)
    }
}
