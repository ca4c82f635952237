//! When requests are sent: `vllm bench serve`'s traffic (`vllm/benchmarks/serve.py::get_request`), or recorded times.

use alloc::vec;
use alloc::vec::Vec;

use super::error::WorkloadError;
use crate::math;
use crate::rng::RandomState;
use crate::time::SimTime;

/// Latest send time: some 31 years.
pub const MAX_SEND_SECONDS: f64 = 1e9;

/// How the request rate grows from the first request to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RampUpStrategy {
    /// By equal steps.
    Linear,
    /// By equal factors.
    Exponential,
}

/// The traffic options of `vllm bench serve`, under its names and with its defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrafficOptions {
    /// Requests per second, above 0; infinite: all at once. Infinite too where the rate ramps up.
    pub request_rate: f64,
    /// Shape of the gamma distribution of the gaps, above 0: 1 is a Poisson process, infinity constant gaps.
    pub burstiness: f64,
    /// `None`: the rate is constant.
    pub ramp_up_strategy: Option<RampUpStrategy>,
    /// Requests per second at the first request, at least 1; needed for and only used by a ramp-up.
    pub ramp_up_start_rps: Option<u32>,
    /// Requests per second at the last request, at least `ramp_up_start_rps`; as above.
    pub ramp_up_end_rps: Option<u32>,
    /// Most requests under way, at least 1; `None` for no limit.
    pub max_concurrency: Option<u32>,
    /// Whether the dataset's own timestamps are used; `None`: if it has any.
    pub self_timed: Option<bool>,
}

impl Default for TrafficOptions {
    fn default() -> Self {
        Self {
            request_rate: f64::INFINITY,
            burstiness: 1.0,
            ramp_up_strategy: None,
            ramp_up_start_rps: None,
            ramp_up_end_rps: None,
            max_concurrency: None,
            self_timed: None,
        }
    }
}

/// The request rate at each request.
#[derive(Debug, Clone, Copy)]
enum Rate {
    Constant(f64),
    RampUp { strategy: RampUpStrategy, start: f64, end: f64 },
}

impl Rate {
    /// Requests per second at request `index` of `count` (`serve.py::_get_current_request_rate`).
    fn at(self, index: usize, count: usize) -> f64 {
        match self {
            Self::Constant(rate) => rate,
            Self::RampUp { strategy, start, end } => {
                let progress = math::usize_to_f64(index) / math::usize_to_f64(count.saturating_sub(1).max(1));
                match strategy {
                    RampUpStrategy::Linear => start + (end - start) * progress,
                    RampUpStrategy::Exponential => start * math::pow(end / start, progress),
                }
            }
        }
    }
}

impl TrafficOptions {
    /// Checks every option that does not depend on the dataset.
    ///
    /// # Errors
    /// [`WorkloadError::Option`], naming the first option outside its range.
    pub fn check(&self) -> Result<(), WorkloadError> {
        if self.max_concurrency == Some(0) {
            return Err(WorkloadError::option("max_concurrency", 0, "at least 1, or absent for no limit"));
        }
        self.rate().map(|_| ())
    }

    /// The whole numbers of requests per second that a ramp-up passes, each with the index of the request at which it
    /// is reached: what `vllm bench serve` reports as `rps_change_events`. Empty without a ramp-up.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn rps_changes(&self, num_requests: usize) -> Result<Vec<(u32, usize)>, WorkloadError> {
        let rate = self.rate()?;
        let (Rate::RampUp { .. }, Some(start)) = (rate, self.ramp_up_start_rps) else { return Ok(Vec::new()) };
        let mut changes = vec![(start, 0)];
        let mut last = start;
        for index in 0..num_requests {
            let reached = math::f64_to_u32(rate.at(index, num_requests));
            changes.extend((last.saturating_add(1)..=reached).map(|rps| (rps, index)));
            last = last.max(reached);
        }
        Ok(changes)
    }

    fn rate(&self) -> Result<Rate, WorkloadError> {
        if self.burstiness.is_nan() || self.burstiness <= 0.0 {
            return Err(WorkloadError::option("burstiness", self.burstiness, "above 0 (inf for constant gaps)"));
        }
        if self.request_rate.is_nan() || self.request_rate <= 0.0 {
            return Err(WorkloadError::option("request_rate", self.request_rate, "above 0 (inf for all at once)"));
        }
        let Some(strategy) = self.ramp_up_strategy else {
            return Ok(Rate::Constant(self.request_rate));
        };
        if self.request_rate.is_finite() {
            return Err(WorkloadError::option("request_rate", self.request_rate, "left out with ramp_up_strategy"));
        }
        let Some(start) = self.ramp_up_start_rps else {
            return Err(WorkloadError::option("ramp_up_start_rps", "absent", "given with ramp_up_strategy"));
        };
        let Some(end) = self.ramp_up_end_rps else {
            return Err(WorkloadError::option("ramp_up_end_rps", "absent", "given with ramp_up_strategy"));
        };
        // vLLM accepts 0 for a linear ramp-up and then stops at the first request, whose rate is 0.
        if start == 0 {
            return Err(WorkloadError::option("ramp_up_start_rps", start, "at least 1"));
        }
        if end < start {
            return Err(WorkloadError::option("ramp_up_end_rps", end, "at least ramp_up_start_rps"));
        }
        Ok(Rate::RampUp { strategy, start: f64::from(start), end: f64::from(end) })
    }
}

/// The send times of `num_requests` requests, drawn from `random_state` as `vllm bench serve` draws them from NumPy's
/// global state. Not decreasing; without a ramp-up the last is at `num_requests / request_rate`.
///
/// # Errors
/// [`WorkloadError::Option`] if an option is outside its range, [`WorkloadError::SendTime`] if the options give a time
/// that no simulation reaches.
pub fn send_times(
    options: &TrafficOptions,
    num_requests: usize,
    random_state: &mut RandomState,
) -> Result<Vec<SimTime>, WorkloadError> {
    let rate = options.rate()?;
    let mut delay = 0.0;
    let mut delays: Vec<f64> = (0..num_requests)
        .map(|index| {
            delay += gap(rate.at(index, num_requests), options.burstiness, random_state);
            delay
        })
        .collect();
    // vLLM stretches the whole so that runs of different seeds have one and the same mean rate.
    if let Rate::Constant(rate) = rate
        && delay != 0.0
    {
        let normalize_factor = math::usize_to_f64(num_requests) / rate / delay;
        for delay in &mut delays {
            *delay *= normalize_factor;
        }
    }
    delays.iter().enumerate().map(|(index, &seconds)| send_time(index, seconds)).collect()
}

/// Seconds between one request and the next.
fn gap(rate: f64, burstiness: f64, random_state: &mut RandomState) -> f64 {
    if rate.is_infinite() {
        0.0
    } else if burstiness.is_infinite() {
        1.0 / rate
    } else {
        random_state.gamma(burstiness, 1.0 / (rate * burstiness))
    }
}

/// Send times from a trace's own `timestamps` in seconds after the start: a request whose time has passed is sent at
/// once, as `vllm bench serve` does.
///
/// # Errors
/// [`WorkloadError::SendTime`] if one is not a number or too late.
pub fn recorded_send_times(timestamps: &[f64]) -> Result<Vec<SimTime>, WorkloadError> {
    let mut latest = SimTime::ZERO;
    timestamps
        .iter()
        .enumerate()
        .map(|(index, &seconds)| {
            latest = latest.max(send_time(index, seconds)?);
            Ok(latest)
        })
        .collect()
}

fn send_time(index: usize, seconds: f64) -> Result<SimTime, WorkloadError> {
    if seconds <= MAX_SEND_SECONDS {
        Ok(SimTime::from_secs_f64(seconds))
    } else {
        Err(WorkloadError::SendTime { index, seconds })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[track_caller]
    fn check(options: TrafficOptions, expect: &[f64]) {
        let times = send_times(&options, expect.len(), &mut RandomState::new(0)).unwrap();
        let seconds: Vec<f64> = times.iter().map(|time| time.as_secs_f64()).collect();
        assert_eq!(seconds, expect);
    }

    #[track_caller]
    fn check_refused(options: TrafficOptions, expect: &str) {
        let error = options.check().unwrap_err();
        assert_eq!(error.to_string(), expect);
    }

    #[test]
    fn an_infinite_rate_sends_everything_at_once() {
        check(TrafficOptions::default(), &[0.0, 0.0, 0.0]);
    }

    #[test]
    fn infinite_burstiness_is_a_constant_gap_before_each_request() {
        check(
            TrafficOptions { request_rate: 4.0, burstiness: f64::INFINITY, ..Default::default() },
            &[0.25, 0.5, 0.75, 1.0],
        );
    }

    #[test]
    fn the_last_request_of_a_poisson_process_comes_at_n_over_rate() {
        let options = TrafficOptions { request_rate: 8.0, ..Default::default() };
        let times = send_times(&options, 100, &mut RandomState::new(3)).unwrap();
        assert_eq!(times.last().copied(), Some(SimTime::from_secs_f64(12.5)));
        assert!(times.is_sorted(), "send times must not decrease");
    }

    #[test]
    fn a_request_that_is_late_in_its_trace_is_sent_at_once() {
        let times = recorded_send_times(&[-1.0, 2.0, 1.0, 3.0]).unwrap();
        assert_eq!(times, [0.0, 2.0, 2.0, 3.0].map(SimTime::from_secs_f64));
        let refused = recorded_send_times(&[0.0, f64::NAN]);
        assert!(matches!(refused, Err(WorkloadError::SendTime { index: 1, .. })), "{refused:?}");
    }

    #[test]
    fn options_out_of_range_are_refused_by_name() {
        let default = TrafficOptions::default();
        let ramp = TrafficOptions { ramp_up_strategy: Some(RampUpStrategy::Linear), ..default };
        check_refused(
            TrafficOptions { request_rate: 0.0, ..default },
            "request_rate is 0; it must be above 0 (inf for all at once)",
        );
        check_refused(
            TrafficOptions { burstiness: f64::NAN, ..default },
            "burstiness is NaN; it must be above 0 (inf for constant gaps)",
        );
        check_refused(
            TrafficOptions { max_concurrency: Some(0), ..default },
            "max_concurrency is 0; it must be at least 1, or absent for no limit",
        );
        check_refused(ramp, "ramp_up_start_rps is absent; it must be given with ramp_up_strategy");
        check_refused(
            TrafficOptions { ramp_up_start_rps: Some(5), ramp_up_end_rps: Some(4), ..ramp },
            "ramp_up_end_rps is 4; it must be at least ramp_up_start_rps",
        );
        check_refused(
            TrafficOptions { request_rate: 3.0, ..ramp },
            "request_rate is 3; it must be left out with ramp_up_strategy",
        );
    }
}
