//! All requests of a workload, checked as they are added.

use alloc::vec::Vec;

use crate::request::{Request, RequestId, TokenRun};
use crate::speculative::Acceptance;

/// What [`RequestSet::push`] is told about a request; the fields are those of [`Request`].
#[derive(Debug, Clone, Copy)]
pub struct NewRequest<'a> {
    /// Prompt, in order; at least one token in total.
    pub prompt: &'a [TokenRun],
    /// Generated tokens, in order: exactly [`Self::num_output_tokens`].
    pub output: &'a [TokenRun],
    /// See [`Request::max_tokens`].
    pub max_tokens: u32,
    /// See [`Request::stops`].
    pub stops: bool,
    /// See [`InLine::priority`].
    pub priority: i32,
    /// See [`InLine::arrival_order`].
    pub arrival_order: u64,
    /// See [`InLine::id_rank`].
    pub id_rank: u32,
    /// See [`InLine::cache_salt`].
    pub cache_salt: u32,
}

impl NewRequest<'_> {
    /// Generated tokens: the length of `output`.
    #[must_use]
    pub fn num_output_tokens(&self) -> u64 {
        self.output.iter().map(|run| u64::from(run.len)).sum()
    }
}

/// What of a request orders it among others, and keeps its blocks from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InLine {
    /// Scheduling priority; lower is sooner. Only the `priority` policy reads it.
    pub priority: i32,
    /// Orders requests of equal priority: any number that grows with the front-end's arrival clock.
    pub arrival_order: u64,
    /// Orders requests of equal priority and arrival: rank of the request's text id.
    pub id_rank: u32,
    /// Requests with different salts share no cached block (`cache_salt`); 0 means none.
    pub cache_salt: u32,
}

impl InLine {
    /// That of nearly all requests: in the order of their numbers, with equal priority and no salt.
    #[must_use]
    pub const fn of(id: RequestId) -> Self {
        Self { priority: 0, arrival_order: id.0 as u64, id_rank: id.0, cache_salt: 0 }
    }
}

/// Why a request cannot be part of a workload. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// `prompt` holds no token.
    EmptyPrompt,
    /// `output` holds no token.
    EmptyOutput,
    /// `output` holds more than `max_tokens` tokens, or fewer without `stops`.
    OutputLength {
        /// Tokens in `output`.
        num_output_tokens: u64,
        /// The limit.
        max_tokens: u32,
    },
    /// Prompt and output together exceed [`RequestSet::MAX_SEQUENCE_TOKENS`].
    TooLong {
        /// Tokens of prompt and output.
        num_tokens: u64,
    },
    /// The set holds [`RequestSet::MAX_REQUESTS`] requests already.
    TooMany,
}

impl core::fmt::Display for RequestError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::EmptyPrompt => write!(f, "the prompt is empty; the decoder prompt must have at least 1 token"),
            Self::EmptyOutput => write!(f, "max_tokens is 0; it must be at least 1"),
            Self::OutputLength { num_output_tokens, max_tokens } => {
                write!(f, "{num_output_tokens} output tokens do not agree with max_tokens={max_tokens}")
            }
            Self::TooLong { num_tokens } => write!(
                f,
                "prompt and output have {num_tokens} tokens together; the limit is {}",
                RequestSet::MAX_SEQUENCE_TOKENS
            ),
            Self::TooMany => write!(f, "more than {} requests", RequestSet::MAX_REQUESTS),
        }
    }
}

impl core::error::Error for RequestError {}

/// The requests of a workload, in the order in which they are added to the engine.
#[derive(Debug, Clone, Default)]
pub struct RequestSet {
    requests: Vec<Request>,
    runs: Vec<TokenRun>,
    /// Of these, runs of requests that were taken out.
    num_unused_runs: usize,
    /// Of requests that are not in line by their number alone.
    in_line: Vec<InLine>,
    acceptance: Acceptance,
    come_in_any_order: bool,
}

impl RequestSet {
    /// Most requests in one set.
    pub const MAX_REQUESTS: u32 = 10_000_000;
    /// Most tokens in one sequence, prompt and output together.
    pub const MAX_SEQUENCE_TOKENS: u32 = 1 << 26;

    /// An empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            requests: Vec::new(),
            runs: Vec::new(),
            num_unused_runs: 0,
            in_line: Vec::new(),
            acceptance: Acceptance::None,
            come_in_any_order: false,
        }
    }

    /// An empty set with room for `num_requests` requests.
    #[must_use]
    pub fn with_capacity(num_requests: usize) -> Self {
        Self { requests: Vec::with_capacity(num_requests), runs: Vec::with_capacity(num_requests), ..Self::new() }
    }

    /// Appends a request and returns its id.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn push(&mut self, new: &NewRequest<'_>) -> Result<RequestId, RequestError> {
        let index = crate::math::usize_to_u32(self.requests.len());
        if index >= Self::MAX_REQUESTS {
            return Err(RequestError::TooMany);
        }
        let request = self.made(RequestId(index), new, 0)?;
        self.requests.push(request);
        Ok(RequestId(index))
    }

    /// Puts a request in the place of one that was taken out.
    ///
    /// # Errors
    /// See [`RequestError`].
    ///
    /// # Panics
    /// If `id` is not of this set.
    pub(crate) fn replace(&mut self, id: RequestId, new: &NewRequest<'_>) -> Result<(), RequestError> {
        let request = self.made(id, new, self.requests[id.index()].in_line)?;
        self.requests[id.index()] = request;
        Ok(())
    }

    /// Forgets the tokens of a request that nobody asks for any longer, and so makes room for another in its place.
    ///
    /// # Panics
    /// If `id` is not of this set.
    pub(crate) fn take_out(&mut self, id: RequestId) {
        let request = &mut self.requests[id.index()];
        self.num_unused_runs += core::mem::take(&mut request.num_runs) as usize;
        // As soon as half of them is unused: each run is moved once for each that was added.
        if self.num_unused_runs > 1024 && self.num_unused_runs > self.runs.len() / 2 {
            let mut kept = Vec::with_capacity(self.runs.len() - self.num_unused_runs);
            for request in &mut self.requests {
                let first = request.first_run as usize;
                request.first_run = crate::math::usize_to_u32(kept.len());
                kept.extend_from_slice(&self.runs[first..first + request.num_runs as usize]);
            }
            self.runs = kept;
            self.num_unused_runs = 0;
        }
    }

    /// The request that `new` asks for, its runs stored; it gets the place `in_line` if it needs one, or a new one for 0.
    #[inline]
    fn made(&mut self, id: RequestId, new: &NewRequest<'_>, in_line: u32) -> Result<Request, RequestError> {
        let num_prompt_tokens: u64 = new.prompt.iter().map(|run| u64::from(run.len)).sum();
        let num_output_tokens = new.num_output_tokens();
        if num_prompt_tokens == 0 {
            return Err(RequestError::EmptyPrompt);
        }
        if num_output_tokens == 0 {
            return Err(RequestError::EmptyOutput);
        }
        let agrees = if new.stops {
            num_output_tokens <= u64::from(new.max_tokens)
        } else {
            num_output_tokens == u64::from(new.max_tokens)
        };
        if !agrees {
            return Err(RequestError::OutputLength { num_output_tokens, max_tokens: new.max_tokens });
        }
        let num_tokens = num_prompt_tokens.saturating_add(num_output_tokens);
        let (Ok(num_prompt_tokens), Ok(num_output_tokens), true) = (
            u32::try_from(num_prompt_tokens),
            u32::try_from(num_output_tokens),
            num_tokens <= u64::from(Self::MAX_SEQUENCE_TOKENS),
        ) else {
            return Err(RequestError::TooLong { num_tokens });
        };
        let Ok(first_run) = u32::try_from(self.runs.len()) else { return Err(RequestError::TooMany) };
        for &run in new.prompt.iter().chain(new.output) {
            self.push_run(run, first_run as usize);
        }
        let in_line = self.keep_in_line(id, new, in_line);
        Ok(Request {
            first_run,
            num_runs: crate::math::usize_to_u32(self.runs.len()) - first_run,
            num_prompt_tokens,
            max_tokens: new.max_tokens,
            num_output_tokens,
            stops: new.stops,
            in_line,
        })
    }

    /// Keeps what of `new` is not said by its number, at `place` unless that is 0; returns where.
    fn keep_in_line(&mut self, id: RequestId, new: &NewRequest<'_>, place: u32) -> u32 {
        let &NewRequest { priority, arrival_order, id_rank, cache_salt, .. } = new;
        let in_line = InLine { priority, arrival_order, id_rank, cache_salt };
        if let Some(kept) = place.checked_sub(1).and_then(|index| self.in_line.get_mut(index as usize)) {
            *kept = in_line;
            return place;
        }
        if in_line == InLine::of(id) {
            return 0;
        }
        self.in_line.push(in_line);
        crate::math::usize_to_u32(self.in_line.len())
    }

    /// The same requests, each with a limit of one token. That one is the last, whether it stops or not.
    #[must_use]
    pub(crate) fn with_first_tokens(mut self) -> Self {
        for request in &mut self.requests {
            request.stops &= request.num_output_tokens == 1;
            (request.max_tokens, request.num_output_tokens) = (1, 1);
        }
        self
    }

    /// Appends a request with the prompt of `id` and another `output`, the rest alike but its place in line.
    ///
    /// # Errors
    /// See [`RequestError`].
    ///
    /// # Panics
    /// If `id` is not of this set.
    pub(crate) fn push_prompt_of(&mut self, id: RequestId, output: TokenRun) -> Result<RequestId, RequestError> {
        let request = self.requests[id.index()];
        let mut rest = request.num_prompt_tokens;
        let mut prompt = Vec::new();
        for run in self.runs(&request) {
            let len = run.len.min(rest);
            prompt.push(TokenRun { start: run.start, len });
            rest -= len;
        }
        let InLine { priority, cache_salt, .. } = self.in_line(id);
        let place = crate::math::usize_to_u32(self.requests.len());
        self.push(&NewRequest {
            prompt: &prompt,
            output: &[output],
            max_tokens: request.max_tokens,
            stops: request.stops,
            priority,
            arrival_order: u64::from(place),
            id_rank: place,
            cache_salt,
        })
    }

    /// Appends the request `id` of `other` with its prompt and answer, in the place in line that it now has.
    ///
    /// # Errors
    /// See [`RequestError`].
    ///
    /// # Panics
    /// If `id` is not of `other`.
    pub(crate) fn push_from(&mut self, other: &Self, id: RequestId) -> Result<RequestId, RequestError> {
        let request = other.get(id);
        let (mut prompt, mut output) = (Vec::new(), Vec::new());
        let mut rest = request.num_prompt_tokens;
        for run in other.runs(request) {
            let len = run.len.min(rest);
            prompt.push(TokenRun { start: run.start, len });
            output.push(TokenRun { start: run.start.wrapping_add(u64::from(len)), len: run.len - len });
            rest -= len;
        }
        let InLine { priority, cache_salt, .. } = other.in_line(id);
        let InLine { arrival_order, id_rank, .. } =
            InLine::of(RequestId(crate::math::usize_to_u32(self.requests.len())));
        self.push(&NewRequest {
            prompt: &prompt,
            output: &output,
            max_tokens: request.max_tokens,
            stops: request.stops,
            priority,
            arrival_order,
            id_rank,
            cache_salt,
        })
    }

    /// Appends `run`, joined with the run before it where the two are one: equal sequences get equal runs.
    fn push_run(&mut self, run: TokenRun, first_run: usize) {
        if run.len == 0 {
            return;
        }
        if self.runs.len() > first_run
            && let Some(last) = self.runs.last_mut()
            && last.start.wrapping_add(u64::from(last.len)) == run.start
        {
            last.len += run.len;
            return;
        }
        self.runs.push(run);
    }

    /// Says how many drafts the model accepts, where there is a drafter.
    pub fn set_acceptance(&mut self, acceptance: Acceptance) {
        self.acceptance = acceptance;
    }

    /// How many drafts the model accepts.
    #[must_use]
    pub const fn acceptance(&self) -> &Acceptance {
        &self.acceptance
    }

    /// Says that it is not known in which order requests come: [`InLine::arrival_order`] counts no more, and under the
    /// `priority` policy equals are served as they come.
    pub const fn set_come_in_any_order(&mut self) {
        self.come_in_any_order = true;
    }

    /// Whether that was said.
    #[must_use]
    pub const fn come_in_any_order(&self) -> bool {
        self.come_in_any_order
    }

    /// Number of requests.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The request `id`.
    ///
    /// # Panics
    /// If `id` is not of this set.
    #[must_use]
    pub fn get(&self, id: RequestId) -> &Request {
        &self.requests[id.index()]
    }

    /// Its place among others.
    #[must_use]
    #[inline]
    pub fn in_line(&self, id: RequestId) -> InLine {
        let own = self.requests.get(id.index()).and_then(|request| (request.in_line as usize).checked_sub(1));
        own.and_then(|own| self.in_line.get(own)).copied().unwrap_or(InLine::of(id))
    }

    /// All requests, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Request] {
        &self.requests
    }

    /// The runs of a request's whole sequence, prompt and output; neighbours are never joinable.
    #[must_use]
    pub fn runs(&self, request: &Request) -> &[TokenRun] {
        let first = request.first_run as usize;
        &self.runs[first..first + request.num_runs as usize]
    }
}
