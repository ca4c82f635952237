//! A load on the server and in the simulator, side by side, with the noise of the server's own repeats.

use std::fmt;

use serde::Serialize;
use sim_core::profile::schema::PassNoise;

use super::front_end::{DecodePassTimes, FrontEndObservations};
use super::line_fit::median;
use super::load::Metrics;

/// Largest error of a mean or a median, and of a tail or of how long everything takes, as a share.
const MEAN_LIMIT: f64 = 0.05;
const TAIL_LIMIT: f64 = 0.10;
/// Of the rate at which a queue stops emptying.
const CAPACITY_LIMIT: f64 = 0.03;

/// One metric of one load.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct MetricComparison {
    /// Its name, as `vllm bench serve` has it.
    pub(crate) metric: &'static str,
    /// Median of the repeats.
    pub(crate) real: f64,
    /// Every repeat, in order.
    pub(crate) repeats: Vec<f64>,
    /// Largest distance of a repeat from the median, as a share of it; `None` of a single run.
    pub(crate) noise: Option<f64>,
    pub(crate) simulated: f64,
    /// The mean of simulations in which passes differ as they did in the server; `None` if that was not measured.
    pub(crate) with_noise: Option<f64>,
    /// `simulated / real − 1`; of a tail, of the simulations with noise, if there are any.
    pub(crate) error: f64,
    /// The largest error that is good; `None` if the metric is only shown.
    pub(crate) limit: Option<f64>,
    pub(crate) verdict: Verdict,
}

/// How a metric's error stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// At most the limit.
    Within,
    /// Above the limit, but not above the noise of the repeats.
    WithinNoise,
    /// Above both.
    Outside,
    /// No limit is set.
    Shown,
}

/// One load.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct LoadComparison {
    /// Share of the rate that the profile says saturates the engine.
    pub(crate) share: f64,
    /// Requests a second.
    pub(crate) request_rate: f64,
    /// Largest delay of a send behind its time, in milliseconds.
    pub(crate) largest_lateness_ms: f64,
    /// The profile's time of the passes that really ran / the time that they took, − 1: what of the errors below is the
    /// profile's. `None` if no pass followed another.
    pub(crate) pass_time_error: Option<f64>,
    /// Share of the time in which the API server's event loop worked; `None` where the system does not tell.
    pub(crate) front_end_share: Option<f64>,
    pub(crate) metrics: Vec<MetricComparison>,
}

/// Everything that a check of a server gives.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ServeComparison {
    /// Program and version.
    pub(crate) tool: String,
    pub(crate) model: String,
    pub(crate) vllm_flags: Vec<String>,
    pub(crate) num_prompts: u32,
    pub(crate) num_repeats: u32,
    pub(crate) seed: u64,
    /// Requests a second that saturate the engine, by the profile.
    pub(crate) saturated_rate: f64,
    /// Front-end terms that were simulated, in microseconds: per request, per prompt token, per pass, per token.
    pub(crate) front_end_us: [f64; 4],
    /// What of that an API-server process works for, in the same order, and for a chunk; `None` if it is not known.
    pub(crate) front_end_work_us: Option<[f64; 5]>,
    /// Time between passes that was simulated, in microseconds: per pass, per request.
    pub(crate) gap_us: [f64; 2],
    /// By how much passes of the same kind differed in the server; `None` if it was not measured.
    pub(crate) pass_noise: Option<PassNoise>,
    /// What the front-end terms were fitted to; empty if they are the profile's.
    pub(crate) front_end_observations: FrontEndObservations,
    /// Passes of the calibration: what they took in the server, and what the profile says.
    pub(crate) decode_passes: Vec<PassComparison>,
    /// The machine's load average before and after: others that compute at the same time spoil the measurement.
    pub(crate) load_average: [Option<f64>; 2],
    pub(crate) loads: Vec<LoadComparison>,
}

/// A decode-only pass in the server and in the profile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct PassComparison {
    #[serde(flatten)]
    pub(crate) server: DecodePassTimes,
    /// What the profile says of schedule, device and update.
    pub(crate) profile_us: f64,
}

impl MetricComparison {
    fn new(
        metric: &'static str,
        limit: Option<f64>,
        repeats: Vec<f64>,
        simulated: f64,
        with_noise: Option<f64>,
    ) -> Self {
        let real = median(repeats.clone()).unwrap_or(0.0);
        let distance = |value: f64| if real > 0.0 { (value / real - 1.0).abs() } else { 0.0 };
        let noise = (repeats.len() > 1).then(|| repeats.iter().copied().map(distance).fold(0.0, f64::max));
        let judged = if metric.starts_with("p99") { with_noise.unwrap_or(simulated) } else { simulated };
        let error = if real > 0.0 { judged / real - 1.0 } else { 0.0 };
        let verdict = match limit {
            None => Verdict::Shown,
            Some(limit) if error.abs() <= limit => Verdict::Within,
            Some(_) if noise.is_some_and(|noise| error.abs() <= noise) => Verdict::WithinNoise,
            Some(_) => Verdict::Outside,
        };
        Self { metric, real, repeats, noise, simulated, with_noise, error, limit, verdict }
    }
}

/// A metric's name, its limit, and where it stands.
type Column = (&'static str, Option<f64>, fn(&Metrics) -> f64);

/// What is compared: other percentiles of a few hundred requests scatter, and are only shown.
const COLUMNS: [Column; 15] = [
    ("mean_ttft_ms", Some(MEAN_LIMIT), |metrics| metrics.mean_ttft_ms),
    ("p50_ttft_ms", None, |metrics| metrics.p50_ttft_ms),
    ("p90_ttft_ms", None, |metrics| metrics.p90_ttft_ms),
    ("p99_ttft_ms", Some(TAIL_LIMIT), |metrics| metrics.p99_ttft_ms),
    ("mean_tpot_ms", Some(MEAN_LIMIT), |metrics| metrics.mean_tpot_ms),
    ("mean_itl_ms", None, |metrics| metrics.mean_itl_ms),
    ("p99_itl_ms", None, |metrics| metrics.p99_itl_ms),
    ("mean_e2el_ms", Some(MEAN_LIMIT), |metrics| metrics.mean_e2el_ms),
    ("p50_e2el_ms", None, |metrics| metrics.p50_e2el_ms),
    ("p90_e2el_ms", None, |metrics| metrics.p90_e2el_ms),
    ("p99_e2el_ms", None, |metrics| metrics.p99_e2el_ms),
    ("request_throughput", Some(MEAN_LIMIT), |metrics| metrics.request_throughput),
    ("output_throughput", Some(MEAN_LIMIT), |metrics| metrics.output_throughput),
    ("duration_s", Some(TAIL_LIMIT), |metrics| metrics.duration_s),
    ("capacity", None, |metrics| metrics.capacity),
];

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

impl LoadComparison {
    /// Puts the repeats of a load beside its simulation.
    pub(crate) fn new(
        share: f64,
        request_rate: f64,
        repeats: &[Metrics],
        simulated: &Metrics,
        noisy: Option<&[Metrics]>,
    ) -> Self {
        // Below saturation requests leave as fast as they come.
        let metrics = COLUMNS.into_iter().filter(|column| column.0 != "capacity" || share > 1.0);
        let metrics = metrics.map(|(name, limit, of)| {
            let limit = if name == "capacity" { Some(CAPACITY_LIMIT) } else { limit };
            let with_noise = noisy.and_then(|noisy| mean(noisy.iter().map(of)));
            MetricComparison::new(name, limit, repeats.iter().map(of).collect(), of(simulated), with_noise)
        });
        Self {
            share,
            request_rate,
            largest_lateness_ms: 0.0,
            pass_time_error: None,
            front_end_share: None,
            metrics: metrics.collect(),
        }
    }

    /// Whether no metric with a limit is outside it and the noise.
    pub(crate) fn holds(&self) -> bool {
        self.metrics.iter().all(|metric| metric.verdict != Verdict::Outside)
    }
}

impl fmt::Display for LoadComparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.request_rate.is_finite() {
            write!(f, "Load {:.0} % of saturation: {:.2} requests/s", 100.0 * self.share, self.request_rate)?;
        } else {
            write!(f, "All at once")?;
        }
        writeln!(f, ", sent at most {:.1} ms late", self.largest_lateness_ms)?;
        if let Some(error) = self.pass_time_error {
            writeln!(f, "  the profile's times of the passes that ran are off by {:+.1} %", 100.0 * error)?;
        }
        if let Some(share) = self.front_end_share {
            writeln!(f, "  the API server's event loop worked {:.0} % of the time", 100.0 * share)?;
        }
        writeln!(
            f,
            "  {:<20}{:>12}{:>12}{:>12}{:>10}{:>10}{:>9}  verdict",
            "metric", "vLLM", "simulated", "with noise", "error", "repeats", "limit"
        )?;
        for metric in &self.metrics {
            let percent = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share));
            writeln!(
                f,
                "  {:<20}{:>12.3}{:>12.3}{:>12}{:>8.1} %{:>10}{:>9}  {}",
                metric.metric,
                metric.real,
                metric.simulated,
                metric.with_noise.map_or("-".to_owned(), |value| format!("{value:.3}")),
                100.0 * metric.error,
                metric.noise.map_or("-".to_owned(), |noise| format!("±{:.1} %", 100.0 * noise)),
                percent(metric.limit),
                match metric.verdict {
                    Verdict::Within => "within the limit",
                    Verdict::WithinNoise => "within the noise of the repeats",
                    Verdict::Outside => "OUTSIDE",
                    Verdict::Shown => "",
                }
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for ServeComparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [per_request, per_prompt_token, per_pass, per_token] = self.front_end_us;
        writeln!(
            f,
            "Front end: {per_request:.0} us a request + {per_prompt_token:.2} us a prompt token to the engine, \
             {per_pass:.0} us a pass + {per_token:.1} us a token to the client"
        )?;
        if let Some([per_request, per_prompt_token, per_pass, per_token, per_chunk]) = self.front_end_work_us {
            writeln!(
                f,
                "  of which its event loop works {per_request:.0} us a request + {per_prompt_token:.2} us a prompt token, \
                 {per_pass:.0} us a pass + {per_token:.1} us a token + {per_chunk:.1} us a chunk"
            )?;
        }
        let of = |observations: &[(f64, f64)]| median(observations.iter().map(|observation| observation.1).collect());
        let observations = &self.front_end_observations;
        if let (Some(first), Some(all)) = (of(&observations.first_output), of(&observations.output)) {
            writeln!(f, "  to the client in the median: {first:.0} us for first tokens, {all:.0} us for all")?;
        }
        self.write_passes(f)?;
        let average = |average: Option<f64>| average.map_or("unknown".to_owned(), |average| format!("{average:.1}"));
        let [before, after] = self.load_average.map(average);
        writeln!(f, "Load average of the machine before and after: {before}, {after}")?;
        for load in &self.loads {
            write!(f, "\n{load}")?;
        }
        let num_held = self.loads.iter().filter(|load| load.holds()).count();
        writeln!(
            f,
            "\n{num_held} of {} loads within the limits (means and throughput {:.0} %, P99 of TTFT and duration {:.0} %, \
             capacity {:.0} %) or the noise of {} repeats",
            self.loads.len(),
            100.0 * MEAN_LIMIT,
            100.0 * TAIL_LIMIT,
            100.0 * CAPACITY_LIMIT,
            self.num_repeats
        )
    }
}

impl ServeComparison {
    /// What passes took in the server, beside the profile.
    fn write_passes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.decode_passes.is_empty() {
            writeln!(f, "Decode passes in the server, median us:")?;
            writeln!(
                f,
                "  {:>8}{:>8}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>8}",
                "requests", "passes", "schedule", "execute", "update", "between", "period", "profile", "error"
            )?;
        }
        for PassComparison { server, profile_us } in &self.decode_passes {
            writeln!(
                f,
                "  {:>8}{:>8}{:>10.0}{:>10.0}{:>10.0}{:>10.0}{:>10.0}{:>10.0}{:>6.1} %",
                server.num_decodes,
                server.num_passes,
                server.schedule_us,
                server.execute_us,
                server.update_us,
                server.between_us,
                server.period_us,
                profile_us,
                100.0 * (profile_us / server.period_us - 1.0)
            )?;
        }
        let [per_pass, per_request] = self.gap_us;
        writeln!(f, "Between passes: {per_pass:.0} us a pass + {per_request:.1} us a request")?;
        if let Some(noise) = &self.pass_noise {
            writeln!(
                f,
                "Passes of the same kind differ by {:.1} % (correlation from one to the next {:.2}); {:.2} % are interrupted \
                 for {:.1} ms in the mean",
                100.0 * noise.sigma,
                noise.correlation,
                100.0 * noise.long_share,
                noise.long_us / 1000.0
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(repeats: &[f64], simulated: f64, limit: Option<f64>, verdict: Verdict) {
        let metric = MetricComparison::new("x", limit, repeats.to_vec(), simulated, None);
        assert_eq!(metric.verdict, verdict, "{metric:?}");
    }

    #[test]
    fn an_error_is_held_against_the_limit_and_then_against_the_noise() {
        check(&[100.0, 101.0, 99.0], 104.0, Some(0.05), Verdict::Within);
        check(&[100.0, 101.0, 99.0], 106.0, Some(0.05), Verdict::Outside);
        check(&[100.0, 107.0, 99.0], 94.0, Some(0.05), Verdict::WithinNoise);
        check(&[100.0], 106.0, Some(0.05), Verdict::Outside);
        check(&[100.0], 200.0, None, Verdict::Shown);
    }

    #[test]
    fn the_real_value_is_the_median_of_the_repeats() {
        let metric = MetricComparison::new("x", None, vec![10.0, 30.0, 20.0], 22.0, None);
        assert_eq!((metric.real, metric.noise), (20.0, Some(0.5)));
        assert!((metric.error - 0.1).abs() < 1e-12, "{metric:?}");
    }
}
