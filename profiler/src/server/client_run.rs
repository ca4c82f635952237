//! What a client sends, and what it sees: the latencies of `vllm bench serve`.

/// A request and when it is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TimedRequest {
    /// Nanoseconds since the run began.
    pub(crate) at_ns: u64,
    /// Token ids below the model's `vocab_size`, at least one.
    pub(crate) prompt_token_ids: Vec<u32>,
    /// Generated tokens: end-of-sequence tokens are ignored.
    pub(crate) max_tokens: u32,
}

/// What the client saw of a request; instants of `CLOCK_MONOTONIC` in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClientRequest {
    /// It was handed to the connection.
    pub(crate) send_ns: u64,
    /// Chunks: when each was received, and how many tokens it brought.
    pub(crate) chunks: Vec<(u64, u32)>,
    /// Why it failed.
    pub(crate) error: Option<String>,
}

/// What the client saw of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClientRun {
    /// When it began: times of sending count from here.
    pub(crate) origin_ns: u64,
    /// In the order of the requests.
    pub(crate) requests: Vec<ClientRequest>,
}

impl ClientRun {
    /// From its beginning to its last token.
    pub(crate) fn duration_ns(&self) -> u64 {
        let last = self.requests.iter().filter_map(|request| request.chunks.last()).map(|chunk| chunk.0).max();
        last.unwrap_or(0).saturating_sub(self.origin_ns)
    }
}

impl ClientRequest {
    /// Time to first token, in seconds; `None` if none came.
    pub(crate) fn ttft(&self) -> Option<f64> {
        Some(seconds(self.chunks.first()?.0.saturating_sub(self.send_ns)))
    }

    /// End-to-end latency, in seconds; `None` if no token came.
    pub(crate) fn e2el(&self) -> Option<f64> {
        Some(seconds(self.chunks.last()?.0.saturating_sub(self.send_ns)))
    }

    /// Time per output token but the first, in seconds; `None` unless two tokens came.
    pub(crate) fn tpot(&self) -> Option<f64> {
        sim_core::metrics::request_metrics::tpot(self.e2el()?, self.ttft()?, self.num_tokens())
    }

    /// Inter-token latencies, in seconds: between chunks, as `vllm bench serve` has it.
    pub(crate) fn itls(&self) -> impl Iterator<Item = f64> + '_ {
        self.chunks.windows(2).map(|pair| seconds(pair[1].0.saturating_sub(pair[0].0)))
    }

    /// Tokens that came.
    pub(crate) fn num_tokens(&self) -> u32 {
        self.chunks.iter().map(|chunk| chunk.1).sum()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a span of at most hours")]
pub(crate) fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
