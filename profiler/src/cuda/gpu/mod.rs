//! The device that is a GPU: the only code with `unsafe`, each block with its reason.
//!
//! CUDA is found when this runs, not when it is built. **None of this has ever run on a GPU**: no machine with one was
//! at hand when it was written. The kernels were compiled by NVRTC 12.8; what they compute, and how fast, nobody has
//! seen. The engine therefore compares every kernel with its reference before it measures anything.
#![expect(unsafe_code, reason = "CUDA is called through its C interface")]

mod libraries;
mod open;
mod watch;
mod launcher;
mod products;
mod memory;
mod operators;
mod model;
mod check;
mod check_attention;

pub(crate) use check::{KernelCheck, check};
pub(crate) use model::GpuDevice;
pub(crate) use open::Gpu;
