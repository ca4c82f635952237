//! Speculative decoding: what a drafter asks of the engine, and how many of its drafts the model accepts.
//!
//! The scheduler knows a drafter by numbers alone ([`SpeculativeConfig`]): it never looks at a draft. Which drafts are
//! accepted is part of the workload ([`Acceptance`]) and is decided where passes run ([`ModelRunner`]).

mod config;
mod dynamic;
mod acceptance;
mod model_runner;

pub use acceptance::{Acceptance, AcceptanceError, RecordedRequest};
pub use config::{SpeculativeConfig, SpeculativeMethod};
pub use dynamic::{DynamicSchedule, DynamicScheduleError};
pub use model_runner::ModelRunner;
