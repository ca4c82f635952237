//! The file of `--replicas-json`: what came of each of several engines, for programs.

use alloc::format;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::result::{EnginesResult, RanksResult, ReplicasResult, RolesResult};
use crate::fleet::disaggregated::result::RoleResult;
use crate::fleet::life::{LifeResult, Phase, Presence, RolesLife};
use crate::fleet::{LockstepResult, ReplicaResult, RouterFigures};
use crate::metrics::latency_summary::LatencySummary;
use crate::metrics::recorder::Recording;

impl EnginesResult {
    /// The file's value. `recording` is of all engines together.
    #[must_use]
    pub fn json(&self, recording: &Recording) -> Value {
        match self {
            Self::Replicas(fleet) => of_replicas(fleet, recording),
            Self::Ranks(ranks) => of_ranks(ranks),
            Self::Roles(roles) => of_roles(roles, recording),
        }
    }
}

/// The file's value where routers are compared.
#[must_use]
pub fn routers_json(compared: &[RouterFigures]) -> Value {
    let of_router = |one: &RouterFigures| {
        json!({
            "router": one.router.name(),
            "latencies": of_latencies(&one.latencies),
            "prefix_cache_hit_rate": one.hit_rate,
            "imbalance": {"requests": one.imbalance[0], "output_tokens": one.imbalance[1]},
            "request_throughput": one.request_throughput,
            "num_failed": one.num_failed,
            "digest": format!("{:016x}", one.digest),
        })
    };
    json!({"routers": compared.iter().map(of_router).collect::<Vec<_>>()})
}

fn of_replicas(fleet: &ReplicasResult, recording: &Recording) -> Value {
    let [requests, prompts, outputs] = fleet.imbalances();
    let mut json = json!({
        "router": fleet.router.name(),
        "imbalance": {"requests": requests, "prompt_tokens": prompts, "output_tokens": outputs},
        "replicas": fleet.replicas.iter().map(of_replica).collect::<Vec<_>>(),
    });
    set_ranks(&mut json, fleet.num_ranks, fleet.lockstep.as_ref(), &fleet.replicas);
    if let Some(life) = &fleet.life {
        set(&mut json, "life", of_life(life, recording, fleet.num_gpus));
    }
    json
}

fn of_ranks(ranks: &RanksResult) -> Value {
    let [requests, prompts, outputs, own] = ranks.imbalances();
    let of_rank = |rank: &ReplicaResult| {
        let mut json = of_replica(rank);
        set(&mut json, "num_dummy_batches", rank.num_dummy_batches.into());
        set(&mut json, "own_share", ranks.own_share(rank).into());
        json
    };
    let of_lockstep = |lockstep: &LockstepResult| {
        json!({
            "num_waves": lockstep.num_waves,
            "num_steps": lockstep.num_steps,
            "step_time_s": lockstep.step_time.as_secs_f64(),
            "mean_own_share": ranks.mean_own_share(lockstep),
        })
    };
    json!({
        "data_parallel_size": ranks.ranks.len(),
        "api_server_count": ranks.num_api_servers,
        "router": ranks.router.map(|router| router.name()),
        "lockstep": ranks.lockstep.as_ref().map(of_lockstep),
        "imbalance": {"requests": requests, "prompt_tokens": prompts, "output_tokens": outputs, "own_time": own},
        "ranks": ranks.ranks.iter().map(of_rank).collect::<Vec<_>>(),
    })
}

fn of_roles(roles: &RolesResult, recording: &Recording) -> Value {
    let of_engine = |(engine, busy): (&ReplicaResult, &f64)| {
        let mut json = of_replica(engine);
        set(&mut json, "utilisation", (*busy).into());
        json
    };
    let of_role = |role: &RoleResult| {
        let mut json = json!({
            "utilisation": role.utilisation(),
            "replicas": role.replicas.iter().zip(&role.utilisations).map(of_engine).collect::<Vec<_>>(),
        });
        set_ranks(&mut json, role.num_ranks, role.lockstep.as_ref(), &role.replicas);
        json
    };
    let ([p50, p99], [wait_p50, wait_p99]) = (roles.transfer_ms(), roles.transfer_wait_ms());
    let mut json = json!({
        "router": roles.router.name(),
        "num_gpus": {"prefill": roles.num_gpus[0], "decode": roles.num_gpus[1]},
        "prefill": of_role(&roles.prefill),
        "decode": of_role(&roles.decode),
        "transfers": {
            "num": roles.transfers.len(),
            "num_failed": roles.num_failed_loads(),
            "mean_megabytes": roles.mean_megabytes(),
            "duration_ms": {"p50": p50, "p99": p99},
            "wait_ms": {"p50": wait_p50, "p99": wait_p99},
        },
    });
    if let Some(RolesLife { life, prefill }) = roles.life.as_deref() {
        let [of_prefill, of_decode] = roles.gpus_of_replica;
        let mut told = of_requests(life, recording);
        set(&mut told, "prefill", of_presence(prefill, of_prefill));
        set(&mut told, "decode", of_presence(&life.presence, of_decode));
        set(&mut json, "life", told);
    }
    json
}

/// Where replicas have several ranks: how many, and what these did together. Engines are those of the first replica, then
/// those of the next.
fn set_ranks(json: &mut Value, num_ranks: u32, lockstep: Option<&LockstepResult>, engines: &[ReplicaResult]) {
    if num_ranks == 1 {
        return;
    }
    set(json, "data_parallel_size", num_ranks.into());
    let Some(lockstep) = lockstep else { return };
    let dummies: Vec<_> = engines.iter().map(|engine| engine.num_dummy_batches).collect();
    let told = json!({
        "num_waves": lockstep.num_waves,
        "num_steps": lockstep.num_steps,
        "step_time_s": lockstep.step_time.as_secs_f64(),
        "num_dummy_batches": dummies,
    });
    set(json, "lockstep", told);
}

fn of_replica(replica: &ReplicaResult) -> Value {
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
}

fn of_life(life: &LifeResult, recording: &Recording, num_gpus: u32) -> Value {
    let (mut json, presence) = (of_requests(life, recording), of_presence(&life.presence, num_gpus));
    for (key, value) in presence.as_object().into_iter().flatten() {
        set(&mut json, key, value.clone());
    }
    json
}

fn of_presence(presence: &Presence, num_gpus: u32) -> Value {
    let phase = |phase: &Phase| {
        json!({
            "from_s": phase.from.as_secs_f64(), "until_s": phase.until.as_secs_f64(),
            "ready": phase.num_ready, "coming": phase.num_coming, "draining": phase.num_draining,
        })
    };
    json!({
        "gpu_hours": presence.gpu_hours(num_gpus),
        "mean_ready": presence.mean_ready(),
        "replicas_over_time": presence.phases.iter().map(phase).collect::<Vec<_>>(),
    })
}

fn of_requests(life: &LifeResult, recording: &Recording) -> Value {
    let [touched, others] = life.latencies(recording);
    json!({
        "num_losses": life.num_losses,
        "num_retries": life.num_retries,
        "num_migrations": life.num_migrations,
        "num_failed": life.failed.len(),
        "num_tokens_of_failed": life.num_tokens_of_failed(recording),
        "failed": life.failed.iter().map(|id| id.0).collect::<Vec<_>>(),
        "touched": of_latencies(&touched),
        "others": of_latencies(&others),
    })
}

fn of_latencies(of: &LatencySummary) -> Value {
    let [ttft, tpot, e2el] = [of.ttft, of.tpot, of.e2el].map(|[p50, p99]| json!({"p50_s": p50, "p99_s": p99}));
    json!({"num_requests": of.num_requests, "ttft": ttft, "tpot": tpot, "e2el": e2el})
}

fn set(json: &mut Value, key: &str, value: Value) {
    if let Some(fields) = json.as_object_mut() {
        fields.insert(key.into(), value);
    }
}
