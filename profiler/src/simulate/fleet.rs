//! A simulated run of several replicas, and what is told of each.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use sim_core::answers::said::counted;
use sim_core::config::EngineConfig;
use sim_core::fleet::life::LifeSettings;
use sim_core::fleet::simulation::{FleetSimulation, Replica};
use sim_core::fleet::{FleetResult, LockstepResult, ReplicaResult};
use sim_core::metrics::recorder::Recording;
use sim_core::profile::StepTimeModel;
use sim_core::scenario::{FleetArgs, Ranks, ReplicasResult};
use sim_core::simulation_result::SimulationOptions;
use sim_core::workload::Workload;

use super::engines::Told;
use super::life;
use super::report_flags::ReportFlags;
use super::run::bar;

/// Events between two looks at the clock.
const EVENTS_PER_TICK: u32 = 20_000;

/// Runs `workload` on the replicas of `args`, each of them the `ranks`, all alike, to its end.
///
/// # Errors
/// If the simulator refuses it.
pub(crate) fn run_fleet(
    (args, life, ranks): (&FleetArgs, &LifeSettings, Ranks),
    (workload, config, step_time): (&Workload, &EngineConfig, &StepTimeModel),
    seed: u64,
    flags: &ReportFlags,
) -> Result<FleetResult> {
    let options = SimulationOptions { record_emissions: flags.save_detailed };
    let fleet = args.simulation((life, ranks), (workload, Replica { config, step_time }), seed, options)?;
    Ok(finished(fleet, workload, flags))
}

/// What comes of a run, which is made to its end.
pub(super) fn finished(mut fleet: FleetSimulation<'_>, workload: &Workload, flags: &ReportFlags) -> FleetResult {
    let bar = bar(workload.requests.len(), "{bar:20} {pos}/{len} requests, {msg}, {eta} left", flags.quiet);
    let mut num_events = 0;
    while fleet.advance() {
        num_events += 1;
        if num_events == EVENTS_PER_TICK {
            num_events = 0;
            bar.set_message(format!("{:.0} s simulated", fleet.now().as_secs_f64()));
            bar.set_position(fleet.num_finished() as u64);
        }
    }
    bar.finish_and_clear();
    fleet.finish()
}

/// Refuses what is told of one engine only.
///
/// # Errors
/// Which flag that is.
pub(crate) fn check_flags(flags: &ReportFlags, has_range: bool) -> Result<()> {
    let of_one =
        [("--queries-per-iter", flags.queries_per_iter.is_some()), ("--chrome-trace", flags.chrome_trace.is_some())];
    for (flag, is_given) in of_one {
        ensure!(!is_given, "{flag} is of one engine; leave it out with several");
    }
    ensure!(!has_range, "--range repeats the run of one engine; with several say --no-range");
    Ok(())
}

/// What replicas are, where each has several ranks: ` of 8 data-parallel ranks, in lockstep,`.
fn of_ranks(num_ranks: u32, is_lockstep: bool) -> String {
    let how = if is_lockstep { "in lockstep" } else { "independent of each other" };
    if num_ranks > 1 { format!(" of {num_ranks} data-parallel ranks, {how},") } else { String::new() }
}

/// The name of an engine: its replica's number, and where that has several its rank.
pub(super) fn engine_name(number: usize, num_ranks: u32) -> String {
    let num_ranks = num_ranks as usize;
    if num_ranks > 1 { format!("{}.{}", number / num_ranks, number % num_ranks) } else { number.to_string() }
}

/// What replicas of ranks in lockstep did: the sums over all replicas.
pub(super) fn steps(lockstep: &LockstepResult, engines: &[ReplicaResult], num_ranks: u32) -> String {
    let own: f64 = engines.iter().map(|engine| engine.device_time.as_secs_f64()).sum();
    let all = lockstep.step_time.as_secs_f64() * f64::from(num_ranks);
    format!(
        "Waves: {}, steps of all ranks of a replica: {}, which took {:.3} s in all; ranks' own passes were {:.1}% of that\n",
        lockstep.num_waves,
        lockstep.num_steps,
        lockstep.step_time.as_secs_f64(),
        if all > 0.0 { 100.0 * own / all } else { 0.0 }
    )
}

impl Told for ReplicasResult {
    /// A line for each replica, how uneven they are, and what happened to them.
    fn text(&self, recording: &Recording) -> String {
        let num_replicas = self.replicas.len() as u64 / u64::from(self.num_ranks);
        let mut text = format!(
            "{}{} behind the router {}:\n",
            counted(num_replicas, "replica"),
            of_ranks(self.num_ranks, self.lockstep.is_some()),
            self.router.name()
        );
        text.push_str("replica  requests  prompt tokens  output tokens  KV mean  KV peak  prefix hits  preemptions\n");
        for (number, replica) in self.replicas.iter().enumerate() {
            // Writing to a String cannot fail.
            writeln!(
                text,
                "{:>7}  {:>8}  {:>13}  {:>13}  {:>6.1}%  {:>6.1}%  {:>10.1}%  {:>11}",
                engine_name(number, self.num_ranks),
                replica.num_requests,
                replica.num_prompt_tokens,
                replica.num_output_tokens,
                100.0 * replica.mean_kv_cache_usage,
                100.0 * replica.max_kv_cache_usage,
                100.0 * replica.prefix_cache_hit_rate(),
                replica.stats.num_preemptions,
            )
            .unwrap_or_default();
        }
        let [requests, prompts, outputs] = self.imbalances();
        writeln!(
            text,
            "Most over mean: requests {requests:.3}, prompt tokens {prompts:.3}, output tokens {outputs:.3}"
        )
        .unwrap_or_default();
        text.extend(self.lockstep.as_ref().map(|lockstep| steps(lockstep, &self.replicas, self.num_ranks)));
        if let Some(life) = &self.life {
            text.push_str(&life::text(life, recording, self.num_gpus));
        }
        text
    }
}
