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
