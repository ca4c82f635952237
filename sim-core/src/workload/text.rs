//! Datasets of texts: `sharegpt` and `custom` of `vllm bench serve`. Token counts come from outside: this crate has
//! no tokenizer.

use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess, Visitor};

use super::dataset::{RequestBuilder, Sample, SampleOptions};
use super::error::WorkloadError;
use super::trace::{check_size, lines};
use crate::request::TokenRun;
use crate::request_set::RequestSet;
use crate::rng::PythonRandom;

/// Most bytes of a file of texts.
pub const MAX_TEXT_BYTES: usize = 1 << 30;

/// Counts the tokens of a text as the client's tokenizer does, special tokens and chat template included.
#[derive(Clone, Copy)]
pub struct TokenCounter<'a>(pub &'a dyn Fn(&str) -> usize);

impl fmt::Debug for TokenCounter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCounter")
    }
}

impl TokenCounter<'_> {
    fn count(self, index: usize, text: &str) -> Result<u32, WorkloadError> {
        let num_tokens = (self.0)(text);
        match u32::try_from(num_tokens) {
            Ok(num_tokens) if num_tokens <= RequestSet::MAX_SEQUENCE_TOKENS => Ok(num_tokens),
            _ => Err(WorkloadError::option(
                "number of tokens",
                alloc::format!("{num_tokens} (entry {index} after shuffling)"),
                "at most 67108864",
            )),
        }
    }
}

/// `--dataset-name sharegpt` (`vllm/benchmarks/datasets/datasets.py::ShareGPTDataset`): the first two turns of each
/// conversation are prompt and answer; very short and very long ones are left out.
///
/// A repeated entry repeats its prompt; otherwise prompts share nothing, as only their lengths are known.
#[derive(Debug, Clone, Copy)]
pub struct ShareGpt<'a> {
    /// The file: a JSON array of objects with `conversations`, arrays of objects with `value`.
    pub json: &'a [u8],
    /// Output length instead of the answer's.
    pub sharegpt_output_len: Option<u32>,
    /// The tokenizer.
    pub counter: TokenCounter<'a>,
}

#[derive(Deserialize)]
struct Conversation<'a> {
    #[serde(borrow, default)]
    conversations: Option<FirstTurns<'a>>,
}

#[derive(Deserialize)]
struct Turn<'a> {
    #[serde(borrow, default)]
    value: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The first two turns; the others are not kept.
struct FirstTurns<'a>(Option<[Turn<'a>; 2]>);

impl<'de: 'a, 'a> Deserialize<'de> for FirstTurns<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Turns;
        impl<'de> Visitor<'de> for Turns {
            type Value = FirstTurns<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of turns")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut turns: A) -> Result<Self::Value, A::Error> {
                let Some(first) = turns.next_element()? else {
                    return Ok(FirstTurns(None));
                };
                let second = turns.next_element()?;
                while turns.next_element::<IgnoredAny>()?.is_some() {}
                Ok(FirstTurns(second.map(|second| [first, second])))
            }
        }
        deserializer.deserialize_seq(Turns)
    }
}

impl ShareGpt<'_> {
    /// Reads, shuffles, filters and repeats the entries.
    pub(super) fn sample(&self, options: &SampleOptions) -> Result<Sample, WorkloadError> {
        check_size(self.json, MAX_TEXT_BYTES)?;
        let num_prompts = options.num_prompts()?;
        let entries: Vec<Conversation<'_>> = match serde_json::from_slice(self.json) {
            Ok(entries) => entries,
            Err(error) => return Err(WorkloadError::json(1, &error)),
        };
        let mut conversations: Vec<[Turn<'_>; 2]> =
            entries.into_iter().filter_map(|entry| entry.conversations?.0).collect();
        if !options.disable_shuffle {
            PythonRandom::new(options.seed).shuffle(&mut conversations);
        }
        let mut lengths = Vec::new();
        for (index, [prompt, completion]) in conversations.iter().enumerate() {
            if Some(lengths.len()) == num_prompts.map(crate::math::u32_to_usize) {
                break;
            }
            let (Some(Text(prompt)), Some(Text(completion))) = (&prompt.value, &completion.value) else {
                let value = alloc::format!("absent in entry {index} after shuffling");
                return Err(WorkloadError::option("value", value, "in both first turns of every conversation"));
            };
            let prompt_len = self.counter.count(index, prompt)?;
            let output_len = match self.sharegpt_output_len {
                Some(output_len) => output_len,
                None => self.counter.count(index, completion)?,
            };
            if is_valid_sequence(prompt_len, output_len, self.sharegpt_output_len.is_some()) {
                lengths.push((prompt_len, output_len));
            }
        }
        finish(&lengths, options)
    }
}

/// `vllm/benchmarks/datasets/datasets.py::is_valid_sequence` with its default limits.
const fn is_valid_sequence(prompt_len: u32, output_len: u32, skip_min_output_len_check: bool) -> bool {
    prompt_len >= 4
        && (skip_min_output_len_check || output_len >= 4)
        && prompt_len <= 1024
        && prompt_len.saturating_add(output_len) <= 2048
}

/// `--dataset-name custom` (`vllm/benchmarks/datasets/datasets.py::CustomDataset`): JSON Lines with `prompt` and, where
/// no output length is given, `output_tokens`. Prompts share as in [`ShareGpt`].
#[derive(Debug, Clone, Copy)]
pub struct Custom<'a> {
    /// The file.
    pub jsonl: &'a [u8],
    /// Output length; `None` (vLLM's -1): each entry's `output_tokens`. vLLM's default is 256.
    pub custom_output_len: Option<u32>,
    /// The tokenizer, after the chat template unless `--skip-chat-template`.
    pub counter: TokenCounter<'a>,
}

#[derive(Deserialize)]
struct CustomEntry<'a> {
    #[serde(borrow, default)]
    prompt: Option<Text<'a>>,
    #[serde(default)]
    output_tokens: Option<serde_json::Value>,
}

impl CustomEntry<'_> {
    /// Python's `int(output_tokens)`, where that is at least 1.
    fn output_len(&self, line: u64) -> Result<u32, WorkloadError> {
        let parsed = match &self.output_tokens {
            Some(serde_json::Value::Number(number)) => number.as_f64(),
            Some(serde_json::Value::String(text)) => text.trim().parse::<u32>().ok().map(f64::from),
            _ => None,
        };
        match parsed {
            Some(length) if (1.0..=f64::from(RequestSet::MAX_SEQUENCE_TOKENS)).contains(&length) => {
                Ok(crate::math::f64_to_u32(length))
            }
            _ => {
                // An `Option` reads null as nothing, too.
                let value = self.output_tokens.as_ref().map_or_else(|| "absent or null".into(), ToString::to_string);
                const NEED: &str = "from 1 to 67108864, or custom_output_len be given";
                Err(WorkloadError::row(line, "output_tokens", value, NEED))
            }
        }
    }
}

impl Custom<'_> {
    /// Reads, shuffles and repeats the entries.
    pub(super) fn sample(&self, options: &SampleOptions) -> Result<Sample, WorkloadError> {
        check_size(self.jsonl, MAX_TEXT_BYTES)?;
        let num_prompts = options.num_prompts()?;
        let mut entries = Vec::new();
        for (line, text) in lines(self.jsonl) {
            match serde_json::from_slice::<CustomEntry<'_>>(text) {
                Ok(entry) => entries.push((line, entry)),
                Err(error) => return Err(WorkloadError::json(line, &error)),
            }
        }
        if !options.disable_shuffle {
            PythonRandom::new(options.seed).shuffle(&mut entries);
        }
        let count = num_prompts.map_or(entries.len(), crate::math::u32_to_usize);
        let mut lengths = Vec::new();
        for (index, (line, entry)) in entries.iter().take(count).enumerate() {
            let Some(Text(prompt)) = &entry.prompt else {
                return Err(WorkloadError::row(*line, "prompt", "absent", "a text"));
            };
            let output_len = match self.custom_output_len {
                Some(output_len) => output_len,
                None => entry.output_len(*line)?,
            };
            lengths.push((self.counter.count(index, prompt)?, output_len));
        }
        finish(&lengths, options)
    }
}

/// Repeats random entries up to `num_prompts`
/// (`vllm/benchmarks/datasets/datasets.py::BenchmarkDataset.maybe_oversample_requests`).
fn finish(lengths: &[(u32, u32)], options: &SampleOptions) -> Result<Sample, WorkloadError> {
    let num_entries = crate::math::usize_to_u32(lengths.len());
    if num_entries == 0 {
        return Err(WorkloadError::NoRequests);
    }
    let mut builder = RequestBuilder::with_capacity(num_entries);
    let prompts: Vec<TokenRun> = lengths.iter().map(|&(prompt_len, _)| builder.fresh(prompt_len)).collect();
    for (&prompt, &(_, output_len)) in prompts.iter().zip(lengths) {
        builder.push(&[prompt], output_len)?;
    }
    let num_prompts = options.num_prompts.unwrap_or(0);
    if num_entries < num_prompts && !options.no_oversample {
        let mut rng = PythonRandom::new(options.seed);
        for _ in num_entries..num_prompts {
            let entry = crate::math::u32_to_usize(rng.randrange(num_entries));
            builder.push(&[prompts[entry]], lengths[entry].1)?;
        }
    }
    builder.finish(options.seed)
}
