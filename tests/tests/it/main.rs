//! Tests of the whole product, in one binary.

mod scheduler_tables;
mod workload_golden;
mod metrics_golden;
mod metrics_recording;
mod tidy;
