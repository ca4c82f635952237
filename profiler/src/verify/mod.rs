//! How true the simulator is: against recordings of the real scheduler, and against the real engine.

pub(crate) mod live;
pub(crate) mod live_trace;
pub(crate) mod measured_recording;
mod random_workload;
pub(crate) mod recorded_model;
pub(crate) mod recorded_engine;
pub(crate) mod recorded_events;
pub(crate) mod recorded_groups;
pub(crate) mod recorded_trace;
pub(crate) mod replay;
pub(crate) mod published;
mod published_flags;
mod published_report;
mod ranking;
pub(crate) mod run;
mod run_drafts;
pub(crate) mod difference;
mod kv_connector;
mod offloading;
mod tiers;
mod fleets;
pub(crate) mod tokens;
pub(crate) mod metrics;
