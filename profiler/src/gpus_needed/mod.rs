//! `gpus-needed`: replicas over time. Windows and the search are `sim_core::answers::gpus_needed`; here they run over
//! cores and are told.

pub(crate) mod run;
pub(crate) mod report;
