//! Production traces in CSV: when, how long a prompt, how long an answer. Their texts are not published.

use alloc::vec::Vec;

use super::csv::{Row, read_csv};
use super::dataset::{RequestBuilder, Sample, SampleOptions};
use super::date_time::parse_date_time;
use super::error::WorkloadError;
use super::random::push_stretch;
use super::timed_trace::{EntryReader, TimedTraceOptions};
use crate::math;
use crate::request_set::RequestSet;
use crate::rng::RandomState;
use crate::time::SimTime;

/// Most bytes of a trace.
pub const MAX_TRACE_BYTES: usize = 1 << 28;

/// A request of a production trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedRequest {
    /// When it came, after the trace's first.
    pub send_time: SimTime,
    /// Prompt length in tokens, at least 1.
    pub num_prompt_tokens: u32,
    /// Output length in tokens, at least 1.
    pub num_output_tokens: u32,
}

/// Requests of a production trace, in order of their times. Prompts share nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedTrace {
    /// The requests.
    pub requests: Vec<RecordedRequest>,
    /// Rows without a prompt or output token, left out: failed requests, mostly.
    pub num_skipped: u32,
}

impl RecordedTrace {
    /// Reads a trace of the Azure Public Dataset: columns `TIMESTAMP` (`2023-11-16 18:15:46.6805900`, or with an
    /// offset), `ContextTokens`, `GeneratedTokens`.
    ///
    /// # Errors
    /// [`WorkloadError::TooLarge`], [`WorkloadError::Syntax`] and [`WorkloadError::Row`], naming line, column and value.
    pub fn from_azure_csv(csv: &[u8]) -> Result<Self, WorkloadError> {
        check_size(csv, MAX_TRACE_BYTES)?;
        let mut rows = Vec::new();
        let mut num_skipped = 0;
        read_csv(csv, ["TIMESTAMP", "ContextTokens", "GeneratedTokens"], |row| {
            let Some(time) = parse_date_time(row.fields[0]) else {
                return Err(row.error(0, "a date and time such as 2023-11-16 18:15:46.6805900"));
            };
            keep(&mut rows, &mut num_skipped, time, (row.length(1)?, row.length(2)?));
            Ok(())
        })?;
        Ok(Self { requests: from_first(rows), num_skipped })
    }

    /// Reads a BurstGPT trace, times included: columns `Timestamp` (seconds), `Model`, `Request tokens` and
    /// `Response tokens`. With `model`, only that model's rows (`"GPT-4"`, `"ChatGPT"`).
    ///
    /// # Errors
    /// As [`RecordedTrace::from_azure_csv`].
    pub fn from_burstgpt_csv(csv: &[u8], model: Option<&str>) -> Result<Self, WorkloadError> {
        check_size(csv, MAX_TRACE_BYTES)?;
        let mut rows = Vec::new();
        let mut num_skipped = 0;
        read_csv(csv, ["Timestamp", "Model", "Request tokens", "Response tokens"], |row| {
            if model.is_some_and(|model| model != row.fields[1]) {
                return Ok(());
            }
            let time = match row.fields[0].trim().parse::<f64>() {
                Ok(seconds) if (0.0..=super::arrival::MAX_SEND_SECONDS).contains(&seconds) => {
                    SimTime::from_secs_f64(seconds)
                }
                _ => return Err(row.error(0, "seconds, from 0 to 1e9")),
            };
            keep(&mut rows, &mut num_skipped, time, (row.length(2)?, row.length(3)?));
            Ok(())
        })?;
        Ok(Self { requests: from_first(rows), num_skipped })
    }

    /// The first `num_prompts` requests.
    pub(super) fn sample(&self, options: &SampleOptions) -> Result<Sample, WorkloadError> {
        let count = options.num_prompts()?.map_or(self.requests.len(), math::u32_to_usize);
        let requests = self.requests.get(..count).unwrap_or(&self.requests);
        let mut builder = RequestBuilder::with_capacity(math::usize_to_u32(requests.len()));
        let mut latest = SimTime::ZERO;
        let mut send_times = Vec::with_capacity(requests.len());
        for request in requests {
            let prompt = [builder.fresh(request.num_prompt_tokens)];
            builder.push(&prompt, request.num_output_tokens)?;
            latest = latest.max(request.send_time);
            let seconds = latest.as_secs_f64();
            if seconds > super::arrival::MAX_SEND_SECONDS {
                return Err(WorkloadError::SendTime { index: send_times.len(), seconds });
            }
            send_times.push(latest);
        }
        let mut sample = builder.finish(options.seed)?;
        sample.send_times = Some(send_times);
        sample.num_skipped = self.num_skipped;
        Ok(sample)
    }
}

fn keep(rows: &mut Vec<RecordedRequest>, num_skipped: &mut u32, send_time: SimTime, lengths: (u32, u32)) {
    let (num_prompt_tokens, num_output_tokens) = lengths;
    if num_prompt_tokens == 0 || num_output_tokens == 0 {
        *num_skipped += 1;
    } else {
        rows.push(RecordedRequest { send_time, num_prompt_tokens, num_output_tokens });
    }
}

/// In order of time, and with the first at the start.
fn from_first(mut requests: Vec<RecordedRequest>) -> Vec<RecordedRequest> {
    requests.sort_by_key(|request| request.send_time);
    let first = requests.first().map_or(SimTime::ZERO, |request| request.send_time);
    for request in &mut requests {
        request.send_time = SimTime::ZERO + request.send_time.saturating_since(first);
    }
    requests
}

/// `--dataset-name burstgpt` (`vllm/benchmarks/datasets/datasets.py::BurstGPTDataset`): the lengths of GPT-4's answered
/// requests, in random order; the times are not used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BurstGpt {
    /// Prompt and output lengths, in the file's order.
    lengths: Vec<(u32, u32)>,
}

impl BurstGpt {
    /// Reads the file; see [`RecordedTrace::from_burstgpt_csv`].
    ///
    /// # Errors
    /// As there.
    pub fn from_csv(csv: &[u8]) -> Result<Self, WorkloadError> {
        check_size(csv, MAX_TRACE_BYTES)?;
        let mut lengths = Vec::new();
        read_csv(csv, ["Model", "Request tokens", "Response tokens"], |row| {
            let output_len = row.length(2)?;
            if row.fields[0] == "GPT-4" && output_len > 0 {
                lengths.push((row.length(1)?, output_len));
            }
            Ok(())
        })?;
        Ok(Self { lengths })
    }

    /// Draws rows as `pandas.DataFrame.sample` does: without repetition if there are enough.
    pub(super) fn sample(&self, options: &SampleOptions) -> Result<Sample, WorkloadError> {
        let num_rows = math::usize_to_u32(self.lengths.len());
        let num_prompts = options.num_prompts()?.unwrap_or(num_rows);
        let Some(last_row) = num_rows.checked_sub(1) else {
            return Err(WorkloadError::NoRequests);
        };
        let mut random_state = RandomState::new(options.seed);
        let rows: Vec<u32> = if num_prompts <= num_rows {
            random_state.permutation(num_rows)
        } else {
            (0..num_prompts).map(|_| random_state.randint(last_row)).collect()
        };
        let tokenizer = options.tokenizer;
        if tokenizer.vocab_size < 1024 {
            return Err(WorkloadError::option("vocab_size", tokenizer.vocab_size, "at least 1024"));
        }
        let mut builder = RequestBuilder::with_capacity(num_prompts);
        let special = builder.fresh(tokenizer.num_special_tokens_to_add);
        let vocabulary = builder.fresh(tokenizer.vocab_size);
        let mut prompt = Vec::new();
        for (index, &row) in (0..num_prompts).zip(&rows) {
            let (input_len, output_len) = self.lengths[math::u32_to_usize(row)];
            prompt.clear();
            prompt.push(special);
            push_stretch(&mut prompt, vocabulary, u64::from(index), input_len);
            builder.push(&prompt, output_len)?;
        }
        builder.finish(options.seed)
    }
}

/// A trace format known by its content.
#[derive(Debug, Clone, PartialEq)]
pub enum TraceKind {
    /// [`RecordedTrace::from_azure_csv`].
    Azure,
    /// [`RecordedTrace::from_burstgpt_csv`].
    BurstGpt,
    /// [`super::timed_trace::TimedTrace`], with the options that fit its first line.
    TimedTrace(TimedTraceOptions),
    /// [`super::table::Table`], whose columns are known by their names.
    Table,
    /// [`super::mixture::Mixture`]: no trace, but as much a dataset.
    Mixture,
}

/// Recognises a trace by its first lines.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Option<TraceKind> {
    /// More than the first line of any trace with hashes.
    const MAX_FIRST_LINE: usize = 1 << 20;
    let beginning = bytes.get(..MAX_FIRST_LINE).unwrap_or(bytes);
    let (_, first_line) = lines(beginning).next()?;
    let header = first_line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first_line);
    let has = |name: &[u8]| header.split(|&byte| byte == b',').any(|column| column.trim_ascii() == name);
    if has(b"TIMESTAMP") && has(b"ContextTokens") && has(b"GeneratedTokens") {
        return Some(TraceKind::Azure);
    }
    if has(b"Timestamp") && has(b"Model") && has(b"Request tokens") && has(b"Response tokens") {
        return Some(TraceKind::BurstGpt);
    }
    let options = TimedTraceOptions::default();
    if num_hashes(first_line, &options).is_none() {
        return super::table::is_table(beginning).then_some(TraceKind::Table);
    }
    let is_mooncake = is_mooncake(beginning, &options);
    Some(TraceKind::TimedTrace(if is_mooncake { TimedTraceOptions::mooncake() } else { options }))
}

/// Length and hashes of a timed trace's line; `None` if it is none.
fn num_hashes(line: &[u8], options: &TimedTraceOptions) -> Option<(u64, u64)> {
    let mut deserializer = serde_json::Deserializer::from_slice(line);
    let entry = serde::de::DeserializeSeed::deserialize(EntryReader(options), &mut deserializer).ok()?;
    let num_hashes = entry.hash_ids.map_or(0, |hash_ids| hash_ids.len());
    Some((entry.input_length?.as_u64()?, u64::try_from(num_hashes).ok()?))
}

/// Whether the hashes of a timed trace can stand for 512 tokens each, as Mooncake's do, and not for 16, as Bailian's do:
/// no prompt has more of them than it has chunks of 512, and one has fewer than it has chunks of 16.
///
/// A single short prompt with fewer hashes than its length asks for leaves this open; more lines settle it.
fn is_mooncake(beginning: &[u8], options: &TimedTraceOptions) -> bool {
    const MAX_LINES: usize = 100;
    let entries = lines(beginning).take(MAX_LINES).filter_map(|(_, line)| num_hashes(line, options));
    let (mut are_of_512, mut are_of_16) = (true, true);
    for (input_length, num_hashes) in entries.filter(|(_, num_hashes)| *num_hashes > 0) {
        are_of_512 &= num_hashes <= input_length.div_ceil(512);
        are_of_16 &= num_hashes >= input_length / 16;
    }
    are_of_512 && !are_of_16
}

pub(super) fn check_size(bytes: &[u8], limit: usize) -> Result<(), WorkloadError> {
    let as_u64 = |size| u64::try_from(size).unwrap_or(u64::MAX);
    if bytes.len() > limit {
        return Err(WorkloadError::TooLarge {
            what: "bytes in the file",
            value: as_u64(bytes.len()),
            limit: as_u64(limit),
        });
    }
    Ok(())
}

/// The lines that are not blank, each with its number from 1.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    (1..).zip(bytes.split(|&byte| byte == b'\n')).filter(|(_, line)| !line.trim_ascii().is_empty())
}

impl Row<'_> {
    fn length(&self, column: usize) -> Result<u32, WorkloadError> {
        const NEED: &str = "a whole number up to 67108864";
        let text = self.fields[column].trim();
        // BurstGPT files written by pandas may have `472.0`.
        let digits = text.strip_suffix(".0").unwrap_or(text);
        match digits.parse::<u32>() {
            Ok(length) if length <= RequestSet::MAX_SEQUENCE_TOKENS => Ok(length),
            _ => Err(self.error(column, NEED)),
        }
    }
}
