//! Generated datasets: `random` and `prefix_repetition` of `vllm bench serve`, and one of ours.

use alloc::vec::Vec;

use super::dataset::{GlobalState, RequestBuilder, Sample, SampleOptions};
use super::error::WorkloadError;
use super::lengths::{Lengths, RangeRatio, range_around};
use crate::request::TokenRun;
use crate::request_set::RequestSet;
use crate::rng::{Pcg64, PythonRandom};

/// Most times a prompt may go round the vocabulary: each is a run of its own to store.
const MAX_VOCABULARY_ROUNDS: u32 = 64;

/// Most random tokens of `prefix_repetition` whose draws are followed: seconds of work.
const MAX_TOKEN_DRAWS: u64 = 1 << 31;

/// `--dataset-name random`, with vLLM's names and defaults (`vllm/benchmarks/datasets/datasets.py::RandomDataset`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Random {
    /// Mean prompt length without the shared prefix; tokens that the server adds are part of it.
    pub random_input_len: u32,
    /// Mean output length.
    pub random_output_len: u32,
    /// Spread of both.
    pub random_range_ratio: RangeRatio,
    /// Tokens at the beginning of every prompt, on top of `random_input_len`.
    pub random_prefix_len: u32,
}

impl Default for Random {
    fn default() -> Self {
        Self {
            random_input_len: 1024,
            random_output_len: 128,
            random_range_ratio: RangeRatio::default(),
            random_prefix_len: 0,
        }
    }
}

fn check_length(field: &'static str, length: u32) -> Result<(), WorkloadError> {
    if length > RequestSet::MAX_SEQUENCE_TOKENS {
        return Err(WorkloadError::option(field, length, "at most 67108864 tokens"));
    }
    Ok(())
}

impl Random {
    /// Draws the requests.
    ///
    /// A prompt is a stretch of the vocabulary from a random token on, so two prompts that begin with the same token
    /// share all they can; that is kept.
    pub(super) fn sample(&self, options: &SampleOptions) -> Result<Sample, WorkloadError> {
        let num_prompts = options.num_prompts_to_generate()?;
        check_length("random_input_len", self.random_input_len)?;
        check_length("random_output_len", self.random_output_len)?;
        check_length("random_prefix_len", self.random_prefix_len)?;
        self.random_range_ratio.check()?;
        let tokenizer = options.tokenizer;
        let num_special = tokenizer.num_special_tokens_to_add;
        check_length("num_special_tokens_to_add", num_special)?;
        let input_len = self.random_input_len.saturating_sub(num_special);
        let (input_low, input_high) = range_around(input_len, self.random_range_ratio.input);
        if self.random_prefix_len + input_low == 0 {
            const NEED: &str = "longer: without the tokenizer's special tokens, a prompt could be empty";
            return Err(WorkloadError::option("random_input_len", self.random_input_len, NEED));
        }
        let (output_low, output_high) = range_around(self.random_output_len, self.random_range_ratio.output);
        let num_allowed = tokenizer.vocab_size.saturating_sub(tokenizer.num_special_ids);
        if num_allowed == 0 || input_high / num_allowed > MAX_VOCABULARY_ROUNDS {
            const NEED: &str = "larger than num_special_ids, and at least 1/64 of the prompt length";
            return Err(WorkloadError::option("vocab_size", tokenizer.vocab_size, NEED));
        }

        let mut rng = Pcg64::new(u64::from(options.seed));
        let mut draw = |low, high| -> Vec<u32> { (0..num_prompts).map(|_| rng.integers(low, high)).collect() };
        let input_lens = draw(input_low, input_high);
        let output_lens = draw(output_low.max(1), output_high.max(1));
        let offsets = draw(0, tokenizer.vocab_size - 1);

        let mut builder = RequestBuilder::with_capacity(num_prompts);
        let special = builder.fresh(num_special);
        let prefix = builder.fresh(self.random_prefix_len);
        let vocabulary = builder.fresh(num_allowed);
        let mut prompt = Vec::new();
        for (index, ((&len, &output_len), &offset)) in (0..).zip(input_lens.iter().zip(&output_lens).zip(&offsets)) {
            prompt.clear();
            prompt.extend([special, prefix]);
            push_stretch(&mut prompt, vocabulary, u64::from(offset) + index, len);
            builder.push(&prompt, output_len)?;
        }
        builder.finish(options.seed)
    }
}

/// Appends `len` tokens of `vocabulary`, from number `first` on, round and round.
pub(super) fn push_stretch(prompt: &mut Vec<TokenRun>, vocabulary: TokenRun, first: u64, len: u32) {
    let size = vocabulary.len;
    let mut offset = u32::try_from(first % u64::from(size)).unwrap_or(0);
    let mut rest = len;
    while rest > 0 {
        let len = rest.min(size - offset);
        prompt.push(TokenRun { start: vocabulary.start + u64::from(offset), len });
        rest -= len;
        offset = 0;
    }
}

/// `--dataset-name prefix_repetition`, with vLLM's names and defaults
/// (`vllm/benchmarks/datasets/datasets.py::PrefixRepetitionRandomDataset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefixRepetition {
    /// Tokens of each prefix.
    pub prefix_repetition_prefix_len: u32,
    /// Tokens after the prefix, private to each request.
    pub prefix_repetition_suffix_len: u32,
    /// Different prefixes, at least 1. Each gets `num_prompts / num_prefixes` requests, rounded down.
    pub prefix_repetition_num_prefixes: u32,
    /// Output length.
    pub prefix_repetition_output_len: u32,
}

impl Default for PrefixRepetition {
    fn default() -> Self {
        Self {
            prefix_repetition_prefix_len: 256,
            prefix_repetition_suffix_len: 256,
            prefix_repetition_num_prefixes: 10,
            prefix_repetition_output_len: 128,
        }
    }
}

impl PrefixRepetition {
    /// Draws the requests.
    pub(super) fn sample(&self, options: &SampleOptions) -> Result<Sample, WorkloadError> {
        let num_prompts = options.num_prompts_to_generate()?;
        let (prefix_len, suffix_len) = (self.prefix_repetition_prefix_len, self.prefix_repetition_suffix_len);
        let num_special = options.tokenizer.num_special_tokens_to_add;
        check_length("prefix_repetition_prefix_len", prefix_len)?;
        check_length("prefix_repetition_suffix_len", suffix_len)?;
        check_length("prefix_repetition_output_len", self.prefix_repetition_output_len)?;
        check_length("num_special_tokens_to_add", num_special)?;
        let num_prefixes = self.prefix_repetition_num_prefixes;
        if num_prefixes == 0 || num_prefixes > num_prompts {
            return Err(WorkloadError::option(
                "prefix_repetition_num_prefixes",
                num_prefixes,
                "from 1 to num_prompts: every prefix gets as many requests",
            ));
        }
        let Some(max_token) = options.tokenizer.vocab_size.checked_sub(1) else {
            return Err(WorkloadError::option("vocab_size", 0, "at least 1"));
        };
        let prompts_per_prefix = num_prompts / num_prefixes;
        let num_draws =
            u64::from(num_prefixes) * (u64::from(prefix_len) + u64::from(prompts_per_prefix) * u64::from(suffix_len));
        if num_draws > MAX_TOKEN_DRAWS {
            let what = "random tokens in all prefixes and suffixes together (see num_prompts, prefix_repetition_prefix_len \
                        and prefix_repetition_suffix_len)";
            return Err(WorkloadError::TooLarge { what, value: num_draws, limit: MAX_TOKEN_DRAWS });
        }

        let mut order: Vec<u32> = (0..num_prefixes * prompts_per_prefix).map(|i| i / prompts_per_prefix).collect();
        if !options.disable_shuffle {
            PythonRandom::new(options.seed).shuffle(&mut order);
        }
        let mut builder = RequestBuilder::with_capacity(num_prompts);
        let special = builder.fresh(num_special);
        let prefixes: Vec<TokenRun> = (0..num_prefixes).map(|_| builder.fresh(prefix_len)).collect();
        for &prefix in &order {
            let suffix = builder.fresh(suffix_len);
            let prompt = [special, prefixes[crate::math::u32_to_usize(prefix)], suffix];
            builder.push(&prompt, self.prefix_repetition_output_len)?;
        }
        let mut sample = builder.finish(options.seed)?;
        sample.random_state = GlobalState { seed: options.seed, max_value: max_token, num_draws };
        Ok(sample)
    }
}

/// Private prompts and outputs with lengths from any distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Synthetic {
    /// Prompt lengths without the shared prefix, drawn from the stream `input_len`.
    pub input_len: Lengths,
    /// Output lengths, drawn from the stream `output_len`.
    pub output_len: Lengths,
    /// Tokens at the beginning of every prompt.
    pub prefix_len: u32,
}

impl Synthetic {
    /// Draws the requests.
    pub(super) fn sample(&self, options: &SampleOptions) -> Result<Sample, WorkloadError> {
        let num_prompts = options.num_prompts_to_generate()?;
        check_length("prefix_len", self.prefix_len)?;
        let count = crate::math::u32_to_usize(num_prompts);
        let draw =
            |lengths: &Lengths, field| lengths.sample(count, field, &mut Pcg64::stream(u64::from(options.seed), field));
        let input_lens = draw(&self.input_len, "input_len")?;
        let output_lens = draw(&self.output_len, "output_len")?;
        let mut builder = RequestBuilder::with_capacity(num_prompts);
        let prefix = builder.fresh(self.prefix_len);
        for (&input_len, &output_len) in input_lens.iter().zip(&output_lens) {
            let prompt = [prefix, builder.fresh(input_len)];
            builder.push(&prompt, output_len)?;
        }
        builder.finish(options.seed)
    }
}
