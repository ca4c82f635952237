//! An engine as the profiler sees it: what it is, and a way to run a scripted workload on it pass by pass.
//!
//! [`crate::vllm`] is the real one; [`crate::cuda`] plays the simulator's schedule on a GPU. Tests use `mock::MockEngine`, which is the simulator with a known truth.

#[cfg(test)]
pub(crate) mod mock;
pub(crate) mod played;
pub(crate) mod requests;
pub(crate) mod step_times;
pub(crate) mod version;

use anyhow::Result;
use sim_core::batch::{AttentionSpan, BatchComposition};
use sim_core::config::EngineConfig;
use sim_core::profile::schema;

use crate::verify::recorded_groups::Planning;
use crate::verify::recorded_trace::Iteration;

/// An engine that is up.
pub(crate) trait Engine {
    /// What it is.
    fn facts(&self) -> &EngineFacts;

    /// Runs `script` from an idle engine with an empty prefix cache to its end.
    ///
    /// # Errors
    /// If the engine refuses a request, fails or dies.
    fn run(&mut self, script: &Script) -> Result<Run>;

    /// As [`Self::run`], for the times of the passes that `is_wanted` picks. An engine whose passes do not need those
    /// before them may leave the others out and say that they took no time.
    ///
    /// # Errors
    /// Those of [`Self::run`].
    fn run_for(&mut self, script: &Script, _is_wanted: &dyn Fn(&BatchComposition) -> bool) -> Result<Run> {
        self.run(script)
    }
}

/// What an engine says of itself after it has started.
#[derive(Debug, Clone)]
pub(crate) struct EngineFacts {
    /// The scheduler's settings, resolved.
    pub(crate) config: EngineConfig,
    /// Where the settings' groups of layers and drafter came from; empty if the simulator's own plan is played.
    pub(crate) planning: Planning,
    /// The model.
    pub(crate) model: schema::Model,
    /// The devices.
    pub(crate) hardware: schema::Hardware,
    /// The engine's arguments, resolved; they become the profile's.
    pub(crate) engine: schema::Engine,
    /// Memory, the blocks that the engine reported included.
    pub(crate) memory: schema::Memory,
    /// Tokens that CUDA graphs were captured for; empty if there are none.
    pub(crate) capture_sizes: Vec<u32>,
    /// The machine in one line: processor, threads, driver, system.
    pub(crate) host: String,
    /// Programs that took part, as (name, version): vLLM, torch, Python.
    pub(crate) versions: Vec<(String, String)>,
}

/// A request as the engine gets it: its tokens, and how many to generate whatever they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ScriptedRequest {
    /// Token ids below the model's `vocab_size`, at least one.
    pub(crate) prompt_token_ids: Vec<u32>,
    /// Generated tokens: end-of-sequence tokens are ignored.
    pub(crate) max_tokens: u32,
    /// Lower is sooner; only the `priority` policy reads it.
    pub(crate) priority: i32,
    /// Requests with different salts share no cached block.
    pub(crate) cache_salt: Option<String>,
    /// Thousandths of the sampling temperature; 0 for the likeliest token always.
    pub(crate) temperature_permille: u32,
}

/// The engine's native input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Script {
    /// Requests, in the order in which they join.
    pub(crate) requests: Vec<ScriptedRequest>,
    /// How many of them join before each iteration of the engine's loop; they sum to all of them.
    pub(crate) queries_per_iter: Vec<u32>,
    /// `(iteration, request)`: aborted before that iteration's additions; ordered by iteration.
    pub(crate) aborts: Vec<(u32, u32)>,
    /// With a drafter, for measuring: this many drafts of a token of no meaning take the place of each of its
    /// proposals. Then passes are known beforehand, and hardly a draft is accepted.
    pub(crate) forced_drafts: Option<u32>,
}

/// What came of a script.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Run {
    /// Every call of the engine's step function, in order.
    pub(crate) passes: Vec<Pass>,
    /// The tokens each request generated, in the script's order; of an aborted one those that came out.
    pub(crate) output_token_ids: Vec<Vec<u32>>,
    /// Per request, how many drafts were proposed after each pass that gave it a token; empty without a drafter.
    pub(crate) num_proposed_drafts: Vec<Vec<u32>>,
}

/// One call of the engine's step function.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Pass {
    /// What was scheduled and processed, as the trace format has it.
    pub(crate) iteration: Iteration,
    /// When.
    pub(crate) instants: PassInstants,
}

/// The instants of one call of a synchronous engine's step function, in nanoseconds since the script began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PassInstants {
    /// Before the requests of this iteration were added.
    pub(crate) begin: u64,
    /// The step function was called.
    pub(crate) called: u64,
    /// `schedule()` had returned; equal to `called` if nothing was scheduled, as are the next two.
    pub(crate) scheduled: u64,
    /// The sampled tokens were there.
    pub(crate) executed: u64,
    /// `update_from_output()` had returned.
    pub(crate) updated: u64,
    /// The step function had returned: its tokens are out.
    pub(crate) end: u64,
}

impl Pass {
    /// What the pass computed; empty if it computed nothing. `spans` are those of the model's layers
    /// ([`sim_core::kv_cache::spec::KvCacheConfig::spans`]).
    pub(crate) fn batch(&self, spans: &[AttentionSpan]) -> BatchComposition {
        let mut batch = BatchComposition::default();
        batch.set_spans(spans);
        let mut drafts = self.iteration.spec.iter().peekable();
        for &(request, num_tokens, num_computed_tokens) in self.iteration.s.iter().flatten() {
            // Both lists are in the order of the schedule.
            let num_drafts = drafts.next_if(|drafts| drafts.0 == request).map_or(0, |drafts| drafts.1);
            batch.push_verification(num_tokens, num_computed_tokens, num_drafts);
        }
        batch
    }
}
