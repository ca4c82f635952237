//! An examination as a table for people.

use std::fmt::{Error, Write as _};

use super::Examination;
use super::coverage::Extent;
use super::figures::Figure;
use super::quality::{Noise, RunErrors, Smoothed};

/// The table.
///
/// # Errors
/// Never: writing to a string cannot fail.
pub(crate) fn table(examination: &Examination) -> Result<String, Error> {
    let mut text = String::new();
    let Examination { file, model, hardware, kind, vllm_version, .. } = examination;
    writeln!(text, "{file}: a valid profile\n{model} on {hardware}, {kind}, vLLM {vllm_version}\n")?;
    coverage(&mut text, &examination.coverage)?;
    noise(&mut text, &examination.noise)?;
    smoothing(&mut text, &examination.smoothing)?;
    let validation = &examination.validation;
    if let (Some(median), Some(p90)) = (validation.median_step_error, validation.p90_step_error) {
        let (count, median, p90) = (validation.num_steps, percent(median), percent(p90));
        writeln!(text, "\nHeld-out passes: {count}, |error| {median} in the median, {p90} at the 90th percentile")?;
    } else {
        writeln!(text, "\nHeld-out passes: none")?;
    }
    runs(&mut text, &validation.runs)?;
    figures(&mut text, &examination.figures)?;
    list(&mut text, "Cannot answer", &examination.cannot_answer)?;
    list(&mut text, "Beyond stated limits", &examination.beyond_limits)?;
    Ok(text)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn coverage(text: &mut String, extents: &[Extent]) -> Result<(), Error> {
    writeln!(text, "{:<36}{:>7}{:>9}{:>9}{:>9}", "Coverage", "points", "first", "last", "needed")?;
    for extent in extents {
        let name = format!("{}.{}", extent.table, extent.axis);
        let (points, mark) = (extent.num_points, if extent.is_enough() { "" } else { "  too short" });
        writeln!(text, "{name:<36}{points:>7}{:>9}{:>9}{:>9}{mark}", extent.first, extent.last, extent.needed)?;
    }
    Ok(())
}

fn noise(text: &mut String, tables: &[Noise]) -> Result<(), Error> {
    writeln!(
        text,
        "\n{:<20}{:>8}{:>10}{:>10}{:>12}{:>10}",
        "Noise", "points", "samples", "fewest", "spread", "largest"
    )?;
    for table in tables {
        let unknown = || "unknown".to_owned();
        let samples = table.median_samples.map_or_else(unknown, |samples| format!("{samples:.0}"));
        let fewest = table.min_samples.map_or_else(String::new, |samples| samples.to_string());
        let spread = table.median_spread.map_or_else(unknown, percent);
        let largest = table.max_spread.map_or_else(String::new, percent);
        let line =
            format!("{:<20}{:>8}{samples:>10}{fewest:>10}{spread:>12}{largest:>10}", table.table, table.num_points);
        writeln!(text, "{}", line.trim_end())?;
    }
    writeln!(text, "Every table is monotone: the file would be refused otherwise.")
}

fn smoothing(text: &mut String, tables: &[Smoothed]) -> Result<(), Error> {
    if tables.is_empty() {
        return writeln!(text, "\nSmoothing: none");
    }
    writeln!(text, "\n{:<20}{:>10}{:>12}{:>12}", "Smoothing", "changed", "mean", "largest")?;
    for table in tables {
        let (mean, largest) = (percent(table.mean_relative_change), percent(table.max_relative_change));
        writeln!(text, "{:<20}{:>10}{mean:>12}{largest:>12}", table.table, table.num_changed)?;
    }
    Ok(())
}

fn runs(text: &mut String, runs: &[RunErrors]) -> Result<(), Error> {
    if runs.is_empty() {
        return writeln!(text, "Runs: none was compared with a real engine");
    }
    writeln!(text, "\n{:<20}{:>10}{:>14}{:>12}", "Runs", "compared", "mean |error|", "largest")?;
    for run in runs {
        let (mean, largest) = (percent(run.mean_error), percent(run.max_error));
        writeln!(text, "{:<20}{:>10}{mean:>14}{largest:>12}", run.metric, run.num_runs)?;
    }
    Ok(())
}

fn figures(text: &mut String, figures: &[Figure]) -> Result<(), Error> {
    writeln!(text, "\n{:<46}{:>14}  basis", "Figures", "value")?;
    for figure in figures {
        let (mib, gib) = (f64::from(1_u32 << 20), f64::from(1_u32 << 30));
        let value = match figure.value {
            value if figure.unit != "bytes" => format!("{value:.2} us"),
            value if value < mib => format!("{value} bytes"),
            value if value < gib => format!("{:.1} MiB", value / mib),
            value => format!("{:.2} GiB", value / gib),
        };
        writeln!(text, "{:<46}{value:>14}  {}", figure.field, figure.basis_name())?;
    }
    Ok(())
}

pub(super) fn list(text: &mut String, title: &str, lines: &[String]) -> Result<(), Error> {
    if lines.is_empty() {
        return writeln!(text, "\n{title}: nothing");
    }
    writeln!(text, "\n{title}")?;
    lines.iter().try_for_each(|line| writeln!(text, "- {line}"))
}
