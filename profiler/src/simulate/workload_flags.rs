//! The flags of `vllm bench serve` that decide what is sent and when.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use sim_core::workload::Workload;
use sim_core::workload::arrival::{RampUpStrategy, TrafficOptions};
use sim_core::workload::dataset::{Dataset, SampleOptions, Tokenizer, sample};
use sim_core::workload::lengths::RangeRatio;
use sim_core::workload::random::{PrefixRepetition, Random};
use sim_core::workload::text::{Custom, ShareGpt, TokenCounter};
use sim_core::workload::timed_trace::{TimedTrace, TimedTraceOptions};
use sim_core::workload::trace::{BurstGpt, RecordedTrace};

use super::token_counter::load_token_counter;

/// The trace that is simulated when nothing else is asked for: the first 1,000 requests of the Azure conversation
/// trace of 2023 (Microsoft, CC-BY-4.0).
const DEFAULT_TRACE: &[u8] = include_bytes!("../../../www/datasets/azure_llm_2023_conv_first_1000.csv");

/// Largest dataset file read.
const MAX_DATASET_BYTES: u64 = 1 << 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum DatasetName {
    /// Random prompts of stated lengths
    Random,
    /// Prompts that share prefixes
    PrefixRepetition,
    /// A ShareGPT file; needs --tokenizer
    Sharegpt,
    /// A JSONL file with a `prompt` per line; needs --tokenizer
    Custom,
    /// Lengths of a BurstGPT CSV file
    Burstgpt,
    /// Mooncake, Bailian and the like: JSONL with times, lengths and block hashes
    TimedTrace,
    /// Azure's LLM inference traces: CSV with times and lengths (not vLLM's)
    Azure,
    /// A BurstGPT CSV file with its times (not vLLM's)
    BurstgptTimed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RampUp {
    Linear,
    Exponential,
}

/// What is sent and when.
#[derive(Debug, Default, PartialEq, clap::Args)]
#[expect(clippy::doc_markdown, reason = "these comments are the help text, shown as they stand")]
#[command(next_help_heading = "Workload (flags of vllm bench serve)")]
pub(crate) struct WorkloadFlags {
    /// Where requests come from [default: random; without any workload flag, a sample of a real Azure trace]
    #[arg(long, value_enum)]
    dataset_name: Option<DatasetName>,
    /// File of the dataset
    #[arg(long, value_name = "PATH")]
    dataset_path: Option<PathBuf>,
    /// Requests to send [default: 1000; for recorded traces, all]
    #[arg(long, value_name = "N")]
    num_prompts: Option<u32>,
    /// Seed of everything random [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// Requests per second; inf for all at once [default: inf]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    request_rate: Option<f64>,
    /// Shape of the gaps: 1 is a Poisson process, inf is constant [default: 1]
    #[arg(long, value_name = "SHAPE", allow_negative_numbers = true)]
    burstiness: Option<f64>,
    /// Most requests under way
    #[arg(long, value_name = "N")]
    max_concurrency: Option<u32>,
    /// Let the rate grow from --ramp-up-start-rps to --ramp-up-end-rps
    #[arg(long, value_enum)]
    ramp_up_strategy: Option<RampUp>,
    /// Requests per second at the first request
    #[arg(long, value_name = "RPS")]
    ramp_up_start_rps: Option<u32>,
    /// Requests per second at the last request
    #[arg(long, value_name = "RPS")]
    ramp_up_end_rps: Option<u32>,
    /// Use the dataset's own times [default: if it has any]
    #[arg(long, overrides_with = "no_self_timed")]
    self_timed: bool,
    /// Do not use the dataset's own times
    #[arg(long)]
    no_self_timed: bool,
    /// Prompt tokens, for any dataset that makes its own
    #[arg(long, value_name = "N")]
    input_len: Option<u32>,
    /// Output tokens, for any dataset that can be told
    #[arg(long, value_name = "N")]
    output_len: Option<u32>,
    /// Prompt tokens of random requests [default: 1024]
    #[arg(long, value_name = "N")]
    random_input_len: Option<u32>,
    /// Output tokens of random requests [default: 128]
    #[arg(long, value_name = "N")]
    random_output_len: Option<u32>,
    /// Lengths vary by this share: a number in [0, 1) or {"input": R, "output": R} [default: 0.0]
    #[arg(long, value_name = "RATIO")]
    random_range_ratio: Option<String>,
    /// Tokens in front of every random prompt, the same for all [default: 0]
    #[arg(long, value_name = "N")]
    random_prefix_len: Option<u32>,
    /// Tokens of a shared prefix [default: 256]
    #[arg(long, value_name = "N")]
    prefix_repetition_prefix_len: Option<u32>,
    /// Tokens behind it [default: 256]
    #[arg(long, value_name = "N")]
    prefix_repetition_suffix_len: Option<u32>,
    /// Different prefixes [default: 10]
    #[arg(long, value_name = "N")]
    prefix_repetition_num_prefixes: Option<u32>,
    /// Output tokens [default: 128]
    #[arg(long, value_name = "N")]
    prefix_repetition_output_len: Option<u32>,
    /// Output tokens of a ShareGPT request, instead of the recorded answer's
    #[arg(long, value_name = "N")]
    sharegpt_output_len: Option<u32>,
    /// Output tokens of a custom request [default: 256]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    custom_output_len: Option<i64>,
    /// Tokens per entry of hash_ids: 16 for Bailian, 512 for Mooncake [default: 16]
    #[arg(long, value_name = "N")]
    timed_trace_chunk_hash_size: Option<u32>,
    /// Seconds per unit of a timed trace's clock: 0.001 for milliseconds [default: 1]
    #[arg(long, value_name = "X")]
    timed_trace_sec_multiplier: Option<f64>,
    /// Name of the time [default: timestamp]
    #[arg(long, value_name = "KEY")]
    timed_trace_label_timestamp: Option<String>,
    /// Name of the prompt's length [default: input_length]
    #[arg(long, value_name = "KEY")]
    timed_trace_label_input_length: Option<String>,
    /// Name of the output's length [default: output_length]
    #[arg(long, value_name = "KEY")]
    timed_trace_label_output_length: Option<String>,
    /// Name of the block hashes [default: hash_ids]
    #[arg(long, value_name = "KEY")]
    timed_trace_label_hash_ids: Option<String>,
    /// Keep the order of the file
    #[arg(long)]
    disable_shuffle: bool,
    /// Send fewer requests rather than some twice
    #[arg(long)]
    no_oversample: bool,
    /// The model's tokenizer.json: counts the tokens of sharegpt and custom prompts
    #[arg(long, value_name = "PATH")]
    pub(crate) tokenizer: Option<PathBuf>,
}

impl WorkloadFlags {
    /// Whether the built-in workload is asked for: no flag says otherwise.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses flags that the chosen dataset would not look at: what is given and does nothing misleads.
    fn check_used(&self, name: DatasetName) -> Result<()> {
        use DatasetName::{Azure, Burstgpt, BurstgptTimed, Custom, PrefixRepetition, Random, Sharegpt, TimedTrace};
        let flags: [(&str, bool, &[DatasetName]); 18] = [
            (
                "--dataset-path",
                self.dataset_path.is_some(),
                &[Sharegpt, Custom, Burstgpt, TimedTrace, Azure, BurstgptTimed],
            ),
            ("--input-len", self.input_len.is_some(), &[Random]),
            ("--output-len", self.output_len.is_some(), &[Random, PrefixRepetition, Sharegpt, Custom]),
            ("--random-input-len", self.random_input_len.is_some(), &[Random]),
            ("--random-output-len", self.random_output_len.is_some(), &[Random]),
            ("--random-range-ratio", self.random_range_ratio.is_some(), &[Random]),
            ("--random-prefix-len", self.random_prefix_len.is_some(), &[Random]),
            ("--prefix-repetition-prefix-len", self.prefix_repetition_prefix_len.is_some(), &[PrefixRepetition]),
            ("--prefix-repetition-suffix-len", self.prefix_repetition_suffix_len.is_some(), &[PrefixRepetition]),
            ("--prefix-repetition-num-prefixes", self.prefix_repetition_num_prefixes.is_some(), &[PrefixRepetition]),
            ("--prefix-repetition-output-len", self.prefix_repetition_output_len.is_some(), &[PrefixRepetition]),
            ("--sharegpt-output-len", self.sharegpt_output_len.is_some(), &[Sharegpt]),
            ("--custom-output-len", self.custom_output_len.is_some(), &[Custom]),
            ("--tokenizer", self.tokenizer.is_some(), &[Sharegpt, Custom]),
            ("--timed-trace-chunk-hash-size", self.timed_trace_chunk_hash_size.is_some(), &[TimedTrace]),
            ("--timed-trace-sec-multiplier", self.timed_trace_sec_multiplier.is_some(), &[TimedTrace]),
            ("--timed-trace-label-hash-ids", self.timed_trace_label_hash_ids.is_some(), &[TimedTrace]),
            ("--timed-trace-label-timestamp", self.timed_trace_label_timestamp.is_some(), &[TimedTrace]),
        ];
        let shown =
            |name: DatasetName| name.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        for (flag, is_given, datasets) in flags {
            if is_given && !datasets.contains(&name) {
                let users = datasets.iter().map(|&name| shown(name)).collect::<Vec<_>>().join(", ");
                bail!("{flag} does nothing with --dataset-name {}; it is for {users}", shown(name));
            }
        }
        let has_times = matches!(name, Azure | BurstgptTimed | TimedTrace);
        let paced = self.request_rate.is_some() || self.burstiness.is_some() || self.ramp_up_strategy.is_some();
        ensure!(
            !(has_times && paced && !self.no_self_timed),
            "--dataset-name {} has its own times, so --request-rate, --burstiness and --ramp-up-strategy do nothing; \
             give --no-self-timed to use them instead",
            shown(name)
        );
        Ok(())
    }

    /// When requests are sent.
    pub(crate) fn traffic(&self) -> TrafficOptions {
        let defaults = TrafficOptions::default();
        TrafficOptions {
            request_rate: self.request_rate.unwrap_or(defaults.request_rate),
            burstiness: self.burstiness.unwrap_or(defaults.burstiness),
            ramp_up_strategy: self.ramp_up_strategy.map(|strategy| match strategy {
                RampUp::Linear => RampUpStrategy::Linear,
                RampUp::Exponential => RampUpStrategy::Exponential,
            }),
            ramp_up_start_rps: self.ramp_up_start_rps,
            ramp_up_end_rps: self.ramp_up_end_rps,
            max_concurrency: self.max_concurrency,
            self_timed: self.self_timed.then_some(true).or(self.no_self_timed.then_some(false)),
        }
    }

    /// The requests and their times; the second is the number of entries left out, which asked for no token.
    pub(crate) fn build(&self) -> Result<(Workload, u32)> {
        let mut options = SampleOptions {
            num_prompts: self.num_prompts,
            seed: self.seed.unwrap_or(0),
            disable_shuffle: self.disable_shuffle,
            no_oversample: self.no_oversample,
            tokenizer: Tokenizer::default(),
        };
        let name =
            self.dataset_name.unwrap_or(if self.is_default() { DatasetName::Azure } else { DatasetName::Random });
        self.check_used(name)?;
        let file = self.read_dataset()?;
        let counter = self.tokenizer.as_deref().map(load_token_counter).transpose()?;
        let count = |text: &str| counter.as_ref().map_or(0, |count| count(text));
        let name =
            self.dataset_name.unwrap_or(if self.is_default() { DatasetName::Azure } else { DatasetName::Random });
        let dataset = match name {
            DatasetName::Random => Dataset::Random(self.random()?),
            DatasetName::PrefixRepetition => Dataset::PrefixRepetition(self.prefix_repetition()),
            DatasetName::Sharegpt | DatasetName::Custom => {
                ensure!(
                    counter.is_some(),
                    "--dataset-name {}: its prompts are texts, and counting their tokens needs the model's \
                     tokenizer; give --tokenizer PATH/tokenizer.json",
                    if name == DatasetName::Custom { "custom" } else { "sharegpt" }
                );
                let counter = TokenCounter(&count);
                let bytes = file.as_slice();
                let answer = self.sharegpt_output_len.or(self.output_len);
                if name == DatasetName::Sharegpt {
                    Dataset::ShareGpt(ShareGpt { json: bytes, sharegpt_output_len: answer, counter })
                } else {
                    Dataset::Custom(Custom { jsonl: bytes, custom_output_len: self.custom_output_len()?, counter })
                }
            }
            DatasetName::Burstgpt => Dataset::BurstGpt(BurstGpt::from_csv(&file)?),
            DatasetName::TimedTrace => Dataset::TimedTrace(TimedTrace { jsonl: &file, options: self.timed_trace() }),
            DatasetName::Azure => Dataset::Recorded(RecordedTrace::from_azure_csv(&file)?),
            DatasetName::BurstgptTimed => Dataset::Recorded(RecordedTrace::from_burstgpt_csv(&file, None)?),
        };
        if !matches!(dataset, Dataset::Recorded(_) | Dataset::TimedTrace(_)) {
            options.num_prompts = Some(self.num_prompts.unwrap_or(1000));
        }
        let sample = sample(&dataset, &options)?;
        let num_skipped = sample.num_skipped;
        Ok((sample.into_workload(&self.traffic())?, num_skipped))
    }

    fn read_dataset(&self) -> Result<Vec<u8>> {
        let needs_file = !matches!(
            self.dataset_name,
            None | Some(DatasetName::Random | DatasetName::PrefixRepetition | DatasetName::Azure)
        );
        match &self.dataset_path {
            Some(path) => read_file(path, MAX_DATASET_BYTES),
            None if needs_file => bail!("this --dataset-name needs a file: give --dataset-path PATH"),
            None => Ok(DEFAULT_TRACE.to_vec()),
        }
    }

    fn random(&self) -> Result<Random> {
        let defaults = Random::default();
        let ratio = self.random_range_ratio.as_deref().map(RangeRatio::parse).transpose()?;
        Ok(Random {
            random_input_len: self.random_input_len.or(self.input_len).unwrap_or(defaults.random_input_len),
            random_output_len: self.random_output_len.or(self.output_len).unwrap_or(defaults.random_output_len),
            random_range_ratio: ratio.unwrap_or(defaults.random_range_ratio),
            random_prefix_len: self.random_prefix_len.unwrap_or(defaults.random_prefix_len),
        })
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
    fn custom_output_len(&self) -> Result<Option<u32>> {
        match self.custom_output_len.or(self.output_len.map(i64::from)).unwrap_or(256) {
            -1 => Ok(None),
            length => u32::try_from(length)
                .map(Some)
                .with_context(|| format!("--custom-output-len {length}: it must be -1 or at least 1")),
        }
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

/// A file of at most `max_bytes`.
pub(crate) fn read_file(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let place = || path.display().to_string();
    let size = fs::metadata(path).with_context(place)?.len();
    ensure!(size <= max_bytes, "{}: {size} bytes; the limit is {max_bytes}", path.display());
    fs::read(path).with_context(place)
}
