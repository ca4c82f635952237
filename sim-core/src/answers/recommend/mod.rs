//! Which GPU, which parallelism, which formats and flags: the setup that answers a workload best for what is asked of it.
//!
//! [`space`] says what is tried, [`rounds`] in which order and how closely (successive halving: Jamieson and Talwalkar,
//! *Non-stochastic Best Arm Identification and Hyperparameter Optimization*, 2016): all candidates get a few short runs,
//! the better third more, and those that are left the whole search for their capacity. [`figures`] is what a setup costs
//! and gives at a load, [`answer`] what follows. Whoever asks composes profiles and runs what is wanted.

pub mod space;
pub mod exclusion;
pub mod figures;
mod coarse;
pub mod entry;
pub mod objective;
pub mod rounds;
mod simpler;
pub mod splits;
pub mod answer;
pub mod told;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod simpler_tests;

pub use answer::{Comparison, Operating, Recommendation};
pub use entry::{Done, Engine, Entry, Job, JobKind, Role};
pub use exclusion::Exclusion;
pub use figures::{Figures, front};
pub use objective::{Objective, Plan};
pub use rounds::Recommend;
pub use space::{Axis, Candidate, Space, SpaceError};
