//! vLLM's own data parallelism (`--data-parallel-size`): ranks behind one front end.
//!
//! Ranks of a dense model are independent engines behind a [`balancer`], which knows of them what a [`coordinator`]
//! told it last. Ranks of a mixture of experts share all-to-alls and therefore step together ([`lockstep`]).

pub mod balancer;
pub mod coordinator;
pub mod lockstep;
pub(super) mod rank_desk;
#[cfg(test)]
mod tests;

/// How ranks behind one front end are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataParallel {
    /// Of a model with experts: steps from one at which ranks ask each other for work to the next, at least 1
    /// (`--dp-sync-interval`). `None` for ranks that are independent.
    pub dp_sync_interval: Option<u32>,
}
