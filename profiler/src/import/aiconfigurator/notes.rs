//! What a reader must know of a profile that was composed here.

use sim_core::profile::schema::MixedBatch;

use super::layer::Layer;
use super::mixed;
use super::{Dtype, Options};
use crate::import::gpus::Gpu;
use crate::import::version::Version;

/// The notes, in the order of their weight.
pub(super) fn notes(
    options: &Options,
    [engine, tables]: [&Version; 2],
    gpu: &Gpu,
    layer: &Layer,
    mixed_batch: Option<&MixedBatch>,
) -> Vec<String> {
    let mut notes = vec![
        "No whole pass was measured: times are sums of operators measured one by one, \
         without sustained-load throttling, and without sampling."
            .to_owned(),
        if engine == tables {
            format!("The operators were measured under vLLM {tables}; scheduling follows the version that a run names.")
        } else {
            format!(
                "The profile is for vLLM {engine}, of which the source has no tables: the operators were measured under \
                 vLLM {tables}. Scheduling follows the version that a run names."
            )
        },
        "Norms, activations and the embedding are the source's formula, bytes / (0.8 × memory bandwidth) + 3 us each, \
         not measurements. So is attention over earlier tokens: a whole prompt's times (s² − p²) / s², raised to lower \
         bounds that must hold."
            .to_owned(),
    ];
    if !layer.transferred.is_empty() {
        let shapes: Vec<String> = layer
            .transferred
            .iter()
            .map(|((n, k), octaves)| format!("{n} × {k} ({octaves:.2} octaves from the nearest that was)"))
            .collect();
        notes.push(format!(
            "Matrix shapes that were not measured have the utilisation of the nearest four that were: {}.",
            shapes.join(", ")
        ));
    }
    notes.push(
        "Attention of a prompt part holds the source's constant for rotary embedding and cache writes (and norms of \
         queries and keys), whatever the number of tokens; decodes have none."
            .to_owned(),
    );
    if options.tensor_parallel_size > 1 && !gpu.has_nvlink {
        notes.push(
            "These devices are linked by PCI Express, and what an all-reduce takes depends on the host; here it is as on \
             the source's. On two RTX PRO 6000 of another host, Qwen3-32B took 12 % more time per output token than \
             predicted."
                .to_owned(),
        );
    }
    if options.tensor_parallel_size > 1 {
        notes.push(
            "All-reduces were measured inside CUDA graphs and count as such in every pass; gathering the logits is not \
             counted."
                .to_owned(),
        );
    }
    if let Some(experts) = options.config.experts {
        notes.push(format!(
            "{} experts of width {}, {} for each token, spread over {} ranks; tokens fall on them as in the source's \
             distribution {}. No expert model composed this way was compared with a running engine.",
            experts.num_experts,
            experts.moe_intermediate_size,
            experts.num_experts_per_tok,
            options.expert_parallel_size,
            options.moe_distribution.name()
        ));
    }
    if options.dtype != Dtype::Bfloat16 {
        notes.push(format!("Matrices are {}; the logits, norms and activations are bfloat16.", options.dtype.name()));
    }
    notes.push(mixed::note(mixed_batch));
    notes.push("Host and front-end costs and part of the memory are estimates, labelled as such.".to_owned());
    notes
}
