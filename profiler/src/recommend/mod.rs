//! `recommend`: which setup answers a workload best. What is tried is decided by `sim_core::answers::recommend`; here
//! profiles are composed, runs are made over cores, and the answer is told.

pub(crate) mod engines;
pub(crate) mod run;
pub(crate) mod report;
pub(crate) mod report_json;
