//! Why a candidate is not tried, in few kinds that can be counted.

use alloc::string::{String, ToString as _};

use crate::answers::capacity::TrialError;
use crate::compose::ComposeError;
use crate::config::ConfigError;
use crate::scenario::ScenarioError;

/// Why a candidate is not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Weights and KV cache do not fit into the memory.
    DoesNotFit,
    /// No times are known of an operator that it needs, such as a number format that the GPU lacks.
    NoOperator,
    /// Its ranks cannot share the model.
    Indivisible,
    /// vLLM would refuse it, or it is not simulated.
    Refused,
    /// It is another candidate over again: the value is what vLLM takes anyway.
    Same,
    /// One engine needs more GPUs than there are.
    TooManyGpus,
}

impl Kind {
    /// The kind in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::DoesNotFit => "do not fit into the GPU's memory",
            Self::NoOperator => "need an operator or a number format of which no times are known on that GPU",
            Self::Indivisible => "cannot be divided among that many ranks",
            Self::Refused => "are refused by vLLM, or not simulated",
            Self::Same => "are the same as another, as vLLM takes that value anyway",
            Self::TooManyGpus => "need more GPUs than there are",
        }
    }
}

/// An exclusion with its particulars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// What it is counted as.
    pub kind: Kind,
    /// What exactly.
    pub why: String,
}

impl From<&ScenarioError> for Exclusion {
    fn from(error: &ScenarioError) -> Self {
        let kind = match error {
            ScenarioError::Config(
                ConfigError::NoKvCacheMemory { .. }
                | ConfigError::KvCacheTooSmall { .. }
                | ConfigError::NothingFits { .. },
            ) => Kind::DoesNotFit,
            ScenarioError::Compose(ComposeError::Operator { .. }) => Kind::NoOperator,
            ScenarioError::Compose(ComposeError::Indivisible { .. }) => Kind::Indivisible,
            _ => Kind::Refused,
        };
        Self { kind, why: error.to_string() }
    }
}

impl From<&TrialError> for Exclusion {
    fn from(error: &TrialError) -> Self {
        match error {
            TrialError::Scenario(error) => error.into(),
            _ => Self { kind: Kind::Refused, why: error.to_string() },
        }
    }
}
