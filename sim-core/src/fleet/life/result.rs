//! What came of a fleet's life.

use alloc::vec::Vec;

use crate::request::RequestId;
use crate::time::SimTime;

/// What happened to a fleet, and to its requests because of that.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LifeResult {
    /// Times that a request lost its replica, in all.
    pub num_losses: u64,
    /// Times that a measured request was sent again without having got a token, or found no replica.
    pub num_retries: u64,
    /// Times that a measured request was gone on with elsewhere.
    pub num_migrations: u64,
    /// Measured requests that any of this happened to, by number.
    pub touched: Vec<RequestId>,
    /// Measured requests that failed, by number; what they had got by then is in their records.
    pub failed: Vec<RequestId>,
    /// How many replicas there were and when, in order and without gaps.
    pub phases: Vec<Phase>,
    /// Seconds of all replicas together, from when one begins to start until it has stopped; one that is to come back
    /// after it died keeps its machine.
    pub replica_seconds: f64,
}

/// For how long there were so many replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// Begin.
    pub from: SimTime,
    /// End.
    pub until: SimTime,
    /// Replicas that take requests.
    pub num_ready: u32,
    /// Replicas that do not yet: they start, or come back.
    pub num_coming: u32,
    /// Replicas that answer what they have and take no more.
    pub num_draining: u32,
}
