//! Histograms with vLLM's buckets.
//!
//! Source: `vllm/v1/metrics/buckets.py`.

/// Seconds of a request or a phase of it.
pub(super) const REQUEST_LATENCY: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
];
/// Seconds to the first token.
pub(super) const TIME_TO_FIRST_TOKEN: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
];
/// Seconds between tokens.
pub(super) const INTER_TOKEN_LATENCY: &[f64] =
    &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0];
/// Tokens of a step.
pub(super) const ITERATION_TOKENS: &[f64] =
    &[1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];
/// The request's `n`.
pub(super) const REQUEST_PARAMS_N: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0];
/// Times that a request was preempted.
pub(super) const REQUEST_NUM_PREEMPTIONS: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0];

/// Bytes of a transfer to or from host memory (`TRANSFER_SIZE_BUCKETS` of the offloading connector's `metrics.py`).
pub(super) const TRANSFER_SIZE: &[f64] = &[1e6, 5e6, 10e6, 20e6, 40e6, 60e6, 80e6, 100e6, 150e6, 200e6];

/// Tokens of a request: 1, 2, 5, 10, … up to `max_model_len` (`build_1_2_5_buckets`).
pub(super) fn request_tokens(max_model_len: u32) -> Vec<f64> {
    let decades = (0..10).map(|exponent| 10_u64.pow(exponent));
    let series = decades.flat_map(|decade| [1, 2, 5].map(|mantissa| mantissa * decade));
    series.take_while(|value| *value <= u64::from(max_model_len)).map(|value| value as f64).collect()
}

/// Observations, counted by bucket.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    bounds: Vec<f64>,
    /// One more than bounds: the last is above all.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    pub(super) fn new(bounds: &[f64]) -> Self {
        Self { bounds: bounds.to_vec(), counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Counts an observation.
    pub(crate) fn observe(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        self.sum += value;
    }

    /// Upper bounds with what is at most so large; the last is everything.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.counts.iter().scan(0, |total, count| {
            *total += count;
            Some(*total)
        });
        bounds.zip(counts)
    }

    pub(super) const fn sum(&self) -> f64 {
        self.sum
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_in_its_bucket_and_buckets_add_up() {
        let mut histogram = Histogram::new(&[1.0, 2.0]);
        [0.5, 1.0, 1.5, 2.5].into_iter().for_each(|value| histogram.observe(value));
        let expect = [(1.0, 2), (2.0, 3), (f64::INFINITY, 4)];
        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), expect);
        assert_eq!((histogram.count(), histogram.sum()), (4, 5.5));
    }

    #[test]
    fn tokens_of_requests_go_up_to_the_models_length() {
        assert_eq!(request_tokens(100), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        assert_eq!(request_tokens(99).last(), Some(&50.0));
    }
}
