//! The comparison as text, at most 100 columns wide.

use std::fmt::{self, Display};

use super::bootstrap::Interval;
use super::per_request::Metric;
use super::report::{MetricReport, Pair, Report, Verdict, WorkloadResult};

/// `report`, to be printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table<'a>(pub(crate) &'a Report);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        write_setup(report, f)?;
        write_errors(report, f)?;
        write_slopes(report, f)?;
        write_percentiles(report, f)?;
        write_workloads(report, f)?;
        write_not_compared(report, f)?;
        let verdict = if report.passed { "passed" } else { "failed" };
        writeln!(f, "verify-metrics {verdict}.")
    }
}

fn write_setup(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let setup = &report.setup;
    let versions: Vec<String> = setup.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let compared = report.workloads.iter().filter(|workload| workload.duration_s.is_some());
    let num_requests: usize = compared.clone().map(|workload| workload.requests.len()).sum();
    let num_passes: usize = compared.clone().map(|workload| workload.num_passes).sum();
    writeln!(f, "Engine:   {} on {}; {}", setup.model, setup.hardware, versions.join(", "))?;
    writeln!(f, "Machine:  {}", setup.host)?;
    writeln!(f, "Profile:  of {}", setup.profile_date)?;
    writeln!(
        f,
        "Compared: {} of {} workloads, {} each; {} and {} per round; seed {}",
        compared.count(),
        report.workloads.len(),
        counted(setup.repeats as usize, "run", "runs"),
        counted(num_requests, "request", "requests"),
        counted(num_passes, "forward pass", "forward passes"),
        setup.seed
    )?;
    for warning in &report.warnings {
        writeln!(f, "Warning:  {warning}")?;
    }
    writeln!(f)
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn write_errors(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "Relative error of each request's simulated time against the median of its measured times, in %.")?;
    writeln!(f, "Noise: each run against the median of the others. [95 % confidence interval]")?;
    writeln!(f, "{:<6}{:>8}  {:<22}{:<23}{:<22}Verdict", "", "Requests", "Mean |error|", "Mean error", "Noise")?;
    for metric in &report.metrics {
        let columns = metric.errors.as_ref().map(|errors| {
            let noise = errors.noise_percent.map_or_else(|| "unknown".to_owned(), |noise| interval(noise, false));
            let absolute = interval(errors.mean_absolute_error_percent, false);
            (absolute, interval(errors.mean_error_percent, true), noise)
        });
        let (absolute, signed, noise) = columns.unwrap_or_default();
        let name = metric.metric.name();
        let verdict = verdict(metric);
        writeln!(f, "{name:<6}{:>8}  {absolute:<22}{signed:<23}{noise:<22}{verdict}", metric.num_requests)?;
    }
    writeln!(f)
}

fn verdict(report: &MetricReport) -> String {
    let limit = report.limit_percent.unwrap_or_default();
    match report.verdict {
        Verdict::WithinLimit => format!("passed: ≤ {limit} %"),
        Verdict::WithinNoise => "passed: ≤ noise".to_owned(),
        Verdict::Failed => format!("FAILED: > {limit} %"),
        Verdict::NoLimit => "as TPOT".to_owned(),
        Verdict::NotCompared => "not compared".to_owned(),
    }
}

/// `1.23 [0.98, 1.51]`.
fn interval(interval: Interval, with_sign: bool) -> String {
    let number = |x| if with_sign { signed(x) } else { format!("{x:.2}") };
    format!("{} [{}, {}]", number(interval.value), number(interval.low), number(interval.high))
}

/// With its sign, but for a value that is written as zero.
pub(super) fn signed(x: f64) -> String {
    let text = format!("{x:+.2}");
    if matches!(text.as_str(), "+0.00" | "-0.00") { "0.00".to_owned() } else { text.replace('-', "−") }
}

fn write_slopes(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "Slope of the error over a request's forward passes, in % per 1000 passes.")?;
    for metric in &report.metrics {
        let slope = metric.errors.as_ref().and_then(|errors| errors.slope_percent_per_1000_passes);
        let name = metric.metric.name();
        match slope {
            None => writeln!(f, "{name:<6}unknown: all requests have the same number of passes")?,
            Some(slope) if slope.holds_zero() => {
                writeln!(f, "{name:<6}{:<26}indistinguishable from 0", interval(slope, true))?;
            }
            Some(slope) if slope.value > 0.0 => {
                writeln!(f, "{name:<6}{:<26}the simulator gets slower with the passes", interval(slope, true))?;
            }
            Some(slope) => {
                writeln!(f, "{name:<6}{:<26}the simulator gets faster with the passes", interval(slope, true))?;
            }
        }
    }
    writeln!(f)
}

fn write_percentiles(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "Distribution over all requests, in ms: measured, simulated, error in %.")?;
    write!(f, "{:<6}", "")?;
    for percentile in ["P50", "P90", "P99"] {
        write!(f, "{:>11}{:>10}{:>9}", format!("{percentile} meas."), "simul.", "error")?;
    }
    writeln!(f)?;
    for metric in report.metrics.iter().filter(|metric| metric.errors.is_some()) {
        write!(f, "{:<6}", metric.metric.name())?;
        for Pair { measured, simulated, error_percent } in [metric.p50_s, metric.p90_s, metric.p99_s] {
            write!(f, "{:>11}{:>10}{:>9}", millis(measured), millis(simulated), signed(error_percent))?;
        }
        writeln!(f)?;
    }
    writeln!(f)
}

/// Seconds in milliseconds, with about four digits.
fn millis(seconds: f64) -> String {
    let millis = seconds * 1e3;
    let digits = match millis {
        x if x >= 1000.0 => 0,
        x if x >= 100.0 => 1,
        x if x >= 10.0 => 2,
        _ => 3,
    };
    format!("{millis:.digits$}")
}

fn write_workloads(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const METRICS: [Metric; 3] = [Metric::Ttft, Metric::Tpot, Metric::E2el];
    let width = report.workloads.iter().map(|workload| workload.name.chars().count()).max().unwrap_or(0).min(28);
    writeln!(f, "By workload: measured duration in s and its error in %; mean |error| of the requests / noise, in %.")?;
    write!(f, "{:<width$}{:>9}{:>8}{:>10}{:>8}", "", "Requests", "Passes", "Duration", "error")?;
    for metric in METRICS {
        write!(f, "{:>14}", metric.name())?;
    }
    writeln!(f)?;
    for workload in &report.workloads {
        let name: String = workload.name.chars().take(width).collect();
        let Some(duration) = workload.duration_s else {
            writeln!(f, "{name:<width$}  not compared")?;
            continue;
        };
        write!(f, "{name:<width$}{:>9}{:>8}", workload.requests.len(), workload.num_passes)?;
        write!(f, "{:>10.2}{:>8}", duration.measured, signed(duration.error_percent))?;
        for metric in METRICS {
            write!(f, "{:>14}", error_and_noise(workload, metric))?;
        }
        writeln!(f)?;
    }
    let duration_error = report.mean_absolute_duration_error_percent;
    writeln!(f, "Mean |error| of the durations: {duration_error:.2} %.")?;
    let rounds: Vec<String> = report.round_deviations_percent.iter().map(|&percent| signed(percent)).take(12).collect();
    let more = if report.round_deviations_percent.len() > rounds.len() { ", …" } else { "" };
    writeln!(f, "Drift: mean E2EL of each round against the median, in %: {}{more}.\n", rounds.join(", "))
}

fn error_and_noise(workload: &WorkloadResult, metric: Metric) -> String {
    let report = workload.metrics.iter().find(|report| report.metric == metric);
    let Some(errors) = report.and_then(|report| report.errors.as_ref()) else { return "–".to_owned() };
    let noise = errors.noise_percent.map_or_else(|| "?".to_owned(), |noise| format!("{:.2}", noise.value));
    format!("{:.2} / {noise}", errors.mean_absolute_error_percent.value)
}

fn write_not_compared(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut has_any = false;
    for workload in &report.workloads {
        if let Some(reason) = &workload.not_compared {
            has_any = true;
            writeln!(f, "{}: not compared: {reason}", workload.name)?;
        }
    }
    if has_any { writeln!(f) } else { Ok(()) }
}
