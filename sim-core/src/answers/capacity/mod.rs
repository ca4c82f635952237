//! How much load a setup carries: the highest rate, or the most requests at once, at which the objectives are met.
//!
//! [`trial`] is one run at one load, [`search`] decides which loads are tried and what follows from them. Whoever asks
//! runs the trials: over cores, over workers, or one after another; the answer is the same. [`told`] puts it in words.

pub mod trial;
pub mod search;
pub mod told;
#[cfg(test)]
mod tests;

pub use search::{Answer, Search};
pub use told::Question;
pub use trial::{Asked, LoadKind, Trial, TrialError};
