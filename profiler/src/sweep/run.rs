//! The parts of a shard over all cores, with progress for those who wait.
//!
//! A part is written whole when its last point is over, so that a program may be ended at any time, by Ctrl-C or by a
//! machine that goes away: what is written stays, and the same command goes on with the rest.

use anyhow::Result;
use rayon::prelude::*;

use super::base::Points;
use super::part::{PartFile, Row};
use super::plan::Planned;
use crate::output_file::{make_folder_of, write_whole};
use crate::simulate::run::bar;

/// Every `count`-th part, from `index` on. Parts do not depend on it, so that any number of shards gives the same files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shard {
    pub(crate) index: usize,
    pub(crate) count: usize,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    /// Parts of the shard.
    pub(crate) num_parts: usize,
    /// Those of them that were there already.
    pub(crate) num_found: usize,
}

/// Runs what is not there yet of `shard`.
///
/// # Errors
/// If a part cannot be written.
pub(crate) fn run(planned: &Planned, points: &Points<'_>, shard: Shard, quiet: bool) -> Result<Done> {
    let parts: Vec<usize> = (shard.index..planned.plan.num_parts()).step_by(shard.count.max(1)).collect();
    // What is of another plan, or cut off, is made again.
    let missing: Vec<usize> = parts.iter().copied().filter(|&part| PartFile::read(planned, part).is_err()).collect();
    let done = Done { num_parts: parts.len(), num_found: parts.len() - missing.len() };
    let num_points = missing.iter().map(|&part| planned.plan.points_of(part).len()).sum();
    let bar = bar(num_points, "{bar:20} {pos}/{len} points, {eta} left", quiet);
    make_folder_of(&planned.path_of(0))?;
    // One by one is how cores take them: some take far longer than others.
    missing.into_par_iter().with_max_len(1).try_for_each(|part| {
        let run = |point| {
            let row = Row::of(points, point);
            bar.inc(1);
            row
        };
        let rows = planned.plan.points_of(part).map(run).collect();
        let text = serde_json::to_string(&PartFile::new(planned, part, rows))?;
        write_whole(&planned.path_of(part), format!("{text}\n"))
    })?;
    bar.finish_and_clear();
    Ok(done)
}
