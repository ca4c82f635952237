//! A simulated run with prefill and decode on engines of their own, and what is told of either side and between.

use std::fmt::Write as _;

use anyhow::Result;
use sim_core::fleet::ReplicaResult;
use sim_core::fleet::disaggregated::result::DisaggregatedResult;
use sim_core::fleet::disaggregated::settings::prefill_workload;
use sim_core::fleet::life::LifeSettings;
use sim_core::metrics::recorder::Recording;
use sim_core::scenario::{DisaggregationArgs, FleetArgs, RoleEngine, RoleEngines, RolesResult};
use sim_core::sched::connector::interface::KvLoadFailurePolicy;
use sim_core::simulation_result::{SimulationOptions, SimulationResult};
use sim_core::workload::Workload;

use super::engines::Told;
use super::fleet::{engine_name, steps};
use super::life;
use super::report_flags::ReportFlags;
use super::run::bar;

/// Events between two looks at the clock.
const EVENTS_PER_TICK: u32 = 20_000;

/// Runs `workload` to its end on as many engines of either role as `args` says.
///
/// # Errors
/// If one role's engines cannot take over from the other's, and if the simulator refuses the run.
pub(crate) fn run_disaggregated(
    (args, fleet, seed): (&DisaggregationArgs, &FleetArgs, u64),
    lives: &[LifeSettings; 2],
    workload: &Workload,
    [prefill, decode]: &[RoleEngine; 2],
    flags: &ReportFlags,
) -> Result<(SimulationResult, RolesResult)> {
    let num_devices = [prefill.num_devices, decode.num_devices];
    let prefill_side = prefill_workload(workload);
    let engines = RoleEngines::new(args, lives, [prefill, decode])?;
    let options = SimulationOptions { record_emissions: flags.save_detailed };
    let mut run = engines.simulation((args, fleet, seed), (workload, &prefill_side), options)?;
    let bar = bar(workload.requests.len(), "{bar:20} {pos}/{len} requests, {msg}, {eta} left", flags.quiet);
    let mut num_events = 0;
    while run.advance() {
        num_events += 1;
        if num_events == EVENTS_PER_TICK {
            num_events = 0;
            bar.set_message(format!("{:.0} s simulated", run.now().as_secs_f64()));
            bar.set_position(run.num_finished() as u64);
        }
    }
    bar.finish_and_clear();
    let DisaggregatedResult { whole, prefill, decode, transfers, life } = run.finish();
    let life = life.map(Box::new);
    let (router, num_gpus, gpus_of_replica) = (fleet.router, engines.num_gpus(), engines.gpus_of_replica());
    let roles =
        RolesResult { args: *args, router, num_devices, num_gpus, gpus_of_replica, prefill, decode, transfers, life };
    Ok((whole, roles))
}

impl Told for RolesResult {
    /// A line for each engine, and what was transferred.
    fn text(&self, recording: &Recording) -> String {
        let DisaggregationArgs { prefill_replicas, decode_replicas, bandwidth_gb_s, .. } = self.args;
        let [out, into] = self.num_devices.map(|num_devices| bandwidth_gb_s * f64::from(num_devices));
        let speed = if self.num_devices[0] == self.num_devices[1] {
            format!("{out} GB/s between them")
        } else {
            format!("{out} GB/s out of one and {into} GB/s into one")
        };
        let of_ranks = match [self.prefill.num_ranks, self.decode.num_ranks] {
            [1, 1] => String::new(),
            [prefill, decode] => format!(" of {prefill} and {decode} data-parallel ranks"),
        };
        let mut text = format!(
            "{prefill_replicas} prefill and {decode_replicas} decode replicas{of_ranks} behind the router {}, {speed}:\n",
            self.router.name(),
        );
        text.push_str(
            "replica    requests  prompt tokens  output tokens    busy  KV mean  KV peak  prefix hits  preemptions\n",
        );
        for (name, role) in [("prefill", &self.prefill), ("decode", &self.decode)] {
            for (number, (replica, busy)) in role.replicas.iter().zip(&role.utilisations).enumerate() {
                let number = engine_name(number, role.num_ranks);
                text.push_str(&line(&format!("{name} {number}"), replica, *busy));
            }
        }
        let ([p50, p99], [wait_p50, wait_p99]) = (self.transfer_ms(), self.transfer_wait_ms());
        // Writing to a String cannot fail.
        writeln!(
            text,
            "KV transfers: {}, {:.3} MB in the mean, {p50:.3} ms (P99 {p99:.3}); they began {wait_p50:.3} ms \
             (P99 {wait_p99:.3}) after the prefill replica's answer",
            self.transfers.len(),
            self.mean_megabytes(),
        )
        .unwrap_or_default();
        let num_failed_loads = self.num_failed_loads();
        if num_failed_loads > 0 {
            let then = match (self.args.kv_load_failure_policy, self.num_ended_by_load()) {
                (KvLoadFailurePolicy::Recompute, _) => "computed instead".to_owned(),
                (KvLoadFailurePolicy::Fail, num) if num == num_failed_loads => {
                    "these requests ended with an error".to_owned()
                }
                (KvLoadFailurePolicy::Fail, num) => format!("{num} of these requests ended with an error for that"),
            };
            writeln!(text, "Failed KV transfers: {num_failed_loads}; {then}").unwrap_or_default();
        }
        let busy = [self.prefill.utilisation(), self.decode.utilisation()].map(|share| 100.0 * share);
        writeln!(text, "Busy in the mean: prefill {:.1}%, decode {:.1}%", busy[0], busy[1]).unwrap_or_default();
        for (name, role) in [("Prefill", &self.prefill), ("Decode", &self.decode)] {
            if let Some(lockstep) = &role.lockstep {
                text.push_str(&format!("{name}: {}", steps(lockstep, &role.replicas, role.num_ranks)));
            }
        }
        if let Some(roles) = self.life.as_deref() {
            text.push_str(&life::text_of_roles(roles, recording, self.gpus_of_replica));
        }
        text
    }
}

fn line(name: &str, replica: &ReplicaResult, busy: f64) -> String {
    format!(
        "{name:<10} {:>8}  {:>13}  {:>13}  {:>5.1}%  {:>6.1}%  {:>6.1}%  {:>10.1}%  {:>11}\n",
        replica.num_requests,
        replica.num_prompt_tokens,
        replica.num_output_tokens,
        100.0 * busy,
        100.0 * replica.mean_kv_cache_usage,
        100.0 * replica.max_kv_cache_usage,
        100.0 * replica.prefix_cache_hit_rate(),
        replica.stats.num_preemptions,
    )
}
