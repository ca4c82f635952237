//! `profiler profile --engine cuda`.
pub(crate) mod shape;
pub(crate) mod number;
pub(crate) mod device;
pub(crate) mod flags;
pub(crate) mod layout;
pub(crate) mod buffers;
pub(crate) mod facts;
pub(crate) mod engine;
pub(crate) mod provenance;
pub(crate) mod kernels;
pub(crate) mod reference;
#[cfg(test)]
pub(crate) mod mock;
#[cfg(test)]
mod tests;
