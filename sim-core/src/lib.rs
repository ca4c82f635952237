//! vLLM's scheduler and a measured step-time model, as a pure function: a workload, an engine configuration and a
//! profile become a recording, the same bits natively and under Wasm. No I/O, no clock, no `std`.
//!
//! ```
//! use sim_core::config::{EngineArgs, UsageContext};
//! use sim_core::profile::{Profile, StepTimeModel, StepTimeSettings, SyntheticCosts};
//! use sim_core::simulator::{SimulationOptions, simulate};
//! use sim_core::workload::arrival::TrafficOptions;
//! use sim_core::workload::dataset::{Dataset, SampleOptions};
//! use sim_core::workload::{build, random::Random};
//!
//! // A profile object; a file's text goes through `Profile::from_json`, as it does here.
//! let json = SyntheticCosts::default().profile().to_json()?;
//! let profile = Profile::from_json(json.as_bytes())?;
//!
//! let args: EngineArgs = serde_json::from_str(r#"{"max_num_seqs": 64}"#)?;
//! let engine = args.resolve(&profile.platform(UsageContext::OpenAiApiServer, &args)?)?;
//! let traffic = TrafficOptions { request_rate: 4.0, ..TrafficOptions::default() };
//! let samples = SampleOptions { num_prompts: Some(20), ..SampleOptions::default() };
//! let workload = build(&Dataset::Random(Random::default()), &samples, &traffic)?;
//! let settings = StepTimeSettings::vllm_default(&profile, 64, engine.config.max_num_batched_tokens);
//! let step_time = StepTimeModel::new(&profile, &settings)?;
//!
//! let result = simulate(&workload, &engine.config, &step_time, SimulationOptions::default())?;
//! assert!(result.recording.requests.iter().all(|request| request.is_finished));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]

extern crate alloc;

pub mod time;
pub mod math;
pub mod rng;
pub mod vllm_version;
pub mod config;
mod device;
pub mod batch;
pub mod request;
pub mod request_set;
pub mod workload;
pub mod kv_cache;
pub mod models;
pub mod speculative;
pub mod sched;
pub mod kv_offload;
pub mod engine_core;
pub mod profile;
pub mod operators;
pub mod compose;
pub mod metrics;
mod api_servers;
mod follow_ups;
mod client;
mod json_message;
mod simulation_error;
pub mod simulation_result;
pub mod simulator;
pub mod live_engine;
pub mod scenario;
pub mod fleet;
pub mod answers;
