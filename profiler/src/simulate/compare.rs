//! `--compare-routers`: the same requests by several routers, one line for each.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use sim_core::config::EngineConfig;
use sim_core::fleet::RouterFigures;
use sim_core::fleet::life::LifeSettings;
use sim_core::fleet::router::Policy;
use sim_core::metrics::latency_summary::LatencySummary;
use sim_core::profile::StepTimeModel;
use sim_core::scenario::{FleetArgs, Ranks};
use sim_core::workload::Workload;

use super::fleet::run_fleet;
use super::report_flags::ReportFlags;

/// The routers of a list, or `all`.
///
/// # Errors
/// For a name that no router has, and for one that is there twice.
pub(crate) fn routers(text: &str) -> Result<Vec<Policy>> {
    if text == "all" {
        return Ok(Policy::ALL.to_vec());
    }
    let mut routers = Vec::new();
    for name in text.split(',') {
        let router = Policy::from_name(name.trim()).with_context(|| format!("--compare-routers {name:?}"))?;
        ensure!(!routers.contains(&router), "--compare-routers: {name} is there twice");
        routers.push(router);
    }
    Ok(routers)
}

/// Refuses what is told of one run only.
///
/// # Errors
/// Which flag that is.
pub(crate) fn check_flags(flags: &ReportFlags) -> Result<()> {
    let of_one = [
        ("--save-result", flags.saves_result()),
        ("--per-request-csv", flags.per_request_csv.is_some()),
        ("--require-goodput", flags.require_goodput.is_some()),
    ];
    for (flag, is_given) in of_one {
        ensure!(!is_given, "{flag} is of one run; leave it out with --compare-routers");
    }
    Ok(())
}

/// Runs the workload with each of `routers`.
///
/// # Errors
/// If the simulator refuses it.
pub(crate) fn compare(
    routers: &[Policy],
    (args, life, ranks): (&FleetArgs, &LifeSettings, Ranks),
    of_run: (&Workload, &EngineConfig, &StepTimeModel),
    seed: u64,
    flags: &ReportFlags,
) -> Result<Vec<RouterFigures>> {
    let run = |&router: &Policy| {
        let args = FleetArgs { router, ..*args };
        Ok(RouterFigures::new(router, &run_fleet((&args, life, ranks), of_run, seed, flags)?))
    };
    routers.iter().map(run).collect()
}

/// A line for each router, in the order that was asked for; latencies in milliseconds.
pub(crate) fn table(compared: &[RouterFigures]) -> String {
    let mut text = "router            finished  failed   TTFT P50       P99  TPOT P50     P99   E2EL P50       P99  \
                    prefix hits  most/mean: requests  tokens\n"
        .to_owned();
    for one in compared {
        let LatencySummary { num_requests, ttft, tpot, e2el } = &one.latencies;
        let [ttft, tpot, e2el] = [ttft, tpot, e2el].map(|seconds| seconds.map(|seconds| 1e3 * seconds));
        // Writing to a String cannot fail.
        writeln!(
            text,
            "{:<16}  {num_requests:>8}  {:>6}  {:>9.1} {:>9.1} {:>9.2} {:>7.2}  {:>9.1} {:>9.1}  {:>10.1}%  {:>19.3}  {:>6.3}",
            one.router.name(),
            one.num_failed,
            ttft[0],
            ttft[1],
            tpot[0],
            tpot[1],
            e2el[0],
            e2el[1],
            100.0 * one.hit_rate,
            one.imbalance[0],
            one.imbalance[1],
        )
        .unwrap_or_default();
    }
    text
}
