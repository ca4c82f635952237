//! What the measurement is told as.

use std::fmt::Write as _;

use sim_core::profile::Profile;
use sim_core::profile::schema::ValidationStep;

use super::coverage::{Coverage, Kind};
use super::outliers::quantile;
use super::warnings::Warning;

/// Coverage, errors of held-out passes, warnings.
pub(crate) fn report(profile: &Profile, coverage: &Coverage, warnings: &[Warning]) -> String {
    let mut text = String::new();
    let mut line = |words: [String; 5]| {
        let [kind, points, measured, samples, outliers] = words;
        // Writing to a string cannot fail.
        writeln!(text, "{kind:<20}{points:>10}{measured:>10}{samples:>10}{outliers:>10}").unwrap_or(());
    };
    line(["passes", "points", "measured", "samples", "outliers"].map(str::to_owned));
    let total = coverage.total();
    let rows = Kind::ALL.iter().map(|kind| kind.name()).zip(coverage.kinds).chain([("all", total)]);
    for (name, kind) in rows {
        let counts = [kind.num_points, kind.num_measured, kind.num_samples, kind.num_outliers];
        let [points, measured, samples, outliers] = counts.map(|count| count.to_string());
        line([name.to_owned(), points, measured, samples, outliers]);
    }
    text.push('\n');
    text.push_str(&held_out(&profile.validation.steps));
    for warning in warnings {
        writeln!(text, "warning: {warning}").unwrap_or(());
    }
    text
}

/// Relative error of a prediction.
pub(crate) fn error(step: &ValidationStep) -> f64 {
    step.predicted_us / step.measured_us - 1.0
}

fn held_out(steps: &[ValidationStep]) -> String {
    let mut errors: Vec<f64> = steps.iter().map(|step| error(step).abs()).collect();
    errors.sort_by(f64::total_cmp);
    let percent = |share: f64| quantile(&errors, share).map(|error| format!("{:.2} %", 100.0 * error));
    let worst = steps.iter().max_by(|a, b| error(a).abs().total_cmp(&error(b).abs()));
    let (Some(median), Some(p90), Some(worst)) = (percent(0.5), percent(0.9), worst) else {
        return "No held-out pass was measured: nobody knows how good these tables are.\n".to_owned();
    };
    format!(
        "{} held-out passes: |error| {median} in the median, {p90} at the 90th percentile.\nWorst: {:+.2} % for {}.\n",
        steps.len(),
        100.0 * error(worst),
        composition(worst)
    )
}

fn composition(step: &ValidationStep) -> String {
    let mut parts = vec![];
    if step.num_decodes > 0 {
        let mean = step.decode_context_tokens / u64::from(step.num_decodes);
        parts.push(format!("{} decodes of {mean} tokens", step.num_decodes));
    }
    parts.extend(step.prefill_chunks.iter().map(|(chunk, prefix)| format!("{chunk} tokens after {prefix}")));
    parts.join(", ")
}
