//! A fleet whose prompts are computed by some engines and whose answers by others: what it is made of.

use super::super::dispatch::Dispatch;
use super::super::simulation::Replica;
use super::transfer::TransferCosts;
use crate::config::EngineConfig;
use crate::kv_cache::spec::LayerKind;
use crate::math;
use crate::sched::connector::interface::KvLoadFailurePolicy;
use crate::time::SimDuration;
use crate::workload::Workload;

#[cfg(doc)]
use super::simulation::DisaggregatedSimulation;

/// The engines of either role, and what is between them.
#[derive(Debug, Clone, Copy)]
pub struct Disaggregated<'a> {
    /// Engines that compute prompts (`do_remote_decode`), at least one.
    pub prefill: Role<'a>,
    /// Engines that load them and go on (`do_remote_prefill`), at least one.
    pub decode: Role<'a>,
    /// How long transfers take.
    pub costs: TransferCosts,
    /// What a block of a decode engine is, on its way.
    pub block: KvBlock,
    /// What becomes of a request whose load failed.
    pub kv_load_failure_policy: KvLoadFailurePolicy,
    /// Share of the loads that fail, at the moment at which they would have ended.
    pub failure_rate: f64,
    /// Of what is drawn.
    pub seed: u64,
}

/// A role's engines.
#[derive(Debug, Clone, Copy)]
pub struct Role<'a> {
    /// All of them: those of the first replica, then those of the next.
    pub engines: &'a [Replica<'a>],
    /// By which the proxy chooses of them, and what there is behind an address. vLLM's own proxy
    /// (`tests/v1/kv_connector/nixl_integration/toy_proxy_server.py`) takes turns.
    pub dispatch: Dispatch,
}

/// A block of an engine, as it is transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvBlock {
    /// Bytes over all layers and devices.
    pub num_bytes: u64,
    /// Pieces of memory that it lies in on one device.
    pub num_descriptors: u64,
}

impl KvBlock {
    /// A block of `config` on so many devices. A layer's keys and values lie apart, a latent vector lies alone.
    #[must_use]
    pub fn of(config: &EngineConfig, num_devices: u32) -> Self {
        let num_pieces = |kind: &LayerKind| if *kind == LayerKind::Mla { 1 } else { 2 };
        let groups = config.kv_cache.groups.iter();
        let descriptors = groups.map(|group| math::usize_to_u64(group.layers.len()) * num_pieces(&group.spec.kind));
        Self {
            num_bytes: config.kv_cache.bytes_per_block().saturating_mul(u64::from(num_devices)),
            num_descriptors: descriptors.sum(),
        }
    }
}

/// How long blocks are kept for whoever is to read them (`kv_lease_duration`).
pub(super) const LEASE: SimDuration = SimDuration::from_nanos(30_000_000_000);
/// How much longer a heartbeat of the reader makes that (`_lease_extension`).
pub(super) const LEASE_EXTENSION: SimDuration = SimDuration::from_nanos(20_000_000_000);
/// How often a reader tells that it still wants them (`_heartbeat_interval`).
pub(super) const HEARTBEAT_INTERVAL: SimDuration = SimDuration::from_nanos(5_000_000_000);

/// What engines that compute prompts are asked: the same prompts, and one token of each (`max_tokens` 1). It has to
/// outlive the [`DisaggregatedSimulation`].
#[must_use]
pub fn prefill_workload(workload: &Workload) -> Workload {
    let Workload { requests, traffic, earlier } = workload.clone();
    Workload { requests: requests.with_first_tokens(), traffic, earlier }
}
