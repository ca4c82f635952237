//! Why a scenario cannot be read or run.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::DatasetName;
use super::link::LinkError;
use super::role_args::Role;
use crate::compose::ComposeError;
use crate::config::flags::FlagError;
use crate::config::{ConfigError, RequestRefusal};
use crate::fleet::life::OutageError;
use crate::metrics::goodput::GoodputError;
use crate::models::catalogue::UnknownModel;
use crate::profile::ProfileError;
use crate::speculative::AcceptanceError;
use crate::workload::WorkloadError;

/// Why a scenario cannot be read or run. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ScenarioError {
    /// A flag is unknown, not simulated, or has a value of the wrong type.
    Flag(FlagError),
    /// A value is longer than [`super::MAX_VALUE_BYTES`].
    TooLong {
        /// The flag, without dashes.
        flag: &'static str,
        /// Bytes of the value.
        length: usize,
    },
    /// A value is none that the flag takes.
    Value {
        /// The flag, without dashes.
        flag: &'static str,
        /// The value.
        value: String,
        /// What it must be.
        need: String,
    },
    /// `--goodput` is not as vLLM wants it.
    Goodput(GoodputError),
    /// A flag was given that the dataset does not look at.
    Unused {
        /// The flag, without dashes.
        flag: &'static str,
        /// The dataset.
        dataset: DatasetName,
        /// The datasets that do.
        users: Vec<DatasetName>,
    },
    /// A dataset with times was given a rate too, without `--no-self-timed`.
    HasTimes {
        /// The dataset.
        dataset: DatasetName,
    },
    /// The dataset needs a file and there is none.
    NoFile {
        /// The dataset.
        dataset: DatasetName,
    },
    /// The dataset needs a tokenizer and there is none.
    NoTokenizer {
        /// The dataset.
        dataset: DatasetName,
    },
    /// The profile does not hold for these engine arguments.
    Profile(ProfileError),
    /// A flag disagrees with the whole-pass profile that was chosen.
    NotInProfile {
        /// The flag, without dashes.
        flag: &'static str,
        /// Its value; empty for a switch.
        given: String,
        /// What the profile holds for.
        profile: String,
    },
    /// No profile can be composed for a value of a flag.
    NotComposed {
        /// The flag, without dashes.
        flag: &'static str,
        /// Its value.
        value: String,
        /// Why not.
        why: &'static str,
    },
    /// `--model` is no name that is known.
    Model(UnknownModel),
    /// No profile can be composed.
    Compose(ComposeError),
    /// vLLM would not start, or the simulator does not.
    Config(ConfigError),
    /// The workload cannot be built.
    Workload(WorkloadError),
    /// vLLM's front end would refuse a request.
    Refused {
        /// Its number, from 0.
        index: usize,
        /// Why.
        refusal: RequestRefusal,
    },
    /// The engine has a drafter, and nothing says how many of its drafts are accepted.
    NoAcceptance {
        /// Drafts of a verification.
        num_drafts: u32,
    },
    /// Two flags say how many drafts are accepted.
    TwoAcceptances {
        /// The one, without dashes.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A flag says how many drafts are accepted, and the engine has no drafter.
    AcceptanceWithoutDrafter {
        /// The flag, without dashes.
        flag: &'static str,
    },
    /// What a flag says of accepted drafts cannot be.
    Acceptance {
        /// The flag, without dashes.
        flag: &'static str,
        /// Why.
        error: AcceptanceError,
    },
    /// `--replica-fails`, or that of a role, says what cannot happen to so many replicas.
    Outage {
        /// The flag, without dashes.
        flag: &'static str,
        /// What it is.
        error: OutageError,
    },
    /// It is in what a role has of its own.
    InRole {
        /// The role.
        role: Role,
        /// What it is.
        error: Box<Self>,
    },
    /// A share link cannot be read.
    Link(LinkError),
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(error) => error.fmt(f),
            Self::TooLong { flag, length } => {
                write!(f, "--{flag}: its value has {length} bytes; the limit is {}", super::MAX_VALUE_BYTES)
            }
            Self::Value { flag, value, need } => write!(f, "--{flag}: {value:?} is not {need}"),
            Self::Goodput(error) => write!(f, "--goodput: {error}"),
            Self::Unused { flag, dataset, users } => {
                write!(f, "--{flag} does nothing with --dataset-name {dataset}; it is for ")?;
                for (place, user) in users.iter().enumerate() {
                    write!(f, "{}{user}", if place == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::HasTimes { dataset } => write!(
                f,
                "--dataset-name {dataset} has its own times, so --request-rate, --burstiness and --ramp-up-strategy do \
                 nothing; give --no-self-timed to use them instead"
            ),
            Self::NoFile { dataset } => write!(
                f,
                "--dataset-name {dataset} needs a file: give --dataset-path PATH (on the page, drop the file)"
            ),
            Self::NoTokenizer { dataset } => write!(
                f,
                "--dataset-name {dataset}: its prompts are texts, and counting their tokens needs the model's \
                 tokenizer; give --tokenizer PATH/tokenizer.json to `profiler simulate` (the page cannot)"
            ),
            Self::Profile(error) => error.fmt(f),
            Self::NotInProfile { flag, given, profile } => {
                write!(f, "--{flag}{}{given}: the profile is of ", if given.is_empty() { "" } else { " " })?;
                write!(f, "{profile}; choose --model and --gpu instead of a profile, and it is composed for this value")
            }
            Self::NotComposed { flag, value, why } => write!(f, "--{flag} {value}: {why}"),
            Self::Model(error) => error.fmt(f),
            Self::Compose(error) => error.fmt(f),
            Self::Config(error) if error.is_simulators_own() => error.fmt(f),
            Self::Config(error) => write!(f, "vLLM would not start with these engine arguments: {error}"),
            Self::Workload(error) => error.fmt(f),
            Self::Refused { index, refusal } => write!(f, "request {index}: {refusal}"),
            Self::NoAcceptance { num_drafts } => write!(
                f,
                "--speculative-config: how many of the {num_drafts} drafts are accepted depends on the text, so it must be \
                 said: --spec-acceptance-length (mean tokens of a verification, from 1 to {}), --spec-acceptance-rates \
                 (the chance of each draft if those before it were accepted) or --spec-acceptance-sequence",
                num_drafts + 1
            ),
            Self::TwoAcceptances { first, second } => {
                write!(f, "--{first} and --{second} both say how many drafts are accepted; give one")
            }
            Self::AcceptanceWithoutDrafter { flag } => {
                write!(f, "--{flag} does nothing without --speculative-config")
            }
            Self::Acceptance { flag, error } => write!(f, "--{flag}: {error}"),
            Self::Outage { flag, error } => write!(f, "--{flag}: {error}"),
            Self::InRole { role, error } => write!(f, "--{}, {role} replicas: {error}", role.flag()),
            Self::Link(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ScenarioError {}

macro_rules! from {
    ($($error:ty => $variant:ident),*) => {
        $(impl From<$error> for ScenarioError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

from!(FlagError => Flag, GoodputError => Goodput, ProfileError => Profile, ConfigError => Config,
      WorkloadError => Workload, LinkError => Link, UnknownModel => Model, ComposeError => Compose);
