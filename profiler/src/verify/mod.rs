//! How true the simulator is: against recordings of the real scheduler, and against the real engine.

pub(crate) mod live;
mod live_trace;
mod random_workload;
pub(crate) mod recorded_trace;
pub(crate) mod replay;
pub(crate) mod tokens;
pub(crate) mod metrics;
