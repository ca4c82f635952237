//! Simulates something before anybody asks for a run. A browser runs Wasm slowly at first and compiles for speed what
//! is called often: by the time that the page is made and asks, what simulates is compiled.

use sim_core::simulator::SimulationOptions;

use super::run::{FinishedRun, Host};
use crate::protocol::RunInput;

/// The site's own profile, which is there without asking the network for it.
const PROFILE: &[u8] = include_bytes!("../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

/// Enough for the browser to see what is called often, and done before the page is.
const NUM_PROMPTS: &str = "1500";

/// Who asks for nothing.
struct Nobody;

impl Host for Nobody {
    fn now_ms(&self) -> f64 {
        0.0
    }
    fn wall_clock_ms(&self) -> u64 {
        0
    }
    fn progress(&mut self, _: u32, _: u32, _: f64) {}
}

/// Runs, and forgets what came of it.
///
/// # Errors
/// The run's.
pub(crate) fn warm_up() -> Result<(), String> {
    let flags = [("num-prompts", NUM_PROMPTS), ("max-concurrency", "64")];
    let input = RunInput {
        flags: flags.map(|(flag, value)| (flag.to_owned(), Some(value.to_owned()))).to_vec(),
        profile_name: "the site's own".to_owned(),
        profile: PROFILE.to_vec(),
        is_of_lockstep: false,
        dataset: None,
    };
    FinishedRun::new(input, SimulationOptions::default(), None, &mut Nobody).map(|run| drop(run.answer()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_run_that_nobody_asks_for_can_be_made() {
        assert_eq!(super::warm_up(), Ok(()));
    }
}
