//! Who computes how many tokens in the next pass. Knows no time.

pub mod scheduler;
mod arrivals;
mod budget;
mod running;
mod waiting;
mod drafts;
mod mamba_split;
mod prefill_interval;
mod update;
mod steady;
mod steady_counts;
mod growth;
pub(crate) mod stretch;
mod calendar;
pub mod request_queue;
pub mod output;
mod live_request;
mod requests;
pub mod connector;
