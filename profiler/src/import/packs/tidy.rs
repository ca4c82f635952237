//! Noise taken out of measured curves and grids, and how much that was.
//!
//! More work takes no less time, but a measurement of it can. Times that stand out above all that need more work are
//! outliers: they are lowered to what the noise of measuring again explains. What then still falls is made monotone by
//! isotonic regression of the logarithms.

use std::collections::BTreeMap;

use super::super::smooth;

/// What measuring again changes a time by, at most: nine of ten matrix products of vLLM 0.24 and 0.25 on H100, H200 and
/// B200 come within a tenth of each other.
const NOISE: f64 = 1.15;
/// Changes above this share are counted.
const NOTED: f64 = 0.15;

/// How much was changed, by table.
#[derive(Debug, Default)]
pub(crate) struct Tidier {
    tables: BTreeMap<String, Change>,
    more: Vec<String>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Change {
    num_points: u32,
    num_noted: u32,
    sum: f64,
}

impl Tidier {
    /// A curve's times, made non-falling.
    pub(crate) fn curve(&mut self, table: &str, times: &[f64]) -> Vec<f64> {
        let smooth = smooth::isotonic_times(&lowered(times));
        self.count(table, times.iter().zip(&smooth));
        smooth
    }

    /// A grid's rows, made non-falling along both axes; a row may be shorter than the one above it.
    pub(crate) fn grid(&mut self, table: &str, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let (smooth, _) = smooth::grid(table, rows);
        self.count(table, rows.iter().flatten().zip(smooth.iter().flatten()));
        smooth
    }

    /// Something else that a reader of the pack must know.
    pub(crate) fn say(&mut self, note: String) {
        if !self.more.contains(&note) {
            self.more.push(note);
        }
    }

    fn count<'a>(&mut self, table: &str, pairs: impl Iterator<Item = (&'a f64, &'a f64)>) {
        let change = self.tables.entry(table.to_owned()).or_default();
        for (before, after) in pairs {
            let share = (after / before - 1.0).abs();
            change.num_points += 1;
            change.num_noted += u32::from(share > NOTED);
            change.sum += share;
        }
    }

    /// For the pack's notes.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = self.more.clone();
        for (table, change) in &self.tables {
            let mean = 100.0 * change.sum / f64::from(change.num_points.max(1));
            notes.push(format!(
                "{table}: made non-falling, as more work cannot take less; {mean:.1} % on average over {} times, more than \
                 {:.0} % in {} of them.",
                change.num_points,
                100.0 * NOTED,
                change.num_noted
            ));
        }
        notes
    }
}

/// Outliers lowered to the least time of anything that needs as much work, and what noise explains.
fn lowered(times: &[f64]) -> Vec<f64> {
    let mut least = f64::INFINITY;
    let mut lowered: Vec<f64> = times
        .iter()
        .rev()
        .map(|&time| {
            least = least.min(time);
            time.min(NOISE * least)
        })
        .collect();
    lowered.reverse();
    lowered
}

#[cfg(test)]
mod tests {
    use super::Tidier;

    #[track_caller]
    fn check(times: &[f64], expect: &[f64]) {
        let got = Tidier::default().curve("test", times);
        assert!(got.iter().zip(expect).all(|(got, expect)| (got / expect - 1.0).abs() < 0.01), "{got:?}");
    }

    #[test]
    fn what_stands_out_is_lowered_before_the_rest_is_made_monotone() {
        check(&[1.0, 2.0, 4.0], &[1.0, 2.0, 4.0]);
        check(&[33.4, 18.9, 38.1, 18.5, 52.2, 64.8], &[19.94, 19.94, 19.94, 19.94, 52.2, 64.8]);
    }
}
