//! A time over requests and the tokens that each attends to, read between its points.

use alloc::vec::Vec;

use crate::math;

/// Rows by requests, columns by context; a row may end before the last column.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeGrid {
    /// Requests of each row.
    pub num_seqs: Vec<u32>,
    /// Tokens of each column.
    pub context_tokens: Vec<u32>,
    /// Microseconds.
    pub rows: Vec<Vec<f64>>,
}

impl TimeGrid {
    /// From a table's grid; `None` if fewer than two rows of two times were measured.
    #[must_use]
    pub fn of_rows(num_seqs: &[u32], context_tokens: &[u32], rows: &[Vec<Option<f64>>]) -> Option<Self> {
        let rows: Vec<Vec<f64>> = rows
            .iter()
            .map(|row| row.iter().copied().map_while(|time| time).collect::<Vec<f64>>())
            .take_while(|row| row.len() >= 2)
            .collect();
        if rows.len() < 2 {
            return None;
        }
        let num_columns = rows.first().map_or(0, Vec::len);
        Some(Self {
            num_seqs: num_seqs.iter().copied().take(rows.len()).collect(),
            context_tokens: context_tokens.iter().copied().take(num_columns).collect(),
            rows,
        })
    }

    /// The same places with times that `change` makes of requests, context and time; then made non-falling.
    #[must_use]
    pub fn map(&self, change: impl Fn(f64, f64, f64) -> f64) -> Self {
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(self.rows.len());
        for (&num_seqs, row) in self.num_seqs.iter().zip(&self.rows) {
            let mut before = 0.0;
            let mut changed = Vec::with_capacity(row.len());
            for (column, (&context, &time)) in self.context_tokens.iter().zip(row).enumerate() {
                let above = rows.last().and_then(|above| above.get(column)).copied().unwrap_or(0.0);
                let time = change(math::u32_to_f64(num_seqs), math::u32_to_f64(context), time);
                before = math::max(math::max(before, above), time);
                changed.push(before);
            }
            rows.push(changed);
        }
        Self { num_seqs: self.num_seqs.clone(), context_tokens: self.context_tokens.clone(), rows }
    }

    /// So many requests, which must be a row's, over `context_tokens`, straight between columns; `None` where nothing was
    /// measured.
    #[must_use]
    pub fn at(&self, num_seqs: u32, context_tokens: u32) -> Option<f64> {
        let row = self.rows.get(self.num_seqs.iter().position(|&seqs| seqs == num_seqs)?)?;
        let upper = self.context_tokens.partition_point(|&start| start < context_tokens);
        if self.context_tokens.get(upper) == Some(&context_tokens) {
            return row.get(upper).copied();
        }
        self.between(row, upper, context_tokens).filter(|_| upper < row.len())
    }

    /// One request over `context_tokens`, straight between points; the end's value outside.
    #[must_use]
    pub fn one_request_us(&self, context_tokens: f64) -> f64 {
        let Some(row) = self.rows.first() else { return 0.0 };
        let points: Vec<f64> =
            self.context_tokens.iter().map(|&tokens| math::u32_to_f64(tokens)).take(row.len()).collect();
        let upper = points.partition_point(|&start| start < context_tokens);
        match (upper.checked_sub(1), points.get(upper)) {
            (None, _) => row.first().copied().unwrap_or(0.0),
            (_, None) => row.last().copied().unwrap_or(0.0),
            (Some(lower), Some(end)) => {
                let weight = (context_tokens - points[lower]) / (end - points[lower]);
                row[lower] + (row[upper] - row[lower]) * weight
            }
        }
    }

    /// The same for contexts of at most `span` tokens: columns up to it, and one at it.
    #[must_use]
    pub fn up_to(&self, span: u32) -> Self {
        let kept = self.context_tokens.partition_point(|&tokens| tokens < span);
        let mut context_tokens: Vec<u32> = self.context_tokens.iter().copied().take(kept).collect();
        context_tokens.push(span);
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let mut cut: Vec<f64> = row.iter().copied().take(kept).collect();
            if let Some(time) = self.between(row, kept, span).filter(|_| cut.len() == kept) {
                cut.push(time);
            }
            rows.push(cut);
        }
        Self { num_seqs: self.num_seqs.clone(), context_tokens, rows }
    }

    /// A row's time at `span`, which lies before column `upper`.
    fn between(&self, row: &[f64], upper: usize, span: u32) -> Option<f64> {
        let lower = upper.checked_sub(1);
        match (lower.and_then(|lower| Some((*self.context_tokens.get(lower)?, *row.get(lower)?))), row.get(upper)) {
            (Some((x0, y0)), Some(&y1)) => {
                let x1 = *self.context_tokens.get(upper)?;
                let weight = f64::from(span - x0) / f64::from(x1 - x0);
                Some(y0 + (y1 - y0) * weight)
            }
            (None, Some(&first)) => Some(first),
            (Some((_, last)), None) => Some(last),
            (None, None) => None,
        }
    }
}
