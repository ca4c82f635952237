//! What of the plan was measured.

use super::outliers::Summary;
use super::plan::{Plan, Point, Role};
use super::point_times::PointTimes;
use super::sample::Visit;

/// Kinds of passes, as the report tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Decodes alone.
    Decode,
    /// One chunk alone.
    Prefill,
    /// Several chunks alone.
    Prefills,
    /// Decodes and chunks.
    Mixed,
    /// Whatever is held out.
    HeldOut,
}

impl Kind {
    /// All kinds, in the report's order.
    pub(crate) const ALL: [Self; 5] = [Self::Decode, Self::Prefill, Self::Prefills, Self::Mixed, Self::HeldOut];

    /// Its name in the report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decodes",
            Self::Prefill => "one prompt part",
            Self::Prefills => "several parts",
            Self::Mixed => "decodes and parts",
            Self::HeldOut => "held out",
        }
    }

    fn of(point: &Point) -> Self {
        let (num_decodes, num_chunks) = (point.batch.num_decodes, point.batch.prefill_chunks.len());
        match (point.role, num_decodes, num_chunks) {
            (Role::HeldOut, ..) => Self::HeldOut,
            (_, _, 0) => Self::Decode,
            (_, 0, 1) => Self::Prefill,
            (_, 0, _) => Self::Prefills,
            _ => Self::Mixed,
        }
    }
}

/// The points of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct KindCoverage {
    /// Points of the plan.
    pub(crate) num_points: usize,
    /// Those with samples.
    pub(crate) num_measured: usize,
    /// Samples used.
    pub(crate) num_samples: usize,
    /// Samples rejected.
    pub(crate) num_outliers: usize,
}

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Coverage {
    /// Of every point; `None` if it has no samples.
    pub(crate) summaries: Vec<Option<Summary>>,
    /// By kind, in the order of [`Kind::ALL`].
    pub(crate) kinds: [KindCoverage; 5],
    /// Points whose script never ran.
    pub(crate) num_unvisited: usize,
    /// Points whose script ran and gave no sample.
    pub(crate) num_unreached: usize,
}

impl Coverage {
    /// Of the scripts that ran.
    pub(crate) fn new(plan: &Plan, visits: &[Visit]) -> Self {
        let mut times: Vec<PointTimes> = vec![PointTimes::default(); plan.points.len()];
        let mut is_visited = vec![false; plan.points.len()];
        for visit in visits {
            times[visit.point].push(visit);
            is_visited[visit.point] = true;
        }
        let summaries: Vec<Option<Summary>> = times.iter().map(PointTimes::summary).collect();
        let mut kinds = [KindCoverage::default(); 5];
        for (point, summary) in plan.points.iter().zip(&summaries) {
            let kind = &mut kinds[Kind::of(point) as usize];
            kind.num_points += 1;
            if let Some(summary) = summary {
                kind.num_measured += 1;
                kind.num_samples += summary.num_samples;
                kind.num_outliers += summary.num_outliers;
            }
        }
        let num_unvisited = is_visited.iter().filter(|&&is_visited| !is_visited).count();
        let num_measured = summaries.iter().flatten().count();
        Self { num_unreached: summaries.len() - num_unvisited - num_measured, summaries, kinds, num_unvisited }
    }

    /// Over all kinds.
    pub(crate) fn total(&self) -> KindCoverage {
        self.kinds.iter().fold(KindCoverage::default(), |sum, kind| KindCoverage {
            num_points: sum.num_points + kind.num_points,
            num_measured: sum.num_measured + kind.num_measured,
            num_samples: sum.num_samples + kind.num_samples,
            num_outliers: sum.num_outliers + kind.num_outliers,
        })
    }
}
