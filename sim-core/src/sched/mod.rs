//! Who computes how many tokens in the next pass. Knows no time.

pub mod scheduler;
mod update;
pub mod request_queue;
pub mod output;
mod live_request;
