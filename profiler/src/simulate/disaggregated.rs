//! A simulated run with prefill and decode on engines of their own, and what is told of either side and between.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Value, json};
use sim_core::config::EngineConfig;
use sim_core::fleet::ReplicaResult;
use sim_core::fleet::disaggregated::result::{DisaggregatedResult, RoleResult, TransferRecord};
use sim_core::fleet::disaggregated::settings::{Disaggregated, KvBlock, prefill_workload};
use sim_core::fleet::disaggregated::simulation::DisaggregatedSimulation;
use sim_core::fleet::simulation::Replica;
use sim_core::metrics::distribution::{Distribution, Percentile};
use sim_core::profile::StepTimeModel;
use sim_core::scenario::{DisaggregationArgs, FleetArgs};
use sim_core::sched::connector::interface::KvLoadFailurePolicy;
use sim_core::simulation_result::{SimulationOptions, SimulationResult};
use sim_core::workload::Workload;

use super::report_flags::ReportFlags;
use super::run::bar;

/// Events between two looks at the clock.
const EVENTS_PER_TICK: u32 = 20_000;

/// What a run had between and beside what clients saw.
#[derive(Debug)]
pub(crate) struct Roles {
    args: DisaggregationArgs,
    router: &'static str,
    num_devices: u32,
    prefill: RoleResult,
    decode: RoleResult,
    transfers: Vec<TransferRecord>,
}

/// Runs `workload` to its end on the engines of `args`, each of so many devices.
///
/// # Errors
/// If the simulator refuses it.
pub(crate) fn run_disaggregated(
    (args, fleet, seed): (&DisaggregationArgs, &FleetArgs, u64),
    (workload, config, step_time): (&Workload, &EngineConfig, &StepTimeModel),
    num_devices: u32,
    flags: &ReportFlags,
) -> Result<(SimulationResult, Roles)> {
    let prefill_side = prefill_workload(workload);
    let replicas = vec![Replica { config, step_time }; args.prefill_replicas.max(args.decode_replicas) as usize];
    let setup = Disaggregated {
        prefill: &replicas[..args.prefill_replicas as usize],
        decode: &replicas[..args.decode_replicas as usize],
        router: fleet.router_settings(seed),
        costs: args.costs(num_devices),
        block: KvBlock::of(config, num_devices),
        kv_load_failure_policy: args.kv_load_failure_policy,
        failure_rate: args.failure_rate,
        seed,
    };
    let options = SimulationOptions { record_emissions: flags.save_detailed };
    let mut run = DisaggregatedSimulation::new((workload, &prefill_side), setup, options)?;
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
    let DisaggregatedResult { whole, prefill, decode, transfers } = run.finish();
    Ok((whole, Roles { args: *args, router: fleet.router.name(), num_devices, prefill, decode, transfers }))
}

impl Roles {
    /// Requests whose KV was not loaded, and that were not answered for it.
    pub(crate) fn num_failed(&self) -> usize {
        match self.args.kv_load_failure_policy {
            KvLoadFailurePolicy::Fail => self.num_failed_loads(),
            KvLoadFailurePolicy::Recompute => 0,
        }
    }

    /// Engines of both roles.
    pub(crate) const fn num_replicas(&self) -> u32 {
        self.args.prefill_replicas + self.args.decode_replicas
    }

    /// Engines that clients hear from.
    pub(crate) fn num_decode(&self) -> usize {
        self.decode.replicas.len()
    }

    fn num_failed_loads(&self) -> usize {
        self.transfers.iter().filter(|transfer| transfer.has_failed).count()
    }

    /// A line for each engine, and what was transferred.
    pub(crate) fn text(&self) -> String {
        let DisaggregationArgs { prefill_replicas, decode_replicas, bandwidth_gb_s, .. } = self.args;
        let mut text = format!(
            "{prefill_replicas} prefill and {decode_replicas} decode replicas behind the router {}, {} GB/s between them:\n",
            self.router,
            bandwidth_gb_s * f64::from(self.num_devices),
        );
        text.push_str(
            "replica    requests  prompt tokens  output tokens    busy  KV mean  KV peak  prefix hits  preemptions\n",
        );
        for (name, role) in [("prefill", &self.prefill), ("decode", &self.decode)] {
            for (number, (replica, busy)) in role.replicas.iter().zip(&role.utilisations).enumerate() {
                text.push_str(&line(&format!("{name} {number}"), replica, *busy));
            }
        }
        let [p50, p99] = percentiles(self.transfers.iter().map(|transfer| transfer.duration().as_millis_f64()));
        let [wait_p50, wait_p99] = percentiles(self.transfers.iter().map(|transfer| transfer.wait().as_millis_f64()));
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
            let then = if self.num_failed() > 0 { "these requests ended with an error" } else { "computed instead" };
            writeln!(text, "Failed KV transfers: {num_failed_loads}; {then}").unwrap_or_default();
        }
        let busy = [self.prefill.utilisation(), self.decode.utilisation()].map(|share| 100.0 * share);
        writeln!(text, "Busy in the mean: prefill {:.1}%, decode {:.1}%", busy[0], busy[1]).unwrap_or_default();
        text
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let role = |role: &RoleResult| {
            let replicas = role.replicas.iter().zip(&role.utilisations);
            json!({
                "utilisation": role.utilisation(),
                "replicas": replicas.map(|(replica, busy)| of_replica(replica, *busy)).collect::<Vec<_>>(),
            })
        };
        let [p50, p99] = percentiles(self.transfers.iter().map(|transfer| transfer.duration().as_millis_f64()));
        let [wait_p50, wait_p99] = percentiles(self.transfers.iter().map(|transfer| transfer.wait().as_millis_f64()));
        json!({
            "router": self.router,
            "prefill": role(&self.prefill),
            "decode": role(&self.decode),
            "transfers": {
                "num": self.transfers.len(),
                "num_failed": self.num_failed_loads(),
                "mean_megabytes": self.mean_megabytes(),
                "duration_ms": {"p50": p50, "p99": p99},
                "wait_ms": {"p50": wait_p50, "p99": wait_p99},
            },
        })
    }

    fn mean_megabytes(&self) -> f64 {
        let bytes: u64 = self.transfers.iter().map(|transfer| transfer.num_bytes).sum();
        bytes as f64 / 1e6 / self.transfers.len().max(1) as f64
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

fn of_replica(replica: &ReplicaResult, busy: f64) -> Value {
    json!({
        "num_requests": replica.num_requests,
        "num_prompt_tokens": replica.num_prompt_tokens,
        "num_output_tokens": replica.num_output_tokens,
        "num_passes": replica.num_passes,
        "utilisation": busy,
        "mean_kv_cache_usage": replica.mean_kv_cache_usage,
        "max_kv_cache_usage": replica.max_kv_cache_usage,
        "prefix_cache_hit_rate": replica.prefix_cache_hit_rate(),
        "num_preemptions": replica.stats.num_preemptions,
    })
}

/// The 50th and the 99th percentile of spans; 0 of none.
fn percentiles(spans: impl Iterator<Item = f64>) -> [f64; 2] {
    let spans = Distribution::from_samples(spans.collect());
    [50.0, 99.0].map(|percent| Percentile::new(percent).map_or(0.0, |percentile| spans.percentile(percentile)))
}
