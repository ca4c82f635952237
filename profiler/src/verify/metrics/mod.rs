//! `verify-metrics`: the same workloads on the engine and in the simulator, compared request by request.
//!
//! Every workload is a script in the engine's native input, so both sides run the same passes; what differs is how long
//! they take. The engine runs each workload several times: the median of a request's times is what the simulator is
//! held against, and the scatter around it is what no simulator can be better than.
//!
//! | per request | |
//! |---|---|
//! | TTFT | end of the pass that brought its first token − begin of the iteration in which it joined |
//! | TGT | token generation time: last token − first token; none for a single token |
//! | TPOT | TGT / (output tokens − 1); none for a single token |
//! | E2EL | last token − begin of the iteration in which it joined |
//!
//! The engine runs in-process: there is no front end, and the profile's front-end times are left out of the simulated
//! times, too.

pub(crate) mod workloads;
mod workload_shapes;
pub(crate) mod workload_file;
pub(super) mod script_requests;
mod per_request;
mod simulated;
mod run;
mod errors;
mod bootstrap;
pub(crate) mod report;
pub(crate) mod table;
pub(crate) mod plot;
mod plot_font;
mod plot_panel;
pub(crate) mod store;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod workload_tests;

pub(crate) use run::{Settings, verify_metrics};
pub(crate) use workloads::NamedScript;
