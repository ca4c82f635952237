//! Tests of the whole product, in one binary.

mod metrics_golden;
mod metrics_recording;
