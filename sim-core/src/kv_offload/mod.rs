//! KV blocks kept in host memory when the device's cache gives them up, and in tiers behind it: which are there, which go,
//! and what the scheduler's connector decides about them. Knows no time but what a clock shows by which tiers do not keep up.
//!
//! Source: `vllm/v1/kv_offload` (the tier) and `vllm/distributed/kv_transfer/kv_connector/v1/offloading` (the
//! connector's half beside the scheduler), 0.32, for models with one group of full attention.

mod arc;
mod async_lookup;
mod backpressure;
mod chunks;
pub mod connector;
mod fences;
mod lru;
mod manager;
mod request;
pub mod settings;
mod stores;
mod tiering;
