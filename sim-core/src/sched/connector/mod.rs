//! A KV connector beside the scheduler: KV that comes from elsewhere, and KV that is fetched from here.
//!
//! An engine without one has none of this: its loops ask once a pass at most.

pub mod interface;
mod setup;
pub(super) mod state;
pub mod tiers;
mod waiting;
mod blocks;
mod results;
