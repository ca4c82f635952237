//! The CSV tables of a profile folder: a header, then one measurement a line; no quotes, no empty fields.

use std::str;

use anyhow::{Context, Result, bail, ensure};

/// Longest table that is read.
pub(crate) const MAX_BYTES: usize = 32 << 20;
/// Most lines of a table.
const MAX_LINES: usize = 1 << 17;
/// Largest count of tokens or requests: that of a profile.
const MAX_COUNT: u32 = 1 << 26;
/// Longest time of a layer, in microseconds.
const MAX_TIME_US: f64 = 1e9;

/// A line: its text (if the table has that column), its counts in the order asked for, and its time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) layer: String,
    pub(super) counts: Vec<u32>,
    pub(super) time_us: f64,
}

/// The columns of a table beside `time_us`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    /// Whether there is a `layer`.
    pub(super) has_layer: bool,
    /// Columns of counts.
    pub(super) counts: &'static [&'static str],
}

/// Reads a table; other columns are an error, since they could mean that a line is about something else.
///
/// # Errors
/// With the line, if it is not such a table.
pub(super) fn read(bytes: &[u8], columns: Columns) -> Result<Vec<Row>> {
    ensure!(bytes.len() <= MAX_BYTES, "{} bytes; the limit is {MAX_BYTES}", bytes.len());
    let text = str::from_utf8(bytes).map_err(|error| anyhow::anyhow!("not text: {error}"))?;
    let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    let layer = columns.has_layer.then_some("layer");
    let mut wanted: Vec<&str> = layer.into_iter().chain(columns.counts.iter().copied()).collect();
    wanted.push("time_us");
    let mut sorted = (header.clone(), wanted.clone());
    sorted.0.sort_unstable();
    sorted.1.sort_unstable();
    ensure!(sorted.0 == sorted.1, "line 1: the columns are {header:?}; they must be {wanted:?}");
    let place = |name: &str| header.iter().position(|column| *column == name).unwrap_or(0);
    let places: Vec<usize> = wanted.iter().map(|name| place(name)).collect();
    let mut rows = vec![];
    for (line, text) in (2..).zip(lines) {
        ensure!(line <= MAX_LINES, "more than {MAX_LINES} lines");
        if text.trim().is_empty() {
            continue;
        }
        let fields: Vec<&str> = text.split(',').map(str::trim).collect();
        ensure!(fields.len() == header.len(), "line {line}: {} fields; the header has {}", fields.len(), header.len());
        let ordered: Vec<(&str, &str)> = wanted.iter().zip(&places).map(|(name, &at)| (*name, fields[at])).collect();
        rows.push(row(&ordered, columns.has_layer).with_context(|| format!("line {line}"))?);
    }
    ensure!(!rows.is_empty(), "no measurements: only a header");
    Ok(rows)
}

/// A line from its fields: the layer if there is one, counts, the time.
fn row(fields: &[(&str, &str)], has_layer: bool) -> Result<Row> {
    let (layer, rest) = if has_layer { fields.split_at(1) } else { fields.split_at(0) };
    let Some((time, counts)) = rest.split_last() else { bail!("no time") };
    let count = |&(name, text): &(&str, &str)| {
        let value = text.parse().ok().filter(|value| *value <= MAX_COUNT);
        value.with_context(|| format!("{name} is {text:?}; it must be a whole number from 0 to {MAX_COUNT}"))
    };
    let time_us = time.1.parse().ok().filter(|time| *time > 0.0 && *time <= MAX_TIME_US);
    Ok(Row {
        layer: layer.first().map(|layer| layer.1.to_owned()).unwrap_or_default(),
        counts: counts.iter().map(count).collect::<Result<_>>()?,
        time_us: time_us.with_context(|| {
            format!("time_us is {:?}; it must be a number above 0 and at most {MAX_TIME_US:?}", time.1)
        })?,
    })
}
