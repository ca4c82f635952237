//! Tests of the whole product, in one binary.

mod rng_golden;
mod workload_golden;
mod workload_distributions;
mod workload_inputs;
mod workload_options;
