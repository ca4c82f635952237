//! A simulated run of several data-parallel ranks, and what is told of each.

use std::fmt::Write as _;

use anyhow::Result;
use sim_core::config::EngineConfig;
use sim_core::fleet::FleetResult;
use sim_core::fleet::simulation::Replica;
use sim_core::metrics::recorder::Recording;
use sim_core::profile::StepTimeModel;
use sim_core::scenario::{Ranks, RanksResult};
use sim_core::simulation_result::{SimulationOptions, SimulationResult};
use sim_core::time::SimDuration;
use sim_core::workload::Workload;

use super::engines::Told;
use super::fleet::finished;
use super::report_flags::ReportFlags;

/// Runs `workload` on all `ranks` to its end.
///
/// # Errors
/// If the simulator refuses it.
pub(crate) fn run_ranks(
    ranks: Ranks,
    (workload, config, step_time): (&Workload, &EngineConfig, &StepTimeModel),
    flags: &ReportFlags,
) -> Result<(SimulationResult, RanksResult)> {
    let options = SimulationOptions { record_emissions: flags.save_detailed };
    let fleet = ranks.simulation((workload, Replica { config, step_time }), options)?;
    let FleetResult { whole, replicas, lockstep, .. } = finished(fleet, workload, flags);
    let end = SimDuration::from_nanos(whole.end_time.as_nanos());
    let router = ranks.settings.router.map(|router| router.policy);
    Ok((whole, RanksResult { ranks: replicas, lockstep, num_api_servers: config.api_server_count, router, end }))
}

impl Told for RanksResult {
    /// A line for each rank, how uneven they are, and what they did together.
    fn text(&self, _: &Recording) -> String {
        let how = if self.lockstep.is_some() { "in lockstep" } else { "independent of each other" };
        let servers =
            format!("{} API server{}", self.num_api_servers, if self.num_api_servers == 1 { "" } else { "s" });
        let front = match self.router {
            Some(router) => format!("the router {}, each with {servers}", router.name()),
            None => format!("vLLM's balancer in {servers}"),
        };
        let mut text = format!(
            "{} data-parallel ranks, {how}, behind {front}; passes take what the profile, which \
             is of one rank, says (own: share of the run that a rank's own passes take alone):\n",
            self.ranks.len()
        );
        text.push_str(
            "rank  requests  prompt tokens  output tokens  passes  dummies    own  KV mean  KV peak  prefix hits  preemptions\n",
        );
        for (number, rank) in self.ranks.iter().enumerate() {
            // Writing to a String cannot fail.
            writeln!(
                text,
                "{number:>4}  {:>8}  {:>13}  {:>13}  {:>6}  {:>7}  {:>4.1}%  {:>6.1}%  {:>6.1}%  {:>10.1}%  {:>11}",
                rank.num_requests,
                rank.num_prompt_tokens,
                rank.num_output_tokens,
                rank.num_passes,
                rank.num_dummy_batches,
                100.0 * self.own_share(rank),
                100.0 * rank.mean_kv_cache_usage,
                100.0 * rank.max_kv_cache_usage,
                100.0 * rank.prefix_cache_hit_rate(),
                rank.stats.num_preemptions,
            )
            .unwrap_or_default();
        }
        let [requests, prompts, outputs, own] = self.imbalances();
        writeln!(
            text,
            "Most over mean: requests {requests:.3}, prompt tokens {prompts:.3}, output tokens {outputs:.3}, time of own \
             passes {own:.3}"
        )
        .unwrap_or_default();
        if let Some(lockstep) = &self.lockstep {
            writeln!(
                text,
                "Waves: {}, steps of all ranks: {}, which took {:.3} s, as long as the longest pass in each; ranks' own \
                 passes were {:.1}% of that",
                lockstep.num_waves,
                lockstep.num_steps,
                lockstep.step_time.as_secs_f64(),
                100.0 * self.mean_own_share(lockstep)
            )
            .unwrap_or_default();
        }
        text
    }
}
