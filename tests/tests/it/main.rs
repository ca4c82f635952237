//! Tests of the whole product, in one binary.

mod config;
mod config_texts;
