//! The KV cache as the scheduler sees it: which blocks are free, which hold what, who uses them. Knows no time.
//!
//! A model's layers form groups; each group has a block table of its own for every request, and all take their blocks
//! from one pool. [`spec`] says what a layer keeps, [`planning`] makes groups of layers, [`manager`] is what the
//! scheduler calls.

pub mod manager;
mod dense;
pub(crate) mod external;
mod steady;
pub mod request_blocks;
mod coordinator;
mod by_kind;
mod single_type;
mod full_attention;
mod sliding_window;
mod chunked_local;
pub(crate) mod mamba;
mod group_blocks;
pub mod planning;
mod block_sizes;
mod planning_error;
pub mod spec;
pub mod block_pool;
mod block_runs;
mod extents;
mod extent_lists;
#[cfg(test)]
mod extents_tests;
mod block_hashes;
pub mod events;
mod event_log;
mod reset;
mod further_keys;
pub mod block_keys;
mod registrations;
mod run_cursor;
mod chain_index;
mod departure;
pub mod free_block_queue;

pub use block_sizes::HitSettings;
pub use planning_error::PlanningError;
