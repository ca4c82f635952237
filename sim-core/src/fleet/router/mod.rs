//! Who gets a request: routers in front of replicas, each named after its source.
//!
//! A router sees what the real one sees: its own requests under way, what replicas' metrics said when they were read last,
//! and the prompts that it sent where. Text is tokens here, so a router that cuts text into characters takes
//! [`CHARACTERS_PER_TOKEN`] of them for one.

mod hash_ring;
mod kv_cost;
mod policy;
mod routing;
mod prefix_tree;
pub mod prefixes;
mod scorers;
mod spread;
mod weights;
#[cfg(test)]
mod tests;

pub use policy::{Policy, UnknownPolicy};
pub use routing::{Arrival, BoxedRouter, CHARACTERS_PER_TOKEN, ReplicaView, Router};
pub use weights::RouterWeights;
