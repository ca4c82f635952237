//! Which flags: what one step of each would change in how much is carried.
//!
//! [`steps`] are the neighbours of a setup, one flag at a time; whoever asks searches the capacity of each with the same
//! seeds, and [`Change`] says what came of it.

mod change;
mod steps;
#[cfg(test)]
mod tests;

pub use change::{Change, NOISE};
pub use steps::{Step, steps};
