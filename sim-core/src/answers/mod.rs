//! Questions over many runs: how much load, which flags, which GPU, how many of them.
//!
//! An answer is data, and follows from runs alone. Which runs are made next is decided here; whoever asks makes them: over
//! cores, over workers, or one after another; the answer is the same.

pub mod said;
pub mod cost;
pub mod capacity;
pub mod recommend;
pub mod gpus_needed;
pub mod flags;
