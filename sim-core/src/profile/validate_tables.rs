//! The tables of a profile, checked: shapes agree, axes grow, times are times, and more work never takes less.

use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use super::schema::{
    DecodeAttention, KvCacheLayerKind, OverSeqs, OverTokens, PrefillAttention, Profile, ProvenanceKind, Smoothing,
    Validation, VerificationAttention,
};
use super::validate::{Faults, MAX_COUNT};

/// An axis as the file has it.
#[derive(Clone, Copy)]
struct Axis<'a> {
    /// Its field.
    name: &'static str,
    points: &'a [u32],
    /// Smallest first point.
    min: u32,
}

/// A grid as the file has it.
struct Grid<'a> {
    path: &'a str,
    rows: Axis<'a>,
    columns: Axis<'a>,
    times: &'a [Vec<Option<f64>>],
    num_samples: Option<&'a Vec<Vec<u32>>>,
    spreads: Option<&'a Vec<Vec<f64>>>,
}

/// A curve as the file has it.
struct Curve<'a> {
    path: &'a str,
    axis: Axis<'a>,
    times: &'a [f64],
    num_samples: Option<&'a Vec<u32>>,
    spreads: Option<&'a Vec<f64>>,
}

pub(super) fn step_time(profile: &Profile, faults: &mut Faults) {
    let tables = &profile.step_time;
    // A formula may leave a term out; a device cannot, unless the model has no such layers.
    let is_formula = profile.provenance.kind == ProvenanceKind::Synthetic;
    let looks_at_all = |kind| matches!(kind, KvCacheLayerKind::FullAttention | KvCacheLayerKind::Mla);
    let has_full_attention = profile.memory.kv_cache_layers.iter().any(|layers| looks_at_all(layers.kind));
    over_tokens("$.step_time.non_attention", &tables.non_attention, is_formula, faults);
    over_seqs("$.step_time.head", &tables.head, is_formula, faults);
    let may_be_zero = is_formula || !has_full_attention;
    decode_attention("$.step_time", &tables.decode_attention, may_be_zero, faults);
    prefill_attention("$.step_time", &tables.prefill_attention, may_be_zero, faults);
    verification_attention("$.step_time", &tables.verification_attention, may_be_zero, faults);
    for (i, span) in tables.span_attention.iter().enumerate() {
        let path = format!("$.step_time.span_attention[{i}]");
        let is_double = tables.span_attention[..i]
            .iter()
            .any(|other| (other.kind, other.num_tokens) == (span.kind, span.num_tokens));
        faults.require(!is_double, format_args!("{path}"), format_args!("has the kind and length of one before it"));
        faults.count(span.num_tokens, 1, format_args!("{path}.num_tokens"));
        decode_attention(&path, &span.decode_attention, is_formula, faults);
        prefill_attention(&path, &span.prefill_attention, is_formula, faults);
        verification_attention(&path, &span.verification_attention, is_formula, faults);
    }
    mixed_batch(profile, faults);
}

pub(super) fn over_tokens(path: &str, table: &OverTokens, may_be_zero: bool, faults: &mut Faults) {
    let curve = Curve {
        path,
        axis: Axis { name: "num_tokens", points: &table.num_tokens, min: 1 },
        times: &table.time_us,
        num_samples: table.num_samples.as_ref(),
        spreads: table.spread_us.as_ref(),
    };
    curve.check(may_be_zero, faults);
}

pub(super) fn over_seqs(path: &str, table: &OverSeqs, may_be_zero: bool, faults: &mut Faults) {
    let curve = Curve {
        path,
        axis: Axis { name: "num_seqs", points: &table.num_seqs, min: 1 },
        times: &table.time_us,
        num_samples: table.num_samples.as_ref(),
        spreads: table.spread_us.as_ref(),
    };
    curve.check(may_be_zero, faults);
}

fn decode_attention(path: &str, table: &DecodeAttention, may_be_zero: bool, faults: &mut Faults) {
    let grid = Grid {
        path: &format!("{path}.decode_attention"),
        rows: Axis { name: "num_seqs", points: &table.num_seqs, min: 1 },
        columns: Axis { name: "context_tokens", points: &table.context_tokens, min: 1 },
        times: &table.time_us,
        num_samples: table.num_samples.as_ref(),
        spreads: table.spread_us.as_ref(),
    };
    grid.check(may_be_zero, faults);
}

fn prefill_attention(path: &str, table: &PrefillAttention, may_be_zero: bool, faults: &mut Faults) {
    let grid = Grid {
        path: &format!("{path}.prefill_attention"),
        rows: Axis { name: "chunk_tokens", points: &table.chunk_tokens, min: 1 },
        columns: Axis { name: "prefix_tokens", points: &table.prefix_tokens, min: 0 },
        times: &table.time_us,
        num_samples: table.num_samples.as_ref(),
        spreads: table.spread_us.as_ref(),
    };
    grid.check(may_be_zero, faults);
}

fn verification_attention(path: &str, tables: &[VerificationAttention], may_be_zero: bool, faults: &mut Faults) {
    let mut fewest = 2;
    for (i, table) in tables.iter().enumerate() {
        let path = format!("{path}.verification_attention[{i}]");
        faults.count(table.num_rows, fewest, format_args!("{path}.num_rows"));
        fewest = table.num_rows.saturating_add(1);
        let grid = Grid {
            path: &path,
            rows: Axis { name: "num_seqs", points: &table.num_seqs, min: 1 },
            columns: Axis { name: "context_tokens", points: &table.context_tokens, min: 1 },
            times: &table.time_us,
            num_samples: table.num_samples.as_ref(),
            spreads: table.spread_us.as_ref(),
        };
        grid.check(may_be_zero, faults);
    }
}

impl Axis<'_> {
    fn check(self, path: &str, faults: &mut Faults) {
        let (name, points) = (self.name, self.points);
        let num_points = points.len();
        faults.require(
            (2..=Profile::MAX_AXIS_POINTS).contains(&num_points),
            format_args!("{path}.{name}"),
            format_args!("number of points is {num_points}; an axis has from 2 to {}", Profile::MAX_AXIS_POINTS),
        );
        for (i, &point) in points.iter().enumerate() {
            let min = if i == 0 { self.min } else { points[i - 1].saturating_add(1) };
            faults.require(
                point >= min && point <= MAX_COUNT,
                format_args!("{path}.{name}[{i}]"),
                format_args!("{point} must be from {min} to {MAX_COUNT}: an axis grows from point to point"),
            );
        }
    }
}

impl Curve<'_> {
    fn check(&self, may_be_zero: bool, faults: &mut Faults) {
        let path = self.path;
        self.axis.check(path, faults);
        length(self.times.len(), &self.axis, format_args!("{path}.time_us"), faults);
        for (i, &time) in self.times.iter().enumerate() {
            faults.time(time, may_be_zero, format_args!("{path}.time_us[{i}]"));
            if let Some(&before) = i.checked_sub(1).and_then(|before| self.times.get(before)) {
                let name = self.axis.name;
                not_less(time, before, name, format_args!("{path}.time_us[{i}]"), faults);
            }
        }
        if let Some(num_samples) = self.num_samples {
            length(num_samples.len(), &self.axis, format_args!("{path}.num_samples"), faults);
            for (i, &count) in num_samples.iter().enumerate() {
                at_least_one(count, format_args!("{path}.num_samples[{i}]"), faults);
            }
        }
        if let Some(spreads) = self.spreads {
            length(spreads.len(), &self.axis, format_args!("{path}.spread_us"), faults);
            for (i, &spread) in spreads.iter().enumerate() {
                faults.time(spread, true, format_args!("{path}.spread_us[{i}]"));
            }
        }
    }
}

impl Grid<'_> {
    fn check(&self, may_be_zero: bool, faults: &mut Faults) {
        let path = self.path;
        self.rows.check(path, faults);
        self.columns.check(path, faults);
        length(self.times.len(), &self.rows, format_args!("{path}.time_us"), faults);
        for (r, row) in self.times.iter().enumerate() {
            length(row.len(), &self.columns, format_args!("{path}.time_us[{r}]"), faults);
            self.check_gap(r, row, faults);
            for (c, &time) in row.iter().enumerate() {
                if let Some(time) = time {
                    self.check_time(r, c, time, may_be_zero, faults);
                }
            }
        }
        if let Some(num_samples) = self.num_samples {
            length(num_samples.len(), &self.rows, format_args!("{path}.num_samples"), faults);
            for (r, row) in num_samples.iter().enumerate() {
                length(row.len(), &self.columns, format_args!("{path}.num_samples[{r}]"), faults);
                for (c, &count) in row.iter().enumerate().filter(|&(c, _)| self.time(r, c).is_some()) {
                    at_least_one(count, format_args!("{path}.num_samples[{r}][{c}]"), faults);
                }
            }
        }
        if let Some(spreads) = self.spreads {
            length(spreads.len(), &self.rows, format_args!("{path}.spread_us"), faults);
            for (r, row) in spreads.iter().enumerate() {
                length(row.len(), &self.columns, format_args!("{path}.spread_us[{r}]"), faults);
                for (c, &spread) in row.iter().enumerate() {
                    faults.time(spread, true, format_args!("{path}.spread_us[{r}][{c}]"));
                }
            }
        }
    }

    fn time(&self, row: usize, column: usize) -> Option<f64> {
        *self.times.get(row)?.get(column)?
    }

    fn check_time(&self, row: usize, column: usize, time: f64, may_be_zero: bool, faults: &mut Faults) {
        let path = self.path;
        faults.time(time, may_be_zero, format_args!("{path}.time_us[{row}][{column}]"));
        if let Some(before) = column.checked_sub(1).and_then(|before| self.time(row, before)) {
            not_less(time, before, self.columns.name, format_args!("{path}.time_us[{row}][{column}]"), faults);
        }
        if let Some(above) = row.checked_sub(1).and_then(|above| self.time(above, column)) {
            not_less(time, above, self.rows.name, format_args!("{path}.time_us[{row}][{column}]"), faults);
        }
    }

    /// A gap stands at the end of a row, leaves two values, and does not get shorter from row to row.
    fn check_gap(&self, r: usize, row: &[Option<f64>], faults: &mut Faults) {
        let path = self.path;
        let num_measured = |row: &[Option<f64>]| row.iter().take_while(|time| time.is_some()).count();
        let measured = num_measured(row);
        for (c, time) in row.iter().enumerate().skip(measured) {
            faults.require(
                time.is_none(),
                format_args!("{path}.time_us[{r}][{c}]"),
                format_args!("stands after a null; only the end of a row may be null"),
            );
        }
        let above =
            r.checked_sub(1).and_then(|above| self.times.get(above)).map_or(usize::MAX, |row| num_measured(row));
        faults.require(
            measured >= 2 && measured <= above,
            format_args!("{path}.time_us[{r}]"),
            format_args!(
                "{measured} values before the first null; must be at least 2 and no more than in the row above"
            ),
        );
    }
}

fn length(got: usize, axis: &Axis<'_>, path: fmt::Arguments<'_>, faults: &mut Faults) {
    let (wanted, name) = (axis.points.len(), axis.name);
    faults.require(got == wanted, path, format_args!("{got} entries; {name} has {wanted} points"));
}

fn not_less(time: f64, before: f64, axis: &str, path: fmt::Arguments<'_>, faults: &mut Faults) {
    let message = format_args!("{time:?} must be at least {before:?}, the time before along {axis}: smooth the table");
    faults.require(time >= before, path, message);
}

fn at_least_one(count: u32, path: fmt::Arguments<'_>, faults: &mut Faults) {
    faults.require(count >= 1, path, format_args!("0 must be at least 1; write null for the table if unknown"));
}

fn mixed_batch(profile: &Profile, faults: &mut Faults) {
    let Some(mixed) = &profile.step_time.mixed_batch else {
        return;
    };
    let path = "$.step_time.mixed_batch";
    let factor = mixed.decode_term_factor;
    faults.require(
        (0.0..=100.0).contains(&factor),
        format_args!("{path}.decode_term_factor"),
        format_args!("{factor:?} must be from 0 to 100"),
    );
    for (i, sample) in mixed.samples.iter().enumerate() {
        faults.require(
            sample.num_decodes > 0 && !sample.prefill_chunks.is_empty(),
            format_args!("{path}.samples[{i}]"),
            format_args!("must hold decodes and prompt parts"),
        );
        faults.time(sample.time_us, false, format_args!("{path}.samples[{i}].time_us"));
        at_least_one(sample.num_samples, format_args!("{path}.samples[{i}].num_samples"), faults);
        faults.time(sample.spread_us, true, format_args!("{path}.samples[{i}].spread_us"));
    }
}

pub(super) fn validation(validation: &Validation, faults: &mut Faults) {
    for (i, step) in validation.steps.iter().enumerate() {
        faults.time(step.measured_us, false, format_args!("$.validation.steps[{i}].measured_us"));
        faults.time(step.predicted_us, false, format_args!("$.validation.steps[{i}].predicted_us"));
    }
    for (i, run) in validation.runs.iter().enumerate() {
        for (name, value) in [("measured", run.measured), ("predicted", run.predicted)] {
            faults.require(
                (0.0..=1e15).contains(&value),
                format_args!("$.validation.runs[{i}].{name}"),
                format_args!("{value:?} must be from 0 to 1e15"),
            );
        }
    }
}

pub(super) fn smoothing(smoothing: &[Smoothing], faults: &mut Faults) {
    for (i, record) in smoothing.iter().enumerate() {
        let (max, mean) = (record.max_relative_change, record.mean_relative_change);
        faults.require(
            (0.0..=1e6).contains(&max),
            format_args!("$.smoothing[{i}].max_relative_change"),
            format_args!("{max:?} must be from 0 to 1e6"),
        );
        faults.require(
            (0.0..=max).contains(&mean),
            format_args!("$.smoothing[{i}].mean_relative_change"),
            format_args!("{mean:?} must be from 0 to the largest change, {max:?}"),
        );
    }
}
