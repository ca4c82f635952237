//! What is kept of a run that is to come, where that is not everything.

use super::Simulation;
use crate::metrics::recorder::{Keep, Recorder};

#[cfg(doc)]
use crate::simulation_result::SimulationResult;

impl Simulation<'_> {
    /// The same run, of which only the client's figures are kept ([`SimulationResult::figures`]): for tens of millions of
    /// requests. Before it has begun.
    #[must_use]
    pub fn keeping_figures(mut self) -> Self {
        self.keep = Keep::Figures;
        let num_drafts = self.config.num_speculative_tokens();
        self.recorder = Recorder::new(&self.workload.requests, num_drafts, self.keep);
        self.without_input()
    }

    /// The same run, which does not tell what the engine was given ([`SimulationResult::queries_per_iter`],
    /// [`SimulationResult::join_order`]): it cannot be replayed. Before it has begun.
    #[must_use]
    pub fn without_input(mut self) -> Self {
        // A script goes by the length of what it gave.
        self.keeps_input = self.script.is_some();
        self
    }
}
