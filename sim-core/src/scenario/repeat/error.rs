//! Why a measured run is not simulated again.

use alloc::string::String;
use core::fmt;

use crate::scenario::{DatasetName, ScenarioError};
use crate::workload::WorkloadError;

/// Why a measured run is not simulated again. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RepeatError {
    /// A number that every result has is absent or none that it can be.
    Number {
        /// Its key.
        key: &'static str,
        /// What stands there.
        value: String,
        /// What must stand there.
        need: &'static str,
    },
    /// Requests failed.
    Failed {
        /// How many.
        failed: u64,
    },
    /// Fewer requests were answered than `num_prompts`, and the file does not count failures.
    Incomplete {
        /// Answered.
        completed: u64,
        /// Asked for.
        num_prompts: u64,
    },
    /// A flag that was given is not what the file states.
    Contradiction {
        /// The flag, without dashes.
        flag: &'static str,
        /// What was given.
        given: String,
        /// What the file states; `None`: it states all flags, and this is not one of them.
        stated: Option<String>,
    },
    /// A key of the file says another traffic than the flags that it states.
    Changed {
        /// The flag, without dashes; the key has `_` for `-`.
        flag: &'static str,
        /// What the key says.
        value: String,
        /// What the flags say; empty if nothing.
        of_flags: String,
    },
    /// A flag was given that changes nothing, since the file has request by request what it would say.
    Unused {
        /// The flag, without dashes.
        flag: &'static str,
    },
    /// The file has neither the requests' lengths nor the dataset, and its totals are no equal lengths.
    NoLengths {
        /// Requests.
        num_requests: u64,
        /// All prompt tokens.
        total_input_tokens: u64,
        /// All output tokens.
        total_output_tokens: u64,
    },
    /// The file counts drafts, and the engine's flags have no drafter.
    NoDrafter,
    /// The dataset's file is needed and was not given.
    NoFile {
        /// The dataset.
        dataset: DatasetName,
    },
    /// The dataset's file is not the one that the result was made with.
    OtherFile {
        /// The dataset.
        dataset: DatasetName,
    },
    /// The workload has other totals than the file.
    Total {
        /// The file's key.
        key: &'static str,
        /// The file's number.
        stated: u64,
        /// The workload's.
        made: u64,
    },
    /// The workload has a request of another length than the file.
    Lengths {
        /// Its number, from 0.
        request: usize,
        /// Prompt and output tokens in the file.
        stated: (u32, u32),
        /// Those of the workload.
        made: (u32, u32),
    },
    /// Requests sent at these times would not have ended when the file says.
    Times {
        /// When the last would have, in seconds.
        end: f64,
        /// The file's duration.
        duration: f64,
    },
    /// The flags make no workload.
    Scenario(ScenarioError),
}

impl fmt::Display for RepeatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LENGTHS: &str = "give --dataset-name with the lengths that it had, or a file saved with --save-detailed";
        match self {
            Self::Number { key, value, need } => write!(f, "{key} is {value}; it must be {need}"),
            Self::Failed { failed } => write!(f, "{failed} requests failed; a run must be whole to be simulated"),
            Self::Incomplete { completed, num_prompts } => write!(
                f,
                "completed is {completed} of num_prompts {num_prompts}, and failures are not counted; a run must be whole \
                 to be simulated"
            ),
            Self::Contradiction { flag, given, stated: Some(stated) } => {
                write!(f, "--{flag} {given} was given, and the file states {}: leave the flag out", said(flag, stated))
            }
            Self::Contradiction { flag, given, stated: None } => write!(
                f,
                "--{flag} {given} was given, and the file, which states all flags of its run, has no such one: leave it out"
            ),
            Self::Changed { flag, value, of_flags } => write!(
                f,
                "{} is {value} in the file, and {} by the flags that it states (simulation.flags): it was changed",
                flag.replace('-', "_"),
                said(flag, of_flags)
            ),
            Self::Unused { flag } => write!(
                f,
                "--{flag} does nothing: the file says of each request how long it was and when it was sent; give \
                 --dataset-name, too, if it is to say what the prompts were"
            ),
            Self::NoLengths { num_requests, total_input_tokens, total_output_tokens } => write!(
                f,
                "the file does not say the lengths of its requests, and {total_input_tokens} prompt and \
                 {total_output_tokens} output tokens are not {num_requests} times the same: {LENGTHS}"
            ),
            Self::NoDrafter => {
                f.write_str("the file counts drafts (spec_decode_num_drafts): give --speculative-config as it was")
            }
            Self::NoFile { dataset } => {
                write!(f, "the requests are of --dataset-name {dataset}: give its file with --dataset-path")
            }
            Self::OtherFile { dataset } => write!(
                f,
                "the file of --dataset-name {dataset} is not the one that the result was made with: their contents \
                 differ; give that one with --dataset-path"
            ),
            Self::Total { key, stated, made } => {
                write!(f, "{key} is {stated} in the file and {made} by the workload that was simulated: {LENGTHS}")
            }
            Self::Lengths { request, stated, made } => write!(
                f,
                "request {request} has {} prompt and {} output tokens in the file, and {} and {} by the flags: give \
                 those of the run, --seed among them, or none for its dataset",
                stated.0, stated.1, made.0, made.1
            ),
            Self::Times { end, duration } => write!(
                f,
                "with the file's latencies the last answer would have come after {end:.1} s, and its duration is \
                 {duration:.1} s: requests were sent at other times; give the --seed of the run, or --dataset-name if \
                 its times are a dataset's, or a file saved with --save-detailed"
            ),
            Self::Scenario(error) => error.fmt(f),
        }
    }
}

/// A stated flag in a sentence.
fn said(flag: &str, stated: &str) -> String {
    if stated.is_empty() { alloc::format!("no --{flag}") } else { String::from(stated) }
}

impl core::error::Error for RepeatError {}

impl From<ScenarioError> for RepeatError {
    fn from(error: ScenarioError) -> Self {
        Self::Scenario(error)
    }
}

impl From<WorkloadError> for RepeatError {
    fn from(error: WorkloadError) -> Self {
        Self::Scenario(error.into())
    }
}
