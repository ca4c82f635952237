//! What happens inside the page's worker: a scenario becomes an answer, and a file what it is good for.
//!
//! [`session`] answers every [`crate::protocol::Request`] and knows no JavaScript; [`side`] is the thin shell around
//! it that does. Statistics are `sim_core`'s; what stands here puts them together.

mod advice;
pub(crate) mod cards;
mod date;
mod export;
mod fleet;
mod fleet_summary;
mod gantt;
mod measured;
mod metric;
mod range;
mod read;
mod rows;
mod run;
pub(crate) mod session;
pub(crate) mod side;
mod summary;
pub(crate) mod trial;
mod warm_up;
#[cfg(test)]
mod drafts_tests;
#[cfg(test)]
mod fleet_tests;
#[cfg(test)]
mod range_tests;
#[cfg(test)]
mod tests;
