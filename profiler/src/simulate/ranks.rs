//! A simulated run of several data-parallel ranks, and what is told of each.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Value, json};
use sim_core::config::EngineConfig;
use sim_core::fleet::simulation::Replica;
use sim_core::fleet::{FleetResult, LockstepResult, ReplicaResult, imbalance};
use sim_core::profile::StepTimeModel;
use sim_core::scenario::Ranks;
use sim_core::simulation_result::SimulationResult;
use sim_core::time::SimDuration;
use sim_core::workload::Workload;

use super::fleet::{finished, new_fleet};
use super::report_flags::ReportFlags;

/// What came of each rank.
#[derive(Debug)]
pub(crate) struct RanksReport {
    pub(crate) ranks: Vec<ReplicaResult>,
    lockstep: Option<LockstepResult>,
    num_api_servers: u32,
    /// The router outside; `None` for vLLM's own balancer.
    router: Option<&'static str>,
    /// From the first request to the last answer, and what ranks in lockstep do until they pause.
    end: SimDuration,
}

/// Runs `workload` on all `ranks` to its end.
///
/// # Errors
/// If the simulator refuses it.
pub(crate) fn run_ranks(
    ranks: Ranks,
    (workload, config, step_time): (&Workload, &EngineConfig, &StepTimeModel),
    flags: &ReportFlags,
) -> Result<(SimulationResult, RanksReport)> {
    let engines = vec![Replica { config, step_time }; ranks.count as usize];
    let fleet = new_fleet(workload, &engines, ranks.dispatch(), flags)?;
    let FleetResult { whole, replicas, lockstep, .. } = finished(fleet, workload, flags);
    let end = SimDuration::from_nanos(whole.end_time.as_nanos());
    let router = ranks.settings.router.map(|router| router.policy.name());
    Ok((whole, RanksReport { ranks: replicas, lockstep, num_api_servers: config.api_server_count, router, end }))
}

impl RanksReport {
    /// A line for each rank, how uneven they are, and what they did together.
    pub(crate) fn text(&self) -> String {
        let how = if self.lockstep.is_some() { "in lockstep" } else { "independent of each other" };
        let servers =
            format!("{} API server{}", self.num_api_servers, if self.num_api_servers == 1 { "" } else { "s" });
        let front = match self.router {
            Some(router) => format!("the router {router}, each with {servers}"),
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

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let [requests, prompts, outputs, own] = self.imbalances();
        let of_rank = |rank: &ReplicaResult| {
            json!({
                "num_requests": rank.num_requests,
                "num_prompt_tokens": rank.num_prompt_tokens,
                "num_output_tokens": rank.num_output_tokens,
                "num_passes": rank.num_passes,
                "num_dummy_batches": rank.num_dummy_batches,
                "own_share": self.own_share(rank),
                "mean_kv_cache_usage": rank.mean_kv_cache_usage,
                "max_kv_cache_usage": rank.max_kv_cache_usage,
                "prefix_cache_hit_rate": rank.prefix_cache_hit_rate(),
                "num_preemptions": rank.stats.num_preemptions,
            })
        };
        let of_lockstep = |lockstep: &LockstepResult| {
            json!({
                "num_waves": lockstep.num_waves,
                "num_steps": lockstep.num_steps,
                "step_time_s": lockstep.step_time.as_secs_f64(),
                "mean_own_share": self.mean_own_share(lockstep),
            })
        };
        json!({
            "data_parallel_size": self.ranks.len(),
            "api_server_count": self.num_api_servers,
            "router": self.router,
            "lockstep": self.lockstep.as_ref().map(of_lockstep),
            "imbalance":
                {"requests": requests, "prompt_tokens": prompts, "output_tokens": outputs, "own_time": own},
            "ranks": self.ranks.iter().map(of_rank).collect::<Vec<_>>(),
        })
    }

    /// Share of the run that a rank's own passes take, if nobody waits for others.
    fn own_share(&self, rank: &ReplicaResult) -> f64 {
        share(rank.device_time.as_secs_f64(), self.end.as_secs_f64())
    }

    /// Share of the time of all steps that ranks' own passes would have taken, in the mean over ranks.
    fn mean_own_share(&self, lockstep: &LockstepResult) -> f64 {
        let own: f64 = self.ranks.iter().map(|rank| rank.device_time.as_secs_f64()).sum();
        share(own, lockstep.step_time.as_secs_f64() * self.ranks.len() as f64)
    }

    fn imbalances(&self) -> [f64; 4] {
        let of = |quantity: fn(&ReplicaResult) -> u64| imbalance(self.ranks.iter().map(quantity));
        [
            of(|rank| rank.num_requests),
            of(|rank| rank.num_prompt_tokens),
            of(|rank| rank.num_output_tokens),
            of(|rank| rank.device_time.as_nanos()),
        ]
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
