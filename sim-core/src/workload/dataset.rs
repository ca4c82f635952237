//! What is sent: the datasets of `vllm bench serve` and ours, and how one of them and a traffic become a [`Workload`].

use alloc::string::String;
use alloc::vec::Vec;

use super::arrival::{self, TrafficOptions};
use super::error::WorkloadError;
use super::mixture::Classes;
use super::random::{PrefixRepetition, Random, Synthetic};
use super::sessions::Sessions;
use super::table::Table;
use super::text::{Custom, ShareGpt};
use super::timed_trace::TimedTrace;
use super::trace::{BurstGpt, RecordedTrace};
use super::{After, Traffic, Workload};
use crate::request::{RequestId, TokenRun};
use crate::request_set::{NewRequest, RequestSet};
use crate::rng::RandomState;
use crate::time::SimTime;

/// Where requests come from.
#[derive(Debug, Clone)]
pub enum Dataset<'a> {
    /// `--dataset-name random`.
    Random(Random),
    /// `--dataset-name prefix_repetition`.
    PrefixRepetition(PrefixRepetition),
    /// `--dataset-name sharegpt`.
    ShareGpt(ShareGpt<'a>),
    /// `--dataset-name custom`.
    Custom(Custom<'a>),
    /// `--dataset-name burstgpt`: lengths of a BurstGPT file, in random order and without its times.
    BurstGpt(BurstGpt),
    /// `--dataset-name timed_trace`: Mooncake, Bailian and their like.
    TimedTrace(TimedTrace<'a>),
    /// Lengths and times of a production trace without its texts: Azure, BurstGPT.
    Recorded(RecordedTrace),
    /// Lengths from distributions; not vLLM's.
    Synthetic(Synthetic),
    /// `--dataset-name sessions`: conversations and agents; not vLLM's.
    Sessions(Sessions),
    /// `--dataset-name table`: any CSV or JSON lines; not vLLM's.
    Table(Table<'a>),
}

/// What must be known of the served model's tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokenizer {
    /// Its `vocab_size`: tokens without those added later.
    pub vocab_size: u32,
    /// Special tokens with an id below `vocab_size`: random prompts avoid them.
    pub num_special_ids: u32,
    /// Tokens that the server puts around every text prompt, such as one for the beginning of the sequence
    /// (`num_special_tokens_to_add()`).
    pub num_special_tokens_to_add: u32,
}

impl Default for Tokenizer {
    /// Llama 3's vocabulary without special tokens: prompts are as long as the options say.
    fn default() -> Self {
        Self { vocab_size: 128_000, num_special_ids: 0, num_special_tokens_to_add: 0 }
    }
}

/// The options of `vllm bench serve` that hold for every dataset, under its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleOptions {
    /// Requests to send; `None`: one per entry of the file, which a generator has not.
    pub num_prompts: Option<u32>,
    /// Seed of everything random.
    pub seed: u32,
    /// Whether a file's entries keep their order.
    pub disable_shuffle: bool,
    /// Whether a file with fewer than `num_prompts` entries gives fewer requests, instead of repeating some.
    pub no_oversample: bool,
    /// The tokenizer of the served model.
    pub tokenizer: Tokenizer,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self {
            num_prompts: Some(1000),
            seed: 0,
            disable_shuffle: false,
            no_oversample: false,
            tokenizer: Tokenizer::default(),
        }
    }
}

impl SampleOptions {
    /// `num_prompts`, from 1 to [`RequestSet::MAX_REQUESTS`].
    pub(super) fn num_prompts(&self) -> Result<Option<u32>, WorkloadError> {
        match self.num_prompts {
            Some(num_prompts) if !(1..=RequestSet::MAX_REQUESTS).contains(&num_prompts) => {
                Err(WorkloadError::option("num_prompts", num_prompts, "from 1 to 10000000"))
            }
            num_prompts => Ok(num_prompts),
        }
    }

    /// `num_prompts` for a generator, which has no other way to know when to stop.
    pub(super) fn num_prompts_to_generate(&self) -> Result<u32, WorkloadError> {
        self.num_prompts()?
            .ok_or_else(|| WorkloadError::option("num_prompts", "absent", "given for a generated dataset"))
    }
}

/// The requests of a dataset.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The requests, in sending order.
    pub requests: RequestSet,
    /// When each was sent, where the dataset knows.
    pub send_times: Option<Vec<SimTime>>,
    /// Whose answer each waits for; empty where nobody waits.
    pub after: Vec<Option<After>>,
    /// Entries left out because they ask for no token at all, which a server refuses.
    pub num_skipped: u32,
    /// What was assumed of the dataset, a sentence each.
    pub notes: Vec<String>,
    /// Which requests are of which class, where there are several.
    pub classes: Option<Classes>,
    /// What sampling left of NumPy's global state.
    pub(super) random_state: GlobalState,
}

/// NumPy's global state after sampling: a seed, and draws of `randint(0, max_value + 1)` since.
#[derive(Debug, Clone, Copy)]
pub(super) struct GlobalState {
    pub(super) seed: u32,
    pub(super) max_value: u32,
    pub(super) num_draws: u64,
}

impl GlobalState {
    pub(super) const fn seeded(seed: u32) -> Self {
        Self { seed, max_value: 0, num_draws: 0 }
    }

    fn random_state(self) -> RandomState {
        let mut random_state = RandomState::new(self.seed);
        for _ in 0..self.num_draws {
            random_state.randint(self.max_value);
        }
        random_state
    }
}

impl Sample {
    /// Requests that come from elsewhere, with NumPy's global state as `seed` leaves it.
    #[must_use]
    pub const fn of_requests(requests: RequestSet, seed: u32) -> Self {
        Self {
            requests,
            send_times: None,
            after: Vec::new(),
            num_skipped: 0,
            notes: Vec::new(),
            classes: None,
            random_state: GlobalState::seeded(seed),
        }
    }

    /// Joins the requests and a traffic.
    ///
    /// # Errors
    /// Those of [`arrival::send_times`], and [`WorkloadError::Option`] if `self_timed` is asked of a dataset without times.
    pub fn into_workload(self, traffic: &TrafficOptions) -> Result<Workload, WorkloadError> {
        traffic.check()?;
        if self.requests.is_empty() {
            return Err(WorkloadError::NoRequests);
        }
        let recorded = match (self.send_times, traffic.self_timed) {
            (recorded, None | Some(true)) => recorded,
            (_, Some(false)) => None,
        };
        let send_times = match recorded {
            Some(send_times) => send_times,
            None if traffic.self_timed == Some(true) => {
                return Err(WorkloadError::option("self_timed", true, "left out: this dataset has no timestamps"));
            }
            None => {
                // Without random gaps the state is not needed, and reaching it can take long.
                let draws_gaps = traffic.ramp_up_strategy.is_some() || traffic.request_rate.is_finite();
                let state = if draws_gaps { self.random_state } else { GlobalState::seeded(0) };
                // Who waits for an answer has no gap of their own.
                let waits = |index: usize| self.after.get(index).is_some_and(Option::is_some);
                let num_requests = self.requests.len();
                let num_free = (0..num_requests).filter(|&index| !waits(index)).count();
                let drawn = arrival::send_times(traffic, num_free, &mut state.random_state())?;
                if self.after.is_empty() {
                    drawn
                } else {
                    let mut drawn = drawn.into_iter();
                    let mut time = |index| if waits(index) { None } else { drawn.next() };
                    (0..num_requests).map(|index| time(index).unwrap_or_default()).collect()
                }
            }
        };
        let (max_concurrency, mut requests) = (traffic.max_concurrency, self.requests);
        let traffic = if self.after.is_empty() {
            Traffic::Timed { send_times, max_concurrency }
        } else {
            requests.set_come_in_any_order();
            Traffic::Answered { not_before: send_times, after: self.after, max_concurrency }
        };
        Ok(Workload { requests, traffic, earlier: Vec::new() })
    }
}

/// Samples the requests of a dataset, as `vllm/benchmarks/datasets/datasets.py::get_samples` does.
///
/// # Errors
/// See [`WorkloadError`].
pub fn sample(dataset: &Dataset<'_>, options: &SampleOptions) -> Result<Sample, WorkloadError> {
    match dataset {
        Dataset::Random(dataset) => dataset.sample(options),
        Dataset::PrefixRepetition(dataset) => dataset.sample(options),
        Dataset::ShareGpt(dataset) => dataset.sample(options),
        Dataset::Custom(dataset) => dataset.sample(options),
        Dataset::BurstGpt(dataset) => dataset.sample(options),
        Dataset::TimedTrace(dataset) => dataset.sample(options),
        Dataset::Recorded(dataset) => dataset.sample(options),
        Dataset::Synthetic(dataset) => dataset.sample(options),
        Dataset::Sessions(dataset) => dataset.sample(options),
        Dataset::Table(dataset) => dataset.sample(options),
    }
}

/// The workload of a dataset under a traffic. With the seed and the options of a `vllm bench serve` command, lengths,
/// order and shared prefixes are its own, and send times are to the nanosecond.
///
/// That holds as long as the tokenizer gives back the tokens of a random text; where it does not, the benchmark draws
/// again, which nobody can follow without the tokenizer.
///
/// # Errors
/// See [`WorkloadError`].
pub fn build(
    dataset: &Dataset<'_>,
    options: &SampleOptions,
    traffic: &TrafficOptions,
) -> Result<Workload, WorkloadError> {
    traffic.check()?;
    sample(dataset, options)?.into_workload(traffic)
}

/// Collects requests, numbering their tokens: a number is handed out once, and used again only for the same token.
#[derive(Debug)]
pub(super) struct RequestBuilder {
    requests: RequestSet,
    next_token: u64,
    num_runs: usize,
}

impl RequestBuilder {
    /// Most runs of tokens in one workload: 1 GiB.
    const MAX_RUNS: u32 = 1 << 26;

    pub(super) fn with_capacity(num_requests: u32) -> Self {
        let requests = RequestSet::with_capacity(crate::math::u32_to_usize(num_requests));
        Self { requests, next_token: 0, num_runs: 0 }
    }

    /// `len` tokens that nobody has had.
    pub(super) fn fresh(&mut self, len: u32) -> TokenRun {
        let start = self.next_token;
        self.next_token += u64::from(len);
        TokenRun { start, len }
    }

    /// Prompt and output length of a request that was pushed.
    pub(super) fn lengths(&self, id: RequestId) -> (u32, u32) {
        let request = self.requests.get(id);
        (request.num_prompt_tokens, request.num_output_tokens)
    }

    /// Appends to `prompt` the first `len` tokens of the prompt and output of a request that was pushed.
    pub(super) fn push_beginning(&self, prompt: &mut Vec<TokenRun>, id: RequestId, len: u32) {
        let mut rest = len;
        for run in self.requests.runs(self.requests.get(id)) {
            let len = run.len.min(rest);
            if len == 0 {
                break;
            }
            prompt.push(TokenRun { start: run.start, len });
            rest -= len;
        }
    }

    /// Appends a request that gets `prompt` and generates `num_output_tokens` tokens of its own, its limit.
    pub(super) fn push(&mut self, prompt: &[TokenRun], num_output_tokens: u32) -> Result<(), WorkloadError> {
        self.push_with_priority(prompt, num_output_tokens, 0).map(|_| ())
    }

    /// The same with a scheduling priority; returns the tokens of the output.
    pub(super) fn push_with_priority(
        &mut self,
        prompt: &[TokenRun],
        num_output_tokens: u32,
        priority: i32,
    ) -> Result<TokenRun, WorkloadError> {
        let index = self.requests.len();
        self.num_runs += prompt.len() + 1;
        if self.num_runs > crate::math::u32_to_usize(Self::MAX_RUNS) {
            let limit = u64::from(Self::MAX_RUNS);
            return Err(WorkloadError::TooLarge {
                what: "runs of tokens in all prompts and outputs together (see num_prompts)",
                value: limit + 1,
                limit,
            });
        }
        let output = [self.fresh(num_output_tokens)];
        let order = u32::try_from(index).unwrap_or(u32::MAX);
        let new = NewRequest {
            prompt,
            output: &output,
            max_tokens: num_output_tokens,
            stops: false,
            priority,
            arrival_order: u64::from(order),
            id_rank: order,
            cache_salt: 0,
        };
        match self.requests.push(&new) {
            Ok(_) => Ok(output[0]),
            Err(error) => Err(WorkloadError::Request { index, error }),
        }
    }

    /// The sample so far; `seed` is what the dataset left in NumPy's global state.
    pub(super) fn finish(self, seed: u32) -> Result<Sample, WorkloadError> {
        if self.requests.is_empty() {
            return Err(WorkloadError::NoRequests);
        }
        Ok(Sample::of_requests(self.requests, seed))
    }
}
