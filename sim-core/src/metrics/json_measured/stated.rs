//! What a result file says request by request, with or without `--save-detailed`.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::MeasuredError;
use crate::metrics::bench_serve::LatencyMetric;

/// Lists with one entry per request, in sending order; `None` where the file has none. vLLM 0.32 always writes
/// `latencies` and `queue_times`, the others with `--save-detailed`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StatedLists {
    /// Prompt tokens.
    pub input_lens: Option<Vec<u32>>,
    /// Tokens generated.
    pub output_lens: Option<Vec<u32>>,
    /// End-to-end latencies in seconds.
    pub latencies: Option<Vec<f64>>,
    /// When each was sent, in seconds on a clock of any origin.
    pub start_times: Option<Vec<f64>>,
    /// Wait for `max_concurrency` before that, in seconds.
    pub queue_times: Option<Vec<f64>>,
    /// Not of requests: the share of verifications that accepted each position and all before it.
    pub acceptance_rates: Option<Vec<f64>>,
}

impl StatedLists {
    /// Prompt and output tokens of each request, if the file has both.
    #[must_use]
    pub fn lengths(&self) -> Option<Vec<(u32, u32)>> {
        let (inputs, outputs) = (self.input_lens.as_ref()?, self.output_lens.as_ref()?);
        Some(inputs.iter().copied().zip(outputs.iter().copied()).collect())
    }

    /// Refuses lists of different lengths.
    pub(super) fn check(&self) -> Result<(), MeasuredError> {
        let lengths = |list: &Option<Vec<u32>>| list.as_ref().map(Vec::len);
        let times = |list: &Option<Vec<f64>>| list.as_ref().map(Vec::len);
        let all = [
            ("input_lens", lengths(&self.input_lens)),
            ("output_lens", lengths(&self.output_lens)),
            ("latencies", times(&self.latencies)),
            ("start_times", times(&self.start_times)),
            ("queue_times", times(&self.queue_times)),
        ];
        let mut present = all.into_iter().filter_map(|(key, length)| Some((key, length?)));
        let Some((first, num_requests)) = present.next() else { return Ok(()) };
        match present.find(|(_, length)| *length != num_requests) {
            None => Ok(()),
            Some((key, length)) => Err(MeasuredError::Value {
                place: key.to_string(),
                value: format!("a list of {length} entries"),
                need: need_as_long(first),
            }),
        }
    }
}

/// What a list must be that is shorter or longer than another.
const fn need_as_long(first: &str) -> &'static str {
    match first.as_bytes() {
        b"input_lens" => "as long as input_lens",
        b"output_lens" => "as long as output_lens",
        b"latencies" => "as long as latencies",
        _ => "as long as start_times",
    }
}

/// A statistic of a latency that a key of a result names: `mean_ttft_ms`, `p99_e2el_ms`.
#[must_use]
pub fn latency_statistic(key: &str) -> Option<(&str, LatencyMetric)> {
    let (statistic, rest) = key.strip_suffix("_ms")?.split_once('_')?;
    let metric = LatencyMetric::ALL.into_iter().find(|metric| metric.key() == rest)?;
    Some((statistic, metric))
}
