//! One binary for all integration tests, in reading order.

mod profile_fixture;
mod profile_format;
mod profile_schema;
mod step_time_model;
mod profile_properties;
