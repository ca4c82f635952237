//! `capacity`: how much load is carried. The search is `sim_core::answers::capacity`; here it runs over cores and is told.

pub(crate) mod run;
pub(crate) mod report;
