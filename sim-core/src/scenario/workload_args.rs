//! What is sent and when, of the flags of `vllm bench serve`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::session_args::SessionArgs;
use super::table_args::TableArgs;
use super::{DatasetName, ScenarioError};
use crate::config::flags::FlagError;
use crate::config::human_readable_int;
use crate::metrics::python_float;
use crate::workload::EarlierOptions;
use crate::workload::arrival::{RampUpStrategy, TrafficOptions};
use crate::workload::lengths::RangeRatio;

/// What is sent and when: vLLM's names, each `None` until given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WorkloadArgs {
    /// Where requests come from; vLLM's default is random.
    pub dataset_name: Option<DatasetName>,
    /// File of the dataset, as the user names it.
    pub dataset_path: Option<String>,
    pub(super) num_prompts: Option<u32>,
    pub(super) seed: Option<u32>,
    pub(super) request_rate: Option<f64>,
    pub(super) burstiness: Option<f64>,
    pub(super) max_concurrency: Option<u32>,
    pub(super) ramp_up_strategy: Option<RampUpStrategy>,
    pub(super) ramp_up_start_rps: Option<u32>,
    pub(super) ramp_up_end_rps: Option<u32>,
    pub(super) self_timed: Option<bool>,
    pub(super) input_len: Option<u32>,
    pub(super) output_len: Option<u32>,
    pub(super) random_input_len: Option<u32>,
    pub(super) random_output_len: Option<u32>,
    pub(super) random_range_ratio: Option<RangeRatio>,
    pub(super) random_prefix_len: Option<u32>,
    pub(super) prefix_repetition_prefix_len: Option<u32>,
    pub(super) prefix_repetition_suffix_len: Option<u32>,
    pub(super) prefix_repetition_num_prefixes: Option<u32>,
    pub(super) prefix_repetition_output_len: Option<u32>,
    pub(super) sharegpt_output_len: Option<u32>,
    pub(super) custom_output_len: Option<i64>,
    pub(super) timed_trace_chunk_hash_size: Option<u32>,
    pub(super) timed_trace_sec_multiplier: Option<f64>,
    pub(super) timed_trace_label_timestamp: Option<String>,
    pub(super) timed_trace_label_input_length: Option<String>,
    pub(super) timed_trace_label_output_length: Option<String>,
    pub(super) timed_trace_label_hash_ids: Option<String>,
    pub(super) disable_shuffle: bool,
    pub(super) no_oversample: bool,
    pub(super) num_warmups: Option<u32>,
    pub(super) ready_check_timeout_sec: Option<u32>,
    pub(super) num_earlier_runs: Option<u32>,
    pub(super) table: TableArgs,
    pub(super) sessions: SessionArgs,
    pub(super) spec_acceptance_rates: Option<Vec<f64>>,
    pub(super) spec_acceptance_length: Option<f64>,
    pub(super) spec_acceptance_sequence: Option<Vec<u32>>,
}

impl WorkloadArgs {
    /// The dataset: vLLM's default if none was named.
    #[must_use]
    pub fn dataset_name(&self) -> DatasetName {
        self.dataset_name.unwrap_or(DatasetName::Random)
    }

    /// Sets the field of flag `name` from its text.
    pub(super) fn set(&mut self, name: &'static str, text: &str) -> Result<(), ScenarioError> {
        let count = match name {
            "num-prompts" => &mut self.num_prompts,
            "seed" => &mut self.seed,
            "max-concurrency" => &mut self.max_concurrency,
            "ramp-up-start-rps" => &mut self.ramp_up_start_rps,
            "ramp-up-end-rps" => &mut self.ramp_up_end_rps,
            "input-len" => &mut self.input_len,
            "output-len" => &mut self.output_len,
            "random-input-len" => &mut self.random_input_len,
            "random-output-len" => &mut self.random_output_len,
            "random-prefix-len" => &mut self.random_prefix_len,
            "prefix-repetition-prefix-len" => &mut self.prefix_repetition_prefix_len,
            "prefix-repetition-suffix-len" => &mut self.prefix_repetition_suffix_len,
            "prefix-repetition-num-prefixes" => &mut self.prefix_repetition_num_prefixes,
            "prefix-repetition-output-len" => &mut self.prefix_repetition_output_len,
            "sharegpt-output-len" => &mut self.sharegpt_output_len,
            "num-warmups" => &mut self.num_warmups,
            "ready-check-timeout-sec" => &mut self.ready_check_timeout_sec,
            "num-earlier-runs" => &mut self.num_earlier_runs,
            "timed-trace-chunk-hash-size" => &mut self.timed_trace_chunk_hash_size,
            _ => return self.set_other(name, text),
        };
        let value = plain_integer(text).and_then(|value| u32::try_from(value).ok());
        *count = Some(value.ok_or_else(|| wrong(name, text, "a whole number from 0 to 4294967295"))?);
        Ok(())
    }

    /// The fields that are not plain counts.
    fn set_other(&mut self, name: &'static str, text: &str) -> Result<(), ScenarioError> {
        let number = |text: &str| python_float::parse(text).ok_or_else(|| wrong(name, text, "a number"));
        let is_on = text == "true";
        match name {
            "dataset-name" => {
                let dataset = DatasetName::from_name(text);
                let need = "one of random, prefix_repetition, sharegpt, custom, burstgpt, timed_trace, and ours: azure, \
                            burstgpt_timed, table, sessions, mixture";
                self.dataset_name = Some(dataset.ok_or_else(|| wrong(name, text, need))?);
            }
            "dataset-path" => self.dataset_path = Some(text.to_string()),
            "request-rate" => self.request_rate = Some(number(text)?),
            "burstiness" => self.burstiness = Some(number(text)?),
            "ramp-up-strategy" => {
                self.ramp_up_strategy = Some(match text {
                    "linear" => RampUpStrategy::Linear,
                    "exponential" => RampUpStrategy::Exponential,
                    _ => return Err(wrong(name, text, "one of linear, exponential")),
                });
            }
            "self-timed" => self.self_timed = Some(is_on),
            "random-range-ratio" => self.random_range_ratio = Some(RangeRatio::parse(text)?),
            "custom-output-len" => {
                let length = plain_integer(text).filter(|&length| length == -1 || u32::try_from(length).is_ok());
                self.custom_output_len = Some(length.ok_or_else(|| wrong(name, text, "-1 or at least 0"))?);
            }
            "timed-trace-sec-multiplier" => self.timed_trace_sec_multiplier = Some(number(text)?),
            "timed-trace-label-timestamp" => self.timed_trace_label_timestamp = Some(text.to_string()),
            "timed-trace-label-input-length" => self.timed_trace_label_input_length = Some(text.to_string()),
            "timed-trace-label-output-length" => self.timed_trace_label_output_length = Some(text.to_string()),
            "timed-trace-label-hash-ids" => self.timed_trace_label_hash_ids = Some(text.to_string()),
            "spec-acceptance-rates" => {
                let rates = listed(text, |part| python_float::parse(part).filter(|rate| (0.0..=1.0).contains(rate)));
                let need = "numbers from 0 to 1 with commas between them";
                self.spec_acceptance_rates = Some(rates.ok_or_else(|| wrong(name, text, need))?);
            }
            "spec-acceptance-length" => self.spec_acceptance_length = Some(number(text)?),
            "spec-acceptance-sequence" => {
                let sequence = listed(text, |part| part.parse().ok());
                let need = "numbers of accepted drafts with commas between them";
                self.spec_acceptance_sequence = Some(sequence.ok_or_else(|| wrong(name, text, need))?);
            }
            "disable-shuffle" => self.disable_shuffle = is_on,
            "columns" | "time-unit" | "session-replay" => self.table.set(name, text)?,
            "no-oversample" => self.no_oversample = is_on,
            // The flags of sessions are what is left.
            _ => drop(self.sessions.set(name, text)?),
        }
        Ok(())
    }

    /// Seed of everything random.
    #[must_use]
    pub fn seed(&self) -> u32 {
        self.seed.unwrap_or(0)
    }

    /// When requests are sent.
    #[must_use]
    pub fn traffic(&self) -> TrafficOptions {
        let defaults = TrafficOptions::default();
        TrafficOptions {
            request_rate: self.request_rate.unwrap_or(defaults.request_rate),
            burstiness: self.burstiness.unwrap_or(defaults.burstiness),
            ramp_up_strategy: self.ramp_up_strategy,
            ramp_up_start_rps: self.ramp_up_start_rps,
            ramp_up_end_rps: self.ramp_up_end_rps,
            max_concurrency: self.max_concurrency,
            self_timed: self.self_timed,
        }
    }

    /// What is sent before the measured requests.
    #[must_use]
    pub fn earlier(&self) -> EarlierOptions {
        EarlierOptions {
            num_warmups: self.num_warmups.unwrap_or(0),
            has_ready_check: self.ready_check_timeout_sec.is_some_and(|seconds| seconds > 0),
            num_earlier_runs: self.num_earlier_runs.unwrap_or(0),
        }
    }
}

/// What stands between commas, each read by `parse`.
fn listed<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(|part| parse(part.trim())).collect()
}

/// An integer without suffix.
fn plain_integer(text: &str) -> Option<i64> {
    human_readable_int(text).ok().filter(|_| !text.contains(char::is_alphabetic))
}

fn wrong(name: &'static str, text: &str, expected: &'static str) -> ScenarioError {
    FlagError::value(&alloc::format!("--{name}"), text, expected).into()
}
