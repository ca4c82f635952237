//! `sweep`: any grid over flags and workload, in parts that any number of machines share.
//!
//! A plan (`plan.rs`) numbers the points of a grid (`grid.rs`) and divides them into parts; a shard runs some parts
//! (`run.rs`) and writes each whole (`part.rs`); a merge makes one table of all (`merge.rs`). Parts do not depend on the
//! shards, so nothing can be lost or doubled that the plan does not tell.

pub(crate) mod axis;
pub(crate) mod base;
pub(crate) mod grid;
pub(crate) mod merge;
mod parquet_file;
pub(crate) mod params_file;
mod part;
pub(crate) mod plan;
pub(crate) mod run;
mod table;
pub(crate) mod values;

/// Most points of a sweep: at a millisecond a run, a quarter of an hour on one core.
pub(crate) const MAX_POINTS: usize = 1_000_000;

/// Why a grid is too large.
fn too_many(number: u128, told: &str) -> String {
    format!(
        "the grid has {number} points ({told}), and a sweep has at most {MAX_POINTS}: give fewer values, or let \
         `profiler capacity` search"
    )
}
