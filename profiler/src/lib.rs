//! Measures profiles, imports them from published data, runs simulations, and checks them against a real vLLM.
//!
//! All of it is behind [`run`], the command line. The only other door is [`parsers`], for fuzzing.

mod cli;
mod cuda;
mod engine;
mod import;
mod input_file;
mod measure;
pub mod parsers;
mod serve;
mod server;
mod simulate;
mod validate;
mod verify;
mod vllm;

pub use cli::run;
