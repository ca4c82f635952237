//! Service level objectives as `vllm bench serve --goodput` takes them, and which requests meet them
//! (`vllm/benchmarks/serve.py::{parse_goodput, check_goodput_args, calculate_metrics}`).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::math;
use crate::metrics::bench_outputs::{BenchOutputs, RequestOutput};
use crate::metrics::python_float;
use crate::metrics::request_metrics::tpot;

/// Upper bounds in milliseconds; a request is good if it meets every one that is given.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Goodput {
    /// Bound on the time to first token.
    pub ttft_ms: Option<f64>,
    /// Bound on the time per output token. A request of one token has none and counts as 0.
    pub tpot_ms: Option<f64>,
    /// Bound on the end-to-end latency.
    pub e2el_ms: Option<f64>,
}

/// Why `--goodput` is refused, in vLLM's words. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum GoodputError {
    /// An argument is not `KEY:VALUE` with one colon, or its value is not a number. Checked for all arguments first.
    Format,
    /// A key is not `ttft`, `tpot` or `e2el`.
    Name {
        /// The key.
        name: String,
        /// Its value.
        value: f64,
    },
    /// A value is below zero.
    Negative {
        /// The key.
        name: String,
        /// Its value.
        value: f64,
    },
}

impl fmt::Display for GoodputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => f.write_str(
                "Invalid format found for service level objectives. Specify service level objectives for goodput as \
                 \"KEY:VALUE\" pairs, where the key is a metric name, and the value is a number in milliseconds.",
            ),
            Self::Name { name, value } => write!(
                f,
                "Invalid metric name found, {name}: {}. The service level objective name should be one of \
                 ['ttft', 'tpot', 'e2el']. ",
                python_float::Repr(*value)
            ),
            Self::Negative { name, value } => write!(
                f,
                "Invalid value found, {name}: {}. The service level objective value should be non-negative.",
                python_float::Repr(*value)
            ),
        }
    }
}

impl core::error::Error for GoodputError {}

impl Goodput {
    /// Reads arguments such as `["ttft:500", "tpot:50"]`; a later value of a key replaces an earlier one.
    ///
    /// # Errors
    /// See [`GoodputError`].
    pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Self, GoodputError> {
        let mut pairs: Vec<(&str, f64)> = Vec::new();
        for argument in arguments {
            let (name, value) = argument.split_once(':').ok_or(GoodputError::Format)?;
            let value = python_float::parse(value).ok_or(GoodputError::Format)?;
            match pairs.iter_mut().find(|pair| pair.0 == name) {
                Some(pair) => pair.1 = value,
                None => pairs.push((name, value)),
            }
        }
        let mut goodput = Self::default();
        for (name, value) in pairs {
            let bound = match name {
                "ttft" => &mut goodput.ttft_ms,
                "tpot" => &mut goodput.tpot_ms,
                "e2el" => &mut goodput.e2el_ms,
                _ => {
                    return Err(GoodputError::Name { name: name.to_string(), value });
                }
            };
            if value < 0.0 {
                return Err(GoodputError::Negative { name: name.to_string(), value });
            }
            *bound = Some(value);
        }
        Ok(goodput)
    }

    /// Whether no bound is given; vLLM then reports no goodput.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ttft_ms.is_none() && self.tpot_ms.is_none() && self.e2el_ms.is_none()
    }

    /// Whether a request meets every bound; one that failed meets none.
    #[must_use]
    pub fn is_met(&self, output: &RequestOutput<'_>) -> bool {
        let within = |bound: Option<f64>, seconds: f64| bound.is_none_or(|bound| bound / 1000.0 >= seconds);
        output.success
            && within(self.ttft_ms, output.ttft)
            && within(self.tpot_ms, tpot(output.latency, output.ttft, output.output_len).unwrap_or(0.0))
            && within(self.e2el_ms, output.latency)
    }

    /// Which requests meet every bound, in their order.
    pub fn attainment<'a>(&'a self, outputs: &'a impl BenchOutputs) -> impl Iterator<Item = bool> + 'a {
        (0..outputs.num_requests()).map(|request| self.is_met(&outputs.output(request)))
    }

    /// Share of all requests, failed ones included, that meet every bound; 1 without requests.
    #[must_use]
    pub fn share_met(&self, outputs: &impl BenchOutputs) -> f64 {
        if outputs.num_requests() == 0 {
            return 1.0;
        }
        let num_good = self.attainment(outputs).filter(|&met| met).count();
        math::usize_to_f64(num_good) / math::usize_to_f64(outputs.num_requests())
    }
}
