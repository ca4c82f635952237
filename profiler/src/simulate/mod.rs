//! From flags to a run, and from a run to a report.

pub(crate) mod engine_flags;
mod token_counter;
pub(crate) mod workload_flags;
pub(crate) mod report_flags;
pub(crate) mod run;
pub(crate) mod report;
