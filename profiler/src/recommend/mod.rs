//! `recommend`: which setup answers a workload best. What is tried is decided by `sim_core::answers::recommend`; here
//! profiles are composed, runs are made over cores, and the answer is told.

mod engines;
pub(crate) mod question;
mod report;
mod report_json;
mod run;
mod splits;
