//! The latencies that a report can name, and what each is of a request.

use alloc::vec::Vec;

use super::bench_outputs::{BenchOutputs, RequestOutput};
use super::request_metrics::tpot;

/// A latency that `--percentile-metrics` can name. The order is that of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LatencyMetric {
    /// Time to first token.
    Ttft,
    /// Time per output token, the first one excluded.
    Tpot,
    /// Inter-token latency.
    Itl,
    /// End-to-end latency.
    E2el,
    /// Wait of the client for `max_concurrency`; reported only if that is set.
    ClientQueueTime,
    /// The two last together; reported only if `max_concurrency` is set and the request rate is finite.
    E2elIncludingClientQueue,
}

impl LatencyMetric {
    /// All, in the order of the table.
    pub const ALL: [Self; 6] =
        [Self::Ttft, Self::Tpot, Self::Itl, Self::E2el, Self::ClientQueueTime, Self::E2elIncludingClientQueue];

    /// Its name in options and in the keys of the result, such as `mean_ttft_ms`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Ttft => "ttft",
            Self::Tpot => "tpot",
            Self::Itl => "itl",
            Self::E2el => "e2el",
            Self::ClientQueueTime => "client_queue_time",
            Self::E2elIncludingClientQueue => "e2el_including_client_queue",
        }
    }

    /// Its name in the rows of the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ttft => "TTFT",
            Self::Tpot => "TPOT",
            Self::Itl => "ITL",
            Self::E2el => "E2EL",
            Self::ClientQueueTime => "Client Queue Time",
            Self::E2elIncludingClientQueue => "E2EL incl. Client Queue",
        }
    }

    /// Its headline in the table.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Self::Ttft => "Time to First Token",
            Self::Tpot => "Time per Output Token (excl. 1st token)",
            Self::Itl => "Inter-token Latency",
            Self::E2el => "End-to-end Latency",
            Self::ClientQueueTime => "Client-side Queueing",
            Self::E2elIncludingClientQueue => "Queue-inclusive End-to-end Latency",
        }
    }

    /// The metric of this [`Self::key`].
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.key() == key)
    }

    /// Its place in [`Self::ALL`].
    pub(super) const fn place(self) -> usize {
        self as usize
    }

    /// That of a successful request, in seconds; `None` if it has none, and for inter-token latencies, which are many.
    fn of(self, output: &RequestOutput<'_>) -> Option<f64> {
        match self {
            Self::Ttft => Some(output.ttft),
            Self::Tpot => tpot(output.latency, output.ttft, output.output_len),
            Self::Itl => None,
            Self::E2el => Some(output.latency),
            Self::ClientQueueTime => Some(output.client_queue_time),
            Self::E2elIncludingClientQueue => Some(output.latency + output.client_queue_time),
        }
    }
}

/// Those of `metrics` of each successful request, in seconds and in order; `visit` sees every request.
pub(super) fn samples<const N: usize>(
    outputs: &impl BenchOutputs,
    metrics: [impl Into<Option<LatencyMetric>>; N],
    mut visit: impl FnMut(&RequestOutput<'_>),
) -> [Vec<f64>; N] {
    let metrics = metrics.map(Into::into);
    let mut samples = [const { Vec::new() }; N];
    outputs.for_each_output(|output| {
        visit(&output);
        for (samples, metric) in samples.iter_mut().zip(&metrics).filter(|_| output.success) {
            samples.extend(metric.and_then(|metric| metric.of(&output)));
        }
    });
    samples
}
