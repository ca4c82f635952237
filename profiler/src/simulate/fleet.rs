//! A simulated run of several replicas, and what is told of each.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sim_core::answers::said::counted;
use sim_core::config::EngineConfig;
use sim_core::fleet::life::{LifeResult, LifeSettings};
use sim_core::fleet::router::Policy;
use sim_core::fleet::simulation::{FleetSimulation, Replica};
use sim_core::fleet::{Dispatch, FleetResult, ReplicaResult, imbalance};
use sim_core::metrics::recorder::Recording;
use sim_core::profile::StepTimeModel;
use sim_core::scenario::FleetArgs;
use sim_core::simulation_result::SimulationOptions;
use sim_core::workload::Workload;

use super::life;
use super::report_flags::ReportFlags;
use super::run::bar;

/// Events between two looks at the clock.
const EVENTS_PER_TICK: u32 = 20_000;

/// Runs `workload` on the replicas of `args`, all alike, to its end.
///
/// # Errors
/// If the simulator refuses it.
pub(crate) fn run_fleet(
    (args, life): (&FleetArgs, &LifeSettings),
    (workload, config, step_time): (&Workload, &EngineConfig, &StepTimeModel),
    seed: u64,
    flags: &ReportFlags,
) -> Result<FleetResult> {
    let replicas = vec![Replica { config, step_time }; life.num_engines(args.replicas) as usize];
    let fleet = new_fleet(workload, &replicas, args.dispatch(seed), flags)?;
    let fleet = if life.is_uneventful() { fleet } else { fleet.living(life, seed) };
    Ok(finished(fleet, workload, flags))
}

/// A run of `workload` on `replicas` that has not begun.
///
/// # Errors
/// If the simulator refuses it.
pub(super) fn new_fleet<'a>(
    workload: &'a Workload,
    replicas: &[Replica<'a>],
    dispatch: Dispatch,
    flags: &ReportFlags,
) -> Result<FleetSimulation<'a>> {
    let options = SimulationOptions { record_emissions: flags.save_detailed };
    Ok(FleetSimulation::new(workload, replicas, dispatch, options)?)
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

/// What came of a fleet beside what came of all its engines together.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) router: Policy,
    pub(crate) replicas: Vec<ReplicaResult>,
    /// GPUs of each.
    pub(crate) num_gpus: u32,
    /// What happened to them, where something could.
    pub(crate) life: Option<LifeResult>,
}

impl Fleet {
    /// Requests that failed with their replica.
    pub(crate) fn num_failed(&self) -> usize {
        self.life.as_ref().map_or(0, |life| life.failed.len())
    }

    /// A line for each replica, how uneven they are, and what happened to them.
    pub(crate) fn text(&self, recording: &Recording) -> String {
        let mut text =
            format!("{} behind the router {}:\n", counted(self.replicas.len() as u64, "replica"), self.router.name());
        text.push_str("replica  requests  prompt tokens  output tokens  KV mean  KV peak  prefix hits  preemptions\n");
        for (number, replica) in self.replicas.iter().enumerate() {
            // Writing to a String cannot fail.
            writeln!(
                text,
                "{number:>7}  {:>8}  {:>13}  {:>13}  {:>6.1}%  {:>6.1}%  {:>10.1}%  {:>11}",
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
        let [requests, prompts, outputs] = imbalances(&self.replicas);
        writeln!(
            text,
            "Most over mean: requests {requests:.3}, prompt tokens {prompts:.3}, output tokens {outputs:.3}"
        )
        .unwrap_or_default();
        if let Some(life) = &self.life {
            text.push_str(&life::text(life, recording, self.num_gpus));
        }
        text
    }

    /// The same for programs.
    pub(crate) fn json(&self, recording: &Recording) -> Value {
        let [requests, prompts, outputs] = imbalances(&self.replicas);
        let of_replica = |replica: &ReplicaResult| {
            json!({
                "num_requests": replica.num_requests,
                "num_prompt_tokens": replica.num_prompt_tokens,
                "num_output_tokens": replica.num_output_tokens,
                "num_passes": replica.num_passes,
                "mean_kv_cache_usage": replica.mean_kv_cache_usage,
                "max_kv_cache_usage": replica.max_kv_cache_usage,
                "prefix_cache_hit_rate": replica.prefix_cache_hit_rate(),
                "num_preemptions": replica.stats.num_preemptions,
            })
        };
        let mut json = json!({
            "router": self.router.name(),
            "imbalance": {"requests": requests, "prompt_tokens": prompts, "output_tokens": outputs},
            "replicas": self.replicas.iter().map(of_replica).collect::<Vec<_>>(),
        });
        if let (Some(life), Some(fields)) = (&self.life, json.as_object_mut()) {
            fields.insert("life".into(), life::json(life, recording, self.num_gpus));
        }
        json
    }
}

fn imbalances(replicas: &[ReplicaResult]) -> [f64; 3] {
    [
        imbalance(replicas.iter().map(|replica| replica.num_requests)),
        imbalance(replicas.iter().map(|replica| replica.num_prompt_tokens)),
        imbalance(replicas.iter().map(|replica| replica.num_output_tokens)),
    ]
}
