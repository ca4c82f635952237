//! Tests of the whole product, in one binary.

mod scenario;
mod scheduler_tables;
mod config;
mod config_texts;
mod rng_golden;
mod workload_golden;
mod workload_distributions;
mod workload_inputs;
mod workload_options;
mod profile_fixture;
mod profile_format;
mod profile_schema;
mod gallery;
mod step_time_model;
mod profile_properties;
mod metrics_golden;
mod metrics_recording;
mod measured_results;
mod limits;
mod ttft_split;
mod recognise;
mod hostile_inputs;
mod properties;
mod oracles;
mod tidy;
