//! What a reader must know of a composed profile.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::attention::Attention;
use super::layers::{Layers, Parts};
use super::mixed;
use crate::models::shape::Mlp;
use crate::operators::gpu::Links;
use crate::operators::sustained;
use crate::profile::schema::MixedBatch;

/// The notes, in the order of their weight.
pub(super) fn notes(
    parts: &Parts<'_>,
    layers: &Layers,
    attention: &Attention,
    mixed_batch: Option<&MixedBatch>,
) -> Vec<String> {
    let pack = parts.pack;
    let mut notes = vec![
        "No whole pass was measured: times are sums of operators measured one by one, without sampling.".to_owned(),
        sustained::note(pack),
        format!(
            "The operators were measured under vLLM {}; scheduling follows the version that a run names.",
            pack.provenance.vllm_version
        ),
        "Norms, activations and the embedding are the source's formula, bytes / (0.8 × memory bandwidth) + 3 us each, \
         not measurements. So is attention over earlier tokens: a whole prompt's time by the share of its work, raised to \
         lower bounds that must hold."
            .to_owned(),
        "What was changed in the operators' times to make them grow with their work stands in the notes of the pack.".to_owned(),
    ];
    if !layers.carried.is_empty() {
        notes.push(format!(
            "Matrix shapes that were not measured have the utilisation of the nearest four that were: {}.",
            layers.carried.join(", ")
        ));
    }
    if attention.distance > 1e-9 {
        notes.push(format!(
            "The heads of attention were not measured: theirs is {:.2} octaves from the nearest that were.",
            attention.distance
        ));
    }
    if attention.has_state_formula {
        notes.push("Layers with states were not measured: what they move and compute, at usual rates.".to_owned());
    }
    if let Some(carried) = &layers.experts_carried {
        notes.push(format!("The experts were not measured in this shape: theirs is {carried}."));
    }
    ranks(parts, &mut notes);
    notes.push(mixed::note(mixed_batch));
    notes.push("Host and front-end costs and part of the memory are estimates, labelled as such.".to_owned());
    notes
}

fn ranks(parts: &Parts<'_>, notes: &mut Vec<String>) {
    let ranks = parts.ranks;
    if ranks.all() > 1 && parts.pack.gpu.links == Links::Pcie {
        notes.push(
            "These GPUs are linked by PCI Express, and what an all-reduce takes depends on the host; here it is as on the \
             source's. On two RTX PRO 6000 of another host, Qwen3-32B took 12 % more time per output token than predicted."
                .to_owned(),
        );
    }
    if ranks.tensor > 1 {
        notes.push(
            "All-reduces were measured inside CUDA graphs and count as such in every pass; gathering the logits is not \
             counted."
                .to_owned(),
        );
    }
    if ranks.data > 1 {
        notes.push(format!(
            "This is one of {} engines that share the experts: each is taken to have as many tokens in a pass as the \
             others, and waits for none.",
            ranks.data
        ));
    }
    let experts = parts.shape.layers.iter().find_map(|run| match run.layer.mlp {
        Mlp::Experts(experts) => Some(experts),
        _ => None,
    });
    if let Some(experts) = experts {
        let how = if ranks.shares_experts { "shared out among" } else { "sliced over" };
        notes.push(format!(
            "{} experts of width {}, {} for each token, {how} {} ranks; tokens fall on them as in the source's \
             distribution {}.",
            experts.num_experts,
            experts.intermediate_size,
            experts.num_experts_per_tok,
            ranks.of_experts(),
            parts.setup.routing.variant()
        ));
    }
}
