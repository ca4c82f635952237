//! The flags of `vllm serve` 0.32.0 and 0.33.0.

use super::FlagGroup;
use super::serve_engine::ENGINE;
use super::serve_front_end::AROUND_ENGINE;

/// Every flag of `vllm serve`.
pub const SERVE: &[FlagGroup] = &ALL;

const ALL: [FlagGroup; ENGINE.len() + AROUND_ENGINE.len()] = {
    let mut all = [ENGINE[0]; ENGINE.len() + AROUND_ENGINE.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < ENGINE.len() { ENGINE[at] } else { AROUND_ENGINE[at - ENGINE.len()] };
        at += 1;
    }
    all
};
