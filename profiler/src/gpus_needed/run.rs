//! The windows of a trace, simulated over all cores.

use anyhow::Result;
use rayon::prelude::*;
use sim_core::answers::capacity::TrialError;
use sim_core::answers::gpus_needed::search::try_window;
use sim_core::answers::gpus_needed::{Needed, Try};
use sim_core::metrics::goodput::Goodput;
use sim_core::scenario::Prepared;

use crate::simulate::run::bar;

/// Searches the fewest replicas of each window.
///
/// # Errors
/// That of the first window that cannot be run.
pub(crate) fn search(needed: &mut Needed, prepared: &Prepared, goodput: Goodput, quiet: bool) -> Result<()> {
    let bar = bar(needed.windows().len(), "{bar:20} {pos} of {len} windows and more", quiet);
    loop {
        let wanted = needed.wanted();
        if wanted.is_empty() {
            break;
        }
        let one = |wanted: &Try| {
            let window = &needed.windows()[wanted.window];
            let counts = try_window(prepared, goodput, window, wanted.num_replicas);
            bar.inc(1);
            counts
        };
        let counts: Vec<Result<(u64, u64), TrialError>> = wanted.par_iter().with_max_len(1).map(one).collect();
        let counts: Vec<(u64, u64)> = counts.into_iter().collect::<Result<_, _>>()?;
        needed.take(counts);
    }
    bar.finish_and_clear();
    Ok(())
}
