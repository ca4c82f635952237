//! vLLM's scheduler and a measured step-time model, as a pure function.
#![no_std]

extern crate alloc;

pub mod time;
pub mod math;
pub mod rng;
pub mod config;
pub mod batch;
pub mod request;
pub mod workload;
pub mod kv_cache;
pub mod sched;
pub mod engine_core;
pub mod profile;
pub mod metrics;
mod client;
mod json_message;
mod simulation_error;
pub mod simulator;
