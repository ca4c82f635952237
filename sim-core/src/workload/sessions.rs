//! Conversations and agents: sessions of turns, each of which waits for the answer before. Not vLLM's `bench serve`; the
//! quantities are those of its `benchmarks/multi_turn` (turns, tokens of a session's first message, tokens of each message
//! and answer), with times to think, tools, and a system prompt besides.

use alloc::vec::Vec;

use super::After;
use super::dataset::{RequestBuilder, Sample, SampleOptions};
use super::draw::Draw;
use super::error::WorkloadError;
use crate::math;
use crate::request::{RequestId, TokenRun};
use crate::request_set::RequestSet;
use crate::rng::Pcg64;
use crate::time::{SimDuration, SimTime};

/// `--dataset-name sessions`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sessions {
    /// Sessions in all, from 1 to [`RequestSet::MAX_REQUESTS`].
    pub num_sessions: u32,
    /// Users, each of whom begins a session some time after the one before has ended, at least 1; `None`: sessions begin as
    /// the traffic says.
    pub num_users: Option<u32>,
    /// Messages of the user in a session, at least 1.
    pub session_turns: Draw,
    /// Tokens at the beginning of every session, the same for all.
    pub system_prompt_len: u32,
    /// Tokens behind these, of the session's own: a document, a repository.
    pub session_prefix_len: Draw,
    /// Tokens of a message of the user, at least 1.
    pub session_input_len: Draw,
    /// Tokens of an answer of the model, at least 1.
    pub session_output_len: Draw,
    /// Seconds from an answer's end to the user's next message, or to the user's next session.
    pub think_time: Draw,
    /// Tools that the model calls before it answers a message: each is an answer, and a request with what the tool said.
    pub tool_calls: Draw,
    /// Seconds that a tool takes.
    pub tool_time: Draw,
    /// Tokens of what it says, at least 1.
    pub tool_output_len: Draw,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            num_sessions: 100,
            num_users: None,
            session_turns: Draw::Fixed(5.0),
            system_prompt_len: 0,
            session_prefix_len: Draw::Fixed(0.0),
            session_input_len: Draw::Fixed(128.0),
            session_output_len: Draw::Fixed(256.0),
            think_time: Draw::Exponential { mean: 10.0 },
            tool_calls: Draw::Fixed(0.0),
            tool_time: Draw::Exponential { mean: 1.0 },
            tool_output_len: Draw::Fixed(256.0),
        }
    }
}

/// One stream of random numbers for each quantity, so that a change of one leaves the others as they are.
struct Streams {
    turns: Pcg64,
    prefix_len: Pcg64,
    input_len: Pcg64,
    output_len: Pcg64,
    think_time: Pcg64,
    tool_calls: Pcg64,
    tool_time: Pcg64,
    tool_output_len: Pcg64,
    start: Pcg64,
}

impl Streams {
    fn new(seed: u32) -> Self {
        let stream = |name| Pcg64::stream(u64::from(seed), name);
        Self {
            turns: stream("session_turns"),
            prefix_len: stream("session_prefix_len"),
            input_len: stream("session_input_len"),
            output_len: stream("session_output_len"),
            think_time: stream("think_time"),
            tool_calls: stream("tool_calls"),
            tool_time: stream("tool_time"),
            tool_output_len: stream("tool_output_len"),
            start: stream("session_start"),
        }
    }
}

/// The sessions built so far.
struct Build<'a> {
    sessions: &'a Sessions,
    streams: Streams,
    builder: RequestBuilder,
    system: TokenRun,
    after: Vec<Option<After>>,
}

impl Sessions {
    /// Draws the sessions. Requests stand session by session; each has the whole conversation before it as its prompt, the
    /// model's own answers token for token.
    pub(super) fn sample(&self, options: &SampleOptions) -> Result<Sample, WorkloadError> {
        self.check()?;
        let mut builder = RequestBuilder::with_capacity(0);
        let system = builder.fresh(self.system_prompt_len);
        let streams = Streams::new(options.seed);
        let mut build = Build { sessions: self, streams, builder, system, after: Vec::new() };
        let num_users = self.num_users.map_or(usize::MAX, math::u32_to_usize);
        // The last request of each session, and when the first may be sent.
        let (mut last, mut starts) = (Vec::new(), Vec::new());
        for session in 0..math::u32_to_usize(self.num_sessions) {
            let pause = seconds(self.think_time, &mut build.streams.start);
            let before: Option<RequestId> = session.checked_sub(num_users).map(|before: usize| last[before]);
            let num_before = build.after.len();
            build.session(before.map(|request| After { request, delay: pause }))?;
            last.push(build.last());
            starts.resize(build.after.len(), SimTime::ZERO);
            if before.is_none() {
                starts[num_before] = SimTime::ZERO + pause;
            }
        }
        let mut sample = build.builder.finish(options.seed)?;
        sample.after = build.after;
        sample.send_times = self.num_users.map(|_| starts);
        Ok(sample)
    }

    fn check(&self) -> Result<(), WorkloadError> {
        if !(1..=RequestSet::MAX_REQUESTS).contains(&self.num_sessions) {
            return Err(WorkloadError::option("num_sessions", self.num_sessions, "from 1 to 10000000"));
        }
        if self.num_users == Some(0) {
            let need = "at least 1, or absent: then sessions begin at the request rate";
            return Err(WorkloadError::option("num_users", 0, need));
        }
        if self.system_prompt_len > RequestSet::MAX_SEQUENCE_TOKENS {
            return Err(WorkloadError::option("system_prompt_len", self.system_prompt_len, "at most 67108864 tokens"));
        }
        Ok(())
    }
}

impl Build<'_> {
    /// Appends a session whose first request waits for `first`.
    fn session(&mut self, first: Option<After>) -> Result<(), WorkloadError> {
        let sessions = self.sessions;
        let num_turns = sessions.session_turns.count(1, &mut self.streams.turns);
        let prefix_len = sessions.session_prefix_len.count(0, &mut self.streams.prefix_len);
        // System prompt, then what is the session's own: it grows by runs that follow each other.
        let mut prompt = alloc::vec![self.system, self.builder.fresh(prefix_len)];
        let mut after = first;
        for _ in 0..num_turns {
            let input_len = sessions.session_input_len.count(1, &mut self.streams.input_len);
            self.request(&mut prompt, input_len, after)?;
            for _ in 0..sessions.tool_calls.count(0, &mut self.streams.tool_calls) {
                let delay = seconds(sessions.tool_time, &mut self.streams.tool_time);
                let output_len = sessions.tool_output_len.count(1, &mut self.streams.tool_output_len);
                self.request(&mut prompt, output_len, Some(After { request: self.last(), delay }))?;
            }
            let delay = seconds(sessions.think_time, &mut self.streams.think_time);
            after = Some(After { request: self.last(), delay });
        }
        Ok(())
    }

    /// Appends a request that goes on from `prompt` with `new_len` tokens, and its answer to `prompt`.
    fn request(&mut self, prompt: &mut Vec<TokenRun>, new_len: u32, after: Option<After>) -> Result<(), WorkloadError> {
        let output_len = self.sessions.session_output_len.count(1, &mut self.streams.output_len);
        join(prompt, self.builder.fresh(new_len));
        let answer = self.builder.push_with_priority(prompt, output_len, 0)?;
        join(prompt, answer);
        self.after.push(after);
        Ok(())
    }

    /// The request that was appended last.
    fn last(&self) -> RequestId {
        RequestId(math::usize_to_u32(self.after.len().saturating_sub(1)))
    }
}

/// Appends a run, as part of the one before where it follows that.
fn join(prompt: &mut Vec<TokenRun>, run: TokenRun) {
    match prompt.last_mut() {
        Some(last) if last.start + u64::from(last.len) == run.start => last.len = last.len.saturating_add(run.len),
        _ => prompt.push(run),
    }
}

fn seconds(draw: Draw, rng: &mut Pcg64) -> SimDuration {
    SimDuration::from_secs_f64(draw.number(rng))
}
