//! From flags to a run, and from a run to a report.

pub(crate) mod scenario_flags;
pub(crate) mod inputs;
pub(crate) mod library;
pub(crate) mod model_length;
mod model_name;
pub(crate) mod model_source;
pub(crate) mod profile_choice;
pub(crate) mod token_counter;
pub(crate) mod report_flags;
pub(crate) mod memory;
pub(crate) mod run;
pub(crate) mod dataset;
pub(crate) mod ends;
pub(crate) mod disaggregated;
pub(crate) mod fleet;
mod life;
pub(crate) mod compare;
pub(crate) mod cost;
mod ranks;
pub(crate) mod roles;
pub(crate) mod engines;
pub(crate) mod report;
