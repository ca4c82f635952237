//! Measures profiles, imports them from published data, runs simulations, and checks them against a real vLLM.
//!
//! Without the feature `full` it simulates and composes only, and is built in a third of the time.
//!
//! All of it is behind [`run`], the command line. The other doors are [`ask`], for programs that ask what the command line
//! asks, [`many`], for many runs at once, and `parsers`, for fuzzing.

#![cfg_attr(
    not(feature = "full"),
    expect(dead_code, reason = "the rooms that stay have parts for those that are left out")
)]

pub mod ask;
mod capacity;
mod cli;
mod gpus_needed;
mod input_file;
pub mod many;
mod output_file;
mod recommend;
mod simulate;

#[cfg(feature = "full")]
mod cuda;
#[cfg(feature = "full")]
mod emulate;
#[cfg(feature = "full")]
mod engine;
#[cfg(feature = "full")]
mod import;
#[cfg(feature = "full")]
mod measure;
#[cfg(feature = "full")]
pub mod parsers;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "full")]
mod server;
#[cfg(feature = "full")]
mod sweep;
#[cfg(feature = "full")]
mod validate;
#[cfg(feature = "full")]
mod verify;
#[cfg(feature = "full")]
mod vllm;

pub use cli::run;

/// How to get what is missing.
#[cfg(any(test, not(feature = "full")))]
const HOW_TO_GET_ALL: &str = "this is the small program, built to answer soon; `cargo build --release -p profiler` builds \
     the whole one as target/release/profiler";
