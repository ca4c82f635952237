//! What came of several engines, beside what came of all together.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::fleet::disaggregated::result::{RoleResult, TransferRecord};
use crate::fleet::life::{LifeResult, RolesLife};
use crate::fleet::router::Policy;
use crate::fleet::{LockstepResult, ReplicaResult, imbalance};
use crate::math;
use crate::metrics::latency_summary::middle_and_tail;
use crate::scenario::DisaggregationArgs;
use crate::sched::connector::interface::KvLoadFailurePolicy;
use crate::time::SimDuration;

/// What came of the engines of [`Engines`](super::Engines).
#[derive(Debug)]
pub enum EnginesResult {
    /// Replicas behind a router.
    Replicas(ReplicasResult),
    /// Data-parallel ranks.
    Ranks(RanksResult),
    /// Prefill and decode on replicas of their own.
    Roles(RolesResult),
}

/// What came of replicas behind a router.
#[derive(Debug)]
pub struct ReplicasResult {
    /// The router.
    pub router: Policy,
    /// Of each engine: those of the first replica, then those of the next.
    pub replicas: Vec<ReplicaResult>,
    /// Engines of each replica: its data-parallel ranks.
    pub num_ranks: u32,
    /// What ranks did together, the sums over all replicas; `None` if they are independent of each other.
    pub lockstep: Option<LockstepResult>,
    /// GPUs of each replica.
    pub num_gpus: u32,
    /// What happened to them, where something could.
    pub life: Option<LifeResult>,
}

/// What came of data-parallel ranks.
#[derive(Debug)]
pub struct RanksResult {
    /// Of each.
    pub ranks: Vec<ReplicaResult>,
    /// What they did together; `None` if they are independent of each other.
    pub lockstep: Option<LockstepResult>,
    /// API servers: of all together, or behind a router of each.
    pub num_api_servers: u32,
    /// The router outside; `None` for vLLM's own balancer.
    pub router: Option<Policy>,
    /// From the first request to the last answer, and what ranks in lockstep do until they pause.
    pub end: SimDuration,
}

/// What came of prefill and decode on replicas of their own.
#[derive(Debug)]
pub struct RolesResult {
    /// How many of each, and what is between them.
    pub args: DisaggregationArgs,
    /// The router of either.
    pub router: Policy,
    /// Devices of an engine of either role: prefill, decode.
    pub num_devices: [u32; 2],
    /// GPUs of all engines of either role.
    pub num_gpus: [u32; 2],
    /// GPUs of a replica of either role.
    pub gpus_of_replica: [u32; 2],
    /// Who computed prompts.
    pub prefill: RoleResult,
    /// Who answered.
    pub decode: RoleResult,
    /// Of blocks between them.
    pub transfers: Vec<TransferRecord>,
    /// What happened to replicas, where something could.
    pub life: Option<Box<RolesLife>>,
}

impl EnginesResult {
    /// Engines whose devices the whole's passes ran on.
    #[must_use]
    pub const fn num_at_work(&self) -> usize {
        match self {
            Self::Replicas(fleet) => fleet.replicas.len(),
            Self::Ranks(ranks) => ranks.ranks.len(),
            Self::Roles(roles) => roles.decode.replicas.len(),
        }
    }

    /// GPUs that are paid for from the first request to the last answer, where an engine has so many; `None` if they come
    /// and go. Those of either role are theirs.
    #[must_use]
    pub fn num_paid(&self, num_gpus_of_engine: u32) -> Option<u32> {
        match self {
            Self::Replicas(ReplicasResult { life: Some(_), .. }) | Self::Roles(RolesResult { life: Some(_), .. }) => {
                None
            }
            Self::Replicas(_) | Self::Ranks(_) => Some(math::usize_to_u32(self.num_at_work()) * num_gpus_of_engine),
            Self::Roles(roles) => Some(roles.num_gpus.iter().sum()),
        }
    }

    /// Requests that failed with their engine.
    #[must_use]
    pub fn num_failed(&self) -> usize {
        match self {
            Self::Replicas(fleet) => fleet.life.as_ref().map_or(0, |life| life.failed.len()),
            Self::Ranks(_) => 0,
            Self::Roles(roles) => roles.num_failed(),
        }
    }
}

/// How uneven engines are: the most of any over the mean, of requests, of prompt tokens and of output tokens.
#[must_use]
pub fn imbalances(replicas: &[ReplicaResult]) -> [f64; 3] {
    let of = |quantity: fn(&ReplicaResult) -> u64| imbalance(replicas.iter().map(quantity));
    [of(|one| one.num_requests), of(|one| one.num_prompt_tokens), of(|one| one.num_output_tokens)]
}

impl ReplicasResult {
    /// How uneven they are: the most of any over the mean, of requests, of prompt tokens and of output tokens.
    #[must_use]
    pub fn imbalances(&self) -> [f64; 3] {
        imbalances(&self.replicas)
    }
}

impl RanksResult {
    /// Share of the run that a rank's own passes take, if nobody waits for others.
    #[must_use]
    pub fn own_share(&self, rank: &ReplicaResult) -> f64 {
        share(rank.device_time.as_secs_f64(), self.end.as_secs_f64())
    }

    /// Share of the time of all steps that ranks' own passes would have taken, in the mean over ranks.
    #[must_use]
    pub fn mean_own_share(&self, lockstep: &LockstepResult) -> f64 {
        let own: f64 = self.ranks.iter().map(|rank| rank.device_time.as_secs_f64()).sum();
        share(own, lockstep.step_time.as_secs_f64() * math::usize_to_f64(self.ranks.len()))
    }

    /// How uneven they are: the most of any over the mean, of requests, of prompt tokens, of output tokens and of the time of
    /// their own passes.
    #[must_use]
    pub fn imbalances(&self) -> [f64; 4] {
        let [requests, prompts, outputs] = imbalances(&self.ranks);
        let own = imbalance(self.ranks.iter().map(|rank| rank.device_time.as_nanos()));
        [requests, prompts, outputs, own]
    }
}

impl RolesResult {
    /// Requests that were not answered: their KV was not loaded, or they failed with a replica.
    #[must_use]
    pub fn num_failed(&self) -> usize {
        let with_replica = self.life.as_ref().map_or(0, |life| life.life.failed.len());
        with_replica + self.num_ended_by_load()
    }

    /// Requests that ended because their KV was not loaded, though there was a replica that had it.
    #[must_use]
    pub fn num_ended_by_load(&self) -> usize {
        let is_end = |transfer: &&TransferRecord| transfer.has_failed && !transfer.is_lost;
        match self.args.kv_load_failure_policy {
            KvLoadFailurePolicy::Fail => self.transfers.iter().filter(is_end).count(),
            KvLoadFailurePolicy::Recompute => 0,
        }
    }

    /// Transfers after which nothing had come.
    #[must_use]
    pub fn num_failed_loads(&self) -> usize {
        self.transfers.iter().filter(|transfer| transfer.has_failed).count()
    }

    /// What a transfer has in the mean, in 10^6 bytes.
    #[must_use]
    pub fn mean_megabytes(&self) -> f64 {
        let bytes: u64 = self.transfers.iter().map(|transfer| transfer.num_bytes).sum();
        math::u64_to_f64(bytes) / 1e6 / math::usize_to_f64(self.transfers.len().max(1))
    }

    /// P50 and P99 of how long transfers took, in milliseconds.
    #[must_use]
    pub fn transfer_ms(&self) -> [f64; 2] {
        self.middle_and_tail(TransferRecord::duration)
    }

    /// P50 and P99 of how long requests waited for their transfer to begin, in milliseconds.
    #[must_use]
    pub fn transfer_wait_ms(&self) -> [f64; 2] {
        self.middle_and_tail(TransferRecord::wait)
    }

    fn middle_and_tail(&self, span: fn(&TransferRecord) -> SimDuration) -> [f64; 2] {
        middle_and_tail(self.transfers.iter().map(|transfer| span(transfer).as_millis_f64()).collect())
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
