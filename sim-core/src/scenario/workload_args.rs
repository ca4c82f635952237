//! What is sent and when, of the flags of `vllm bench serve`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::table_args::TableArgs;
use super::{DatasetName, ScenarioError, TextTokens};
use crate::config::flags::FlagError;
use crate::config::human_readable_int;
use crate::metrics::python_float;
use crate::workload::EarlierOptions;
use crate::workload::arrival::{RampUpStrategy, TrafficOptions};
use crate::workload::dataset::{Dataset, Sample, SampleOptions, Tokenizer, sample};
use crate::workload::lengths::RangeRatio;
use crate::workload::random::{PrefixRepetition, Random};
use crate::workload::table::Table;
use crate::workload::text::{Custom, ShareGpt, TokenCounter};
use crate::workload::timed_trace::{TimedTrace, TimedTraceOptions};
use crate::workload::trace::{BurstGpt, RecordedTrace};

/// What is sent and when: vLLM's names, each `None` until given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WorkloadArgs {
    /// Where requests come from; vLLM's default is random.
    pub dataset_name: Option<DatasetName>,
    /// File of the dataset, as the user names it.
    pub dataset_path: Option<String>,
    num_prompts: Option<u32>,
    seed: Option<u32>,
    request_rate: Option<f64>,
    burstiness: Option<f64>,
    max_concurrency: Option<u32>,
    ramp_up_strategy: Option<RampUpStrategy>,
    ramp_up_start_rps: Option<u32>,
    ramp_up_end_rps: Option<u32>,
    self_timed: Option<bool>,
    input_len: Option<u32>,
    output_len: Option<u32>,
    random_input_len: Option<u32>,
    random_output_len: Option<u32>,
    random_range_ratio: Option<RangeRatio>,
    random_prefix_len: Option<u32>,
    prefix_repetition_prefix_len: Option<u32>,
    prefix_repetition_suffix_len: Option<u32>,
    prefix_repetition_num_prefixes: Option<u32>,
    prefix_repetition_output_len: Option<u32>,
    sharegpt_output_len: Option<u32>,
    custom_output_len: Option<i64>,
    timed_trace_chunk_hash_size: Option<u32>,
    timed_trace_sec_multiplier: Option<f64>,
    timed_trace_label_timestamp: Option<String>,
    timed_trace_label_input_length: Option<String>,
    timed_trace_label_output_length: Option<String>,
    timed_trace_label_hash_ids: Option<String>,
    disable_shuffle: bool,
    no_oversample: bool,
    num_warmups: Option<u32>,
    ready_check_timeout_sec: Option<u32>,
    num_earlier_runs: Option<u32>,
    table: TableArgs,
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
                            burstgpt_timed, table";
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
            _ => self.no_oversample = is_on,
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

    /// The requests, of `file` where the dataset has one.
    ///
    /// # Errors
    /// [`ScenarioError::Unused`] for a flag the dataset does not look at, [`ScenarioError::NoFile`],
    /// [`ScenarioError::NoTokenizer`], and those of [`sample`].
    pub fn sample(&self, file: Option<&[u8]>, counter: Option<TextTokens<'_>>) -> Result<Sample, ScenarioError> {
        let name = self.dataset_name();
        self.check_used(name)?;
        let file = match file {
            None if name.needs_file() => return Err(ScenarioError::NoFile { dataset: name }),
            file => file.unwrap_or_default(),
        };
        if name.needs_tokenizer() && counter.is_none() {
            return Err(ScenarioError::NoTokenizer { dataset: name });
        }
        let count = |text: &str| counter.map_or(0, |count| count(text));
        let counter = TokenCounter(&count);
        let dataset = match name {
            DatasetName::Random => Dataset::Random(self.random()),
            DatasetName::PrefixRepetition => Dataset::PrefixRepetition(self.prefix_repetition()),
            DatasetName::ShareGpt => {
                let sharegpt_output_len = self.sharegpt_output_len.or(self.output_len);
                Dataset::ShareGpt(ShareGpt { json: file, sharegpt_output_len, counter })
            }
            DatasetName::Custom => {
                let custom_output_len = self.custom_output_len();
                Dataset::Custom(Custom { jsonl: file, custom_output_len, counter })
            }
            DatasetName::BurstGpt => Dataset::BurstGpt(BurstGpt::from_csv(file)?),
            DatasetName::TimedTrace => Dataset::TimedTrace(TimedTrace { jsonl: file, options: self.timed_trace() }),
            DatasetName::Azure => Dataset::Recorded(RecordedTrace::from_azure_csv(file)?),
            DatasetName::BurstGptTimed => Dataset::Recorded(RecordedTrace::from_burstgpt_csv(file, None)?),
            DatasetName::Table => {
                Dataset::Table(Table { file, options: self.table.options(self.timed_trace_chunk_hash_size) })
            }
        };
        let options = SampleOptions {
            num_prompts: self.num_prompts.or((!name.has_times()).then_some(1000)),
            seed: self.seed(),
            disable_shuffle: self.disable_shuffle,
            no_oversample: self.no_oversample,
            tokenizer: Tokenizer::default(),
        };
        let sample = sample(&dataset, &options)?;
        if sample.send_times.is_some() && self.is_paced() && self.self_timed != Some(false) {
            return Err(ScenarioError::HasTimes { dataset: name });
        }
        Ok(sample)
    }

    /// Whether it was said how fast requests are sent.
    const fn is_paced(&self) -> bool {
        self.request_rate.is_some() || self.burstiness.is_some() || self.ramp_up_strategy.is_some()
    }

    /// Refuses flags that the chosen dataset would not look at: what is given and does nothing misleads.
    pub(super) fn check_used(&self, name: DatasetName) -> Result<(), ScenarioError> {
        use DatasetName::{
            Azure, BurstGpt, BurstGptTimed, Custom, PrefixRepetition, Random, ShareGpt, Table, TimedTrace,
        };
        const TIMED: &[DatasetName] = &[TimedTrace];
        let files: &[DatasetName] = &[ShareGpt, Custom, BurstGpt, TimedTrace, Azure, BurstGptTimed, Table];
        let of_table = self.table.given();
        let flags: [(&'static str, bool, &'static [DatasetName]); 17] = [
            ("input-len", self.input_len.is_some(), &[Random]),
            ("output-len", self.output_len.is_some(), &[Random, PrefixRepetition, ShareGpt, Custom]),
            ("random-input-len", self.random_input_len.is_some(), &[Random]),
            ("random-output-len", self.random_output_len.is_some(), &[Random]),
            ("random-range-ratio", self.random_range_ratio.is_some(), &[Random]),
            ("random-prefix-len", self.random_prefix_len.is_some(), &[Random]),
            ("prefix-repetition-prefix-len", self.prefix_repetition_prefix_len.is_some(), &[PrefixRepetition]),
            ("prefix-repetition-suffix-len", self.prefix_repetition_suffix_len.is_some(), &[PrefixRepetition]),
            ("prefix-repetition-num-prefixes", self.prefix_repetition_num_prefixes.is_some(), &[PrefixRepetition]),
            ("prefix-repetition-output-len", self.prefix_repetition_output_len.is_some(), &[PrefixRepetition]),
            ("sharegpt-output-len", self.sharegpt_output_len.is_some(), &[ShareGpt]),
            ("custom-output-len", self.custom_output_len.is_some(), &[Custom]),
            ("timed-trace-chunk-hash-size", self.timed_trace_chunk_hash_size.is_some(), &[TimedTrace, Table]),
            ("timed-trace-sec-multiplier", self.timed_trace_sec_multiplier.is_some(), TIMED),
            ("timed-trace-label-hash-ids", self.timed_trace_label_hash_ids.is_some(), TIMED),
            ("timed-trace-label-timestamp", self.timed_trace_label_timestamp.is_some(), TIMED),
            (of_table.unwrap_or_default(), of_table.is_some(), &[Table]),
        ];
        if self.dataset_path.is_some() && !files.contains(&name) {
            return Err(ScenarioError::Unused { flag: "dataset-path", dataset: name, users: files.to_vec() });
        }
        if let Some((flag, _, users)) = flags.iter().find(|(_, is_given, users)| *is_given && !users.contains(&name)) {
            return Err(ScenarioError::Unused { flag, dataset: name, users: users.to_vec() });
        }
        // A table may have none: only its file tells.
        if name.has_times() && name != Table && self.is_paced() && self.self_timed != Some(false) {
            return Err(ScenarioError::HasTimes { dataset: name });
        }
        Ok(())
    }

    fn random(&self) -> Random {
        let defaults = Random::default();
        Random {
            random_input_len: self.random_input_len.or(self.input_len).unwrap_or(defaults.random_input_len),
            random_output_len: self.random_output_len.or(self.output_len).unwrap_or(defaults.random_output_len),
            random_range_ratio: self.random_range_ratio.unwrap_or(defaults.random_range_ratio),
            random_prefix_len: self.random_prefix_len.unwrap_or(defaults.random_prefix_len),
        }
    }

    fn prefix_repetition(&self) -> PrefixRepetition {
        let defaults = PrefixRepetition::default();
        let (prefix, suffix) = (self.prefix_repetition_prefix_len, self.prefix_repetition_suffix_len);
        let (count, output) = (self.prefix_repetition_num_prefixes, self.prefix_repetition_output_len);
        PrefixRepetition {
            prefix_repetition_prefix_len: prefix.unwrap_or(defaults.prefix_repetition_prefix_len),
            prefix_repetition_suffix_len: suffix.unwrap_or(defaults.prefix_repetition_suffix_len),
            prefix_repetition_num_prefixes: count.unwrap_or(defaults.prefix_repetition_num_prefixes),
            prefix_repetition_output_len: output.or(self.output_len).unwrap_or(defaults.prefix_repetition_output_len),
        }
    }

    /// `None` for -1, which takes each line's own length.
    fn custom_output_len(&self) -> Option<u32> {
        self.custom_output_len.map_or(self.output_len.or(Some(256)), |length| u32::try_from(length).ok())
    }

    fn timed_trace(&self) -> TimedTraceOptions {
        let defaults = TimedTraceOptions::default();
        let or = |given: &Option<String>, default| given.clone().unwrap_or(default);
        TimedTraceOptions {
            timed_trace_chunk_hash_size: self
                .timed_trace_chunk_hash_size
                .unwrap_or(defaults.timed_trace_chunk_hash_size),
            timed_trace_sec_multiplier: self.timed_trace_sec_multiplier.unwrap_or(defaults.timed_trace_sec_multiplier),
            timed_trace_label_timestamp: or(&self.timed_trace_label_timestamp, defaults.timed_trace_label_timestamp),
            timed_trace_label_input_length: or(
                &self.timed_trace_label_input_length,
                defaults.timed_trace_label_input_length,
            ),
            timed_trace_label_output_length: or(
                &self.timed_trace_label_output_length,
                defaults.timed_trace_label_output_length,
            ),
            timed_trace_label_hash_ids: or(&self.timed_trace_label_hash_ids, defaults.timed_trace_label_hash_ids),
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
