//! Traces with times and with the hashes of their prompts' chunks: `--dataset-name timed_trace` of `vllm bench serve`
//! (`vllm/benchmarks/datasets/datasets.py::TimedTrace`). Reads Mooncake and Qwen-Bailian.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};

use super::arrival::recorded_send_times;
use super::dataset::{RequestBuilder, Sample, SampleOptions};
use super::error::WorkloadError;
use super::trace::{MAX_TRACE_BYTES, check_size, lines};
use crate::request::TokenRun;
use crate::request_set::RequestSet;

/// A trace of JSON Lines. Options have vLLM's names.
#[derive(Debug, Clone)]
pub struct TimedTrace<'a> {
    /// The file.
    pub jsonl: &'a [u8],
    /// How it is read.
    pub options: TimedTraceOptions,
}

/// How a [`TimedTrace`] is read.
#[derive(Debug, Clone, PartialEq)]
pub struct TimedTraceOptions {
    /// Tokens that one hash stands for, at least 1.
    pub timed_trace_chunk_hash_size: u32,
    /// Seconds in a unit of the timestamps, finite and above 0.
    pub timed_trace_sec_multiplier: f64,
    /// Key of the time.
    pub timed_trace_label_timestamp: String,
    /// Key of the prompt length.
    pub timed_trace_label_input_length: String,
    /// Key of the output length.
    pub timed_trace_label_output_length: String,
    /// Key of the list of hashes.
    pub timed_trace_label_hash_ids: String,
}

impl Default for TimedTraceOptions {
    /// vLLM's defaults, which fit Qwen-Bailian traces.
    fn default() -> Self {
        Self {
            timed_trace_chunk_hash_size: 16,
            timed_trace_sec_multiplier: 1.0,
            timed_trace_label_timestamp: "timestamp".into(),
            timed_trace_label_input_length: "input_length".into(),
            timed_trace_label_output_length: "output_length".into(),
            timed_trace_label_hash_ids: "hash_ids".into(),
        }
    }
}

impl TimedTraceOptions {
    /// For Mooncake's traces: milliseconds, and 512 tokens per hash.
    #[must_use]
    pub fn mooncake() -> Self {
        Self { timed_trace_chunk_hash_size: 512, timed_trace_sec_multiplier: 0.001, ..Self::default() }
    }
}

/// What a line says.
#[derive(Debug, Default)]
pub(super) struct Entry {
    timestamp: Option<serde_json::Value>,
    pub(super) input_length: Option<serde_json::Value>,
    output_length: Option<serde_json::Value>,
    pub(super) hash_ids: Option<Vec<i128>>,
}

/// Reads an [`Entry`] from the keys that the options name.
pub(super) struct EntryReader<'a>(pub(super) &'a TimedTraceOptions);

impl<'de> DeserializeSeed<'de> for EntryReader<'_> {
    type Value = Entry;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Entry, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EntryReader<'_> {
    type Value = Entry;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        #[derive(serde::Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
        let mut entry = Entry::default();
        while let Some(Key(key)) = map.next_key()? {
            if key == *self.0.timed_trace_label_timestamp {
                entry.timestamp = Some(map.next_value()?);
            } else if key == *self.0.timed_trace_label_input_length {
                entry.input_length = Some(map.next_value()?);
            } else if key == *self.0.timed_trace_label_output_length {
                entry.output_length = Some(map.next_value()?);
            } else if key == *self.0.timed_trace_label_hash_ids {
                entry.hash_ids = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(entry)
    }
}

/// The chunks met so far: the first token of each hash's, by hash and length, as vLLM fills chunks of different lengths
/// with different text.
#[derive(Debug)]
pub(super) struct Chunks {
    chunk_size: u32,
    /// Of whole chunks, by hash, one more than the first token; 0 if there is none. Published traces number their hashes
    /// from 0.
    whole: Vec<u64>,
    /// Of all others.
    others: BTreeMap<(i128, u32), u64>,
}

impl Chunks {
    /// Hashes below this have a place in [`Self::whole`]: at most 32 MiB.
    const MAX_NUMBERED: usize = 1 << 22;

    /// None yet; each has `chunk_size` tokens, at least 1.
    pub(super) const fn new(chunk_size: u32) -> Self {
        Self { chunk_size, whole: Vec::new(), others: BTreeMap::new() }
    }

    /// The first token of a hash's chunk.
    fn start(&mut self, hash: i128, len: u32, builder: &mut RequestBuilder) -> u64 {
        let number = usize::try_from(hash).ok().filter(|&number| number < Self::MAX_NUMBERED && len == self.chunk_size);
        let Some(number) = number else {
            return *self.others.entry((hash, len)).or_insert_with(|| builder.fresh(len).start);
        };
        if number >= self.whole.len() {
            self.whole.resize((2 * number).clamp(1024, Self::MAX_NUMBERED), 0);
        }
        let place = &mut self.whole[number];
        if *place == 0 {
            *place = builder.fresh(len).start + 1;
        }
        *place - 1
    }

    /// Appends the chunks of `hash_ids`, `input_length` tokens at most; without hashes, that many private tokens.
    ///
    /// New chunks are numbered in a row, so that a run of them that comes again is one run of tokens.
    pub(super) fn push_prompt(
        &mut self,
        prompt: &mut Vec<TokenRun>,
        hash_ids: &[i128],
        input_length: u32,
        builder: &mut RequestBuilder,
    ) {
        if hash_ids.is_empty() {
            prompt.push(builder.fresh(input_length));
        }
        let mut rest = input_length;
        for &hash in hash_ids {
            let len = rest.min(self.chunk_size);
            if len == 0 {
                break;
            }
            let start = self.start(hash, len, builder);
            rest -= len;
            match prompt.last_mut() {
                Some(last) if last.start + u64::from(last.len) == start => last.len += len,
                _ => prompt.push(TokenRun { start, len }),
            }
        }
    }
}

fn shown(value: Option<&serde_json::Value>) -> String {
    value.map_or_else(|| "absent".into(), ToString::to_string)
}

fn length(line: u64, field: &str, value: Option<&serde_json::Value>) -> Result<u32, WorkloadError> {
    let length = value.and_then(serde_json::Value::as_u64).and_then(|length| u32::try_from(length).ok());
    match length {
        Some(length) if length <= RequestSet::MAX_SEQUENCE_TOKENS => Ok(length),
        _ => Err(WorkloadError::row(line, field, shown(value), "a whole number up to 67108864")),
    }
}

impl TimedTrace<'_> {
    /// Reads the requests.
    ///
    /// A prompt is its hashes' chunks, cut at its length: too few hashes make it shorter, as in vLLM. Without hashes
    /// it is private text of its length (vLLM would send an empty prompt). A last, shorter chunk shares with equally
    /// short ones of the same hash only, as in vLLM. Entries without an output or a prompt token are left out.
    pub(super) fn sample(&self, options: &SampleOptions) -> Result<Sample, WorkloadError> {
        check_size(self.jsonl, MAX_TRACE_BYTES)?;
        let num_prompts = options.num_prompts()?.map_or(usize::MAX, crate::math::u32_to_usize);
        let TimedTraceOptions {
            timed_trace_chunk_hash_size: chunk_size, timed_trace_sec_multiplier: multiplier, ..
        } = self.options;
        if !(1..=RequestSet::MAX_SEQUENCE_TOKENS).contains(&chunk_size) {
            return Err(WorkloadError::option("timed_trace_chunk_hash_size", chunk_size, "from 1 to 67108864"));
        }
        if !(multiplier > 0.0 && multiplier.is_finite()) {
            return Err(WorkloadError::option("timed_trace_sec_multiplier", multiplier, "finite and above 0"));
        }

        let mut builder = RequestBuilder::with_capacity(0);
        let mut chunks = Chunks::new(chunk_size);
        let mut timestamps = Vec::new();
        let mut prompt = Vec::new();
        let mut num_skipped = 0;
        for (line, text) in lines(self.jsonl).take(num_prompts) {
            let entry = self.entry(line, text)?;
            let label = &self.options;
            let input_length = length(line, &label.timed_trace_label_input_length, entry.input_length.as_ref())?;
            let output_length = length(line, &label.timed_trace_label_output_length, entry.output_length.as_ref())?;
            let timestamp = self.timestamp(line, entry.timestamp.as_ref())?;
            if input_length == 0 || output_length == 0 {
                num_skipped += 1;
                continue;
            }
            prompt.clear();
            chunks.push_prompt(&mut prompt, entry.hash_ids.as_deref().unwrap_or_default(), input_length, &mut builder);
            builder.push(&prompt, output_length)?;
            timestamps.push(timestamp);
        }
        // This dataset seeds NumPy's global state with its own default, whatever `--seed` says.
        let mut sample = builder.finish(0)?;
        sample.send_times = Some(recorded_send_times(&timestamps)?);
        sample.num_skipped = num_skipped;
        Ok(sample)
    }

    fn entry(&self, line: u64, text: &[u8]) -> Result<Entry, WorkloadError> {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        EntryReader(&self.options)
            .deserialize(&mut deserializer)
            .and_then(|entry| deserializer.end().map(|()| entry))
            .map_err(|error| WorkloadError::json(line, &error))
    }

    /// Seconds after the start.
    fn timestamp(&self, line: u64, value: Option<&serde_json::Value>) -> Result<f64, WorkloadError> {
        let number = match value {
            Some(serde_json::Value::Number(number)) => number.as_f64(),
            Some(serde_json::Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            return Err(WorkloadError::row(line, &self.options.timed_trace_label_timestamp, shown(value), "a number"));
        };
        Ok(number * self.options.timed_trace_sec_multiplier)
    }
}
