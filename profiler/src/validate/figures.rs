//! What each figure of memory, host and front end rests on.

use serde::Serialize;
use sim_core::profile::Profile;
use sim_core::profile::schema::{Basis, Bytes, Cost};

/// A figure that is no table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// Where it stands in the file.
    pub(crate) field: &'static str,
    pub(crate) value: f64,
    /// `us` or `bytes`.
    pub(crate) unit: &'static str,
    pub(crate) basis: Basis,
    pub(crate) reason: String,
}

/// All of them, in file order.
pub(super) fn figures(profile: &Profile) -> Vec<Figure> {
    let (memory, host, front_end) = (&profile.memory, &profile.host, &profile.front_end);
    let amounts = [
        ("hardware.total_memory", &profile.hardware.total_memory),
        ("memory.weights", &memory.weights),
        ("memory.other_resident", &memory.other_resident),
        ("memory.activation_peak", &memory.activation_peak),
        ("memory.cuda_graphs", &memory.cuda_graphs),
        ("memory.kv_cache_per_token", &memory.kv_cache_per_token),
    ];
    let costs = [
        ("host.schedule.per_pass", &host.schedule.per_pass),
        ("host.schedule.per_request", &host.schedule.per_request),
        ("host.update.per_pass", &host.update.per_pass),
        ("host.update.per_request", &host.update.per_request),
        ("host.between_passes.per_pass", &host.between_passes.per_pass),
        ("host.between_passes.per_request", &host.between_passes.per_request),
        ("front_end.request_latency.per_request", &front_end.request_latency.per_request),
        ("front_end.request_latency.per_prompt_token", &front_end.request_latency.per_prompt_token),
        ("front_end.output_latency.per_pass", &front_end.output_latency.per_pass),
        ("front_end.output_latency.per_token", &front_end.output_latency.per_token),
    ];
    let amount = |(field, bytes): (&'static str, &Bytes)| Figure {
        field,
        value: bytes.bytes as f64,
        unit: "bytes",
        basis: bytes.basis,
        reason: bytes.reason.clone(),
    };
    let cost = |(field, cost): (&'static str, &Cost)| Figure {
        field,
        value: cost.time_us,
        unit: "us",
        basis: cost.basis,
        reason: cost.reason.clone(),
    };
    amounts.into_iter().map(amount).chain(costs.into_iter().map(cost)).collect()
}

impl Figure {
    /// As the file has it.
    pub(super) const fn basis_name(&self) -> &'static str {
        match self.basis {
            Basis::Measured => "measured",
            Basis::Derived => "derived",
            Basis::Estimate => "estimate",
        }
    }
}
