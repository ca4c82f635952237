//! The device that is a GPU: the only code with `unsafe`, each block with its reason.
//!
//! CUDA is found when this runs, not when it is built. **None of this has run on a GPU**: no machine with one was at
//! hand when it was written. NVRTC 12.8 compiles the kernels, and played on the processor they compute what their
//! references compute (`scripts/check-kernels.sh`); how fast they are, and whether driver, cuBLASLt and NCCL are called
//! rightly, nobody has seen. The engine therefore compares every kernel with its reference before it measures.
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
pub(crate) mod collectives;
mod check_attention;
mod check_fp8;
mod speed;
mod speed_products;
mod replay;
mod alone;
mod alone_attention;
mod alone_load;
mod alone_products;

pub(crate) use alone::GpuTimer;
pub(crate) use check::{KernelCheck, check};
pub(crate) use model::GpuDevice;
pub(crate) use open::Gpu;
pub(crate) use speed::speeds;
