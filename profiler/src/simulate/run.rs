//! A simulated run, with progress for those who wait.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::Simulation;

/// Iterations between two looks at the clock.
const ITERATIONS_PER_TICK: u32 = 20_000;

/// Runs a simulation of so many requests to its end, with a progress bar on a terminal unless `quiet`.
pub(crate) fn run(mut simulation: Simulation<'_>, num_requests: usize, quiet: bool) -> SimulationResult {
    let bar = bar(num_requests, "{bar:20} {pos}/{len} requests, {msg}, {eta} left", quiet);
    let mut iterations = 0;
    while simulation.advance() {
        iterations += 1;
        if iterations == ITERATIONS_PER_TICK {
            iterations = 0;
            bar.set_message(format!("{:.0} s simulated", simulation.now().as_secs_f64()));
            bar.set_position(simulation.num_finished() as u64);
        }
    }
    bar.finish_and_clear();
    simulation.finish()
}

/// A progress bar of `num_steps` on a terminal, unless `quiet`; `template` is indicatif's.
pub(crate) fn bar(num_steps: usize, template: &str, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(num_steps as u64).with_style(style)
}
