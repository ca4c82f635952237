//! What is asked of the engine: requests, and when they come.

pub mod arrival;
mod csv;
pub mod dataset;
pub mod draw;
mod date_time;
pub mod earlier;
pub mod error;
pub mod lengths;
pub mod mixture;
pub mod random;
pub mod sessions;
pub mod table;
pub mod text;
pub mod timed_trace;
pub mod trace;
pub mod traffic;

use alloc::vec::Vec;

pub use dataset::build;
pub use earlier::{EarlierGroup, EarlierOptions};
pub use error::WorkloadError;
pub use traffic::{After, Traffic};

use crate::request_set::RequestSet;

/// Requests and the traffic that brings them.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The measured requests in sending order, then those of [`Self::earlier`].
    pub requests: RequestSet,
    /// When each of the measured ones is sent.
    pub traffic: Traffic,
    /// What is sent before, group by group; nobody sees its latencies. Empty where the cache is cold.
    pub earlier: Vec<EarlierGroup>,
}
