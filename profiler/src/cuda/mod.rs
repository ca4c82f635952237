//! `profiler profile --engine cuda`: a profile of a GPU without vLLM and without Python.
//!
//! From a `config.json` the engine builds the model's operators with random weights ([`shape`], [`gpu`]); the simulator's
//! scheduler makes the passes ([`engine`]), the device executes and times them ([`device`]). Everything above the device
//! is that of the vLLM engine: plan, journal, fit, report. Nothing of vLLM is measured, and the profile says so
//! ([`provenance`]).
//!
//! [`alone`] times single operators instead of passes, for an operator pack.
//!
//! The kernels are a text in the binary ([`kernels`]), compiled when the engine starts, and compared with references in
//! double precision ([`reference`]) before anything is measured. Tests have a device whose times are a formula (`mock`).
//! **The GPU part has not run on a GPU yet**; see [`gpu`].

pub(crate) mod shape;
pub(crate) mod number;
pub(crate) mod quantization;
pub(crate) mod device;
pub(crate) mod flags;
pub(crate) mod layout;
pub(crate) mod buffers;
pub(crate) mod collectives;
pub(crate) mod facts;
pub(crate) mod engine;
pub(crate) mod provenance;
pub(crate) mod kernels;
pub(crate) mod reference;
pub(crate) mod verdict;
pub(crate) mod gpu;
pub(crate) mod start;
pub(crate) mod alone;
#[cfg(test)]
pub(crate) mod mock;
#[cfg(test)]
mod tests;
