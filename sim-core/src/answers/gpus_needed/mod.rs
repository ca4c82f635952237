//! How many replicas a recorded trace needs over time, if an ideal autoscaler knew beforehand what comes.
//!
//! [`mod@windows`] cuts the trace, [`search`] finds the fewest replicas for each window by simulating it, and [`autoscaler`]
//! says what that comes to in GPU hours: a theoretical lower bound for real autoscalers. Two numbers are told apart: what the
//! capacity of one replica says (as if requests were alike and came steadily), and what a simulation of the window needs.

pub mod windows;
pub mod search;
pub mod autoscaler;
#[cfg(test)]
mod tests;

pub use autoscaler::{Phase, provisioned};
pub use search::{Fewest, Needed, Scaling, Try};
pub use windows::{Window, windows};
