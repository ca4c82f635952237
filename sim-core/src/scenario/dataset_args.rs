//! The dataset that flags say, and its requests.

use alloc::string::String;

use super::workload_args::WorkloadArgs;
use super::{DatasetName, ScenarioError, TextTokens, mixture};
use crate::workload::dataset::{Dataset, Sample, SampleOptions, Tokenizer, sample};
use crate::workload::random::{PrefixRepetition, Random};
use crate::workload::sessions::Sessions;
use crate::workload::table::Table;
use crate::workload::text::{Custom, ShareGpt, TokenCounter};
use crate::workload::timed_trace::{TimedTrace, TimedTraceOptions};
use crate::workload::trace::{BurstGpt, RecordedTrace};

impl WorkloadArgs {
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
        let options = SampleOptions {
            num_prompts: self.num_prompts.or((!name.has_times()).then_some(1000)),
            seed: self.seed(),
            disable_shuffle: self.disable_shuffle,
            no_oversample: self.no_oversample,
            tokenizer: Tokenizer::default(),
        };
        let sample = match (name, options.num_prompts) {
            (DatasetName::Mixture, Some(num_arrivals)) => mixture::sample(file, num_arrivals, &options)?,
            _ => sample(
                &self.dataset(name, file, TokenCounter(&|text| counter.map_or(0, |count| count(text))))?,
                &options,
            )?,
        };
        if sample.send_times.is_some() && self.is_paced() && self.self_timed != Some(false) {
            return Err(ScenarioError::HasTimes { dataset: name });
        }
        Ok(sample)
    }

    /// `count` requests or sessions of a class; the rest is as `options` say.
    pub(super) fn sample_class(&self, count: u32, options: &SampleOptions) -> Result<Sample, ScenarioError> {
        let options = SampleOptions { num_prompts: Some(count), ..*options };
        let dataset = match self.dataset_name() {
            DatasetName::Sessions => Dataset::Sessions(Sessions { num_sessions: count, ..self.sessions.sessions() }),
            name => self.dataset(name, &[], TokenCounter(&|_| 0))?,
        };
        Ok(sample(&dataset, &options)?)
    }

    fn dataset<'a>(
        &self,
        name: DatasetName,
        file: &'a [u8],
        counter: TokenCounter<'a>,
    ) -> Result<Dataset<'a>, ScenarioError> {
        Ok(match name {
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
            DatasetName::Sessions => Dataset::Sessions(self.sessions.sessions()),
            // A mixture is of datasets.
            DatasetName::Random | DatasetName::Mixture => Dataset::Random(self.random()),
        })
    }

    /// Whether it was said how fast requests are sent.
    pub(super) const fn is_paced(&self) -> bool {
        self.request_rate.is_some() || self.burstiness.is_some() || self.ramp_up_strategy.is_some()
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
