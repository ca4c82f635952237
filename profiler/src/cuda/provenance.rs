//! What a profile of this engine is: not one of vLLM's, and it says so.

use sim_core::profile::Profile;
use sim_core::profile::schema::{Engine, ProvenanceKind, Source};

use super::device::History;
use sim_core::compose::host;

/// Makes a measured profile one that claims no more than it is: kind `derived`, the operators named as what they are,
/// host and front end replaced by labelled estimates.
pub(crate) fn relabel(profile: &mut Profile, history: &History, versions: &[(String, String)]) {
    let provenance = &mut profile.provenance;
    provenance.kind = ProvenanceKind::Derived;
    provenance.sources = sources(versions);
    let mut notes = vec![
        "No vLLM ran. Whole passes of profiler's own operators were timed on this device with random weights and random \
         places in the KV cache: matrix products by cuBLASLt, attention and everything else by kernels of profiler's, \
         which may be slower or faster than those of vLLM. Scheduling follows the vLLM version that is named."
            .to_owned(),
        "Host and front-end times are estimates by rule, labelled as such; none was measured.".to_owned(),
        "Every pass was captured as one CUDA graph and replayed, with --enforce-eager launched operator by operator; \
         vLLM launches attention of passes with prompt parts between pieces of graphs. Passes on the way to a \
         measured one were not executed."
            .to_owned(),
    ];
    notes.extend(notes_on_fp8(&profile.engine));
    notes.extend(note_on_ranks(&profile.engine));
    notes.extend(history.notes());
    notes.append(&mut provenance.notes);
    provenance.notes = notes;
    (profile.host, profile.front_end) = host::rule(&profile.hardware);
}

/// What the engine's operators come from, by the versions of the programs that take part.
pub(crate) fn sources(versions: &[(String, String)]) -> Vec<Source> {
    let source = |name: &str, version: &str, licence: &str, url: &str| {
        let [name, version, licence, url] = [name, version, licence, url].map(str::to_owned);
        Source { name, version, licence, url }
    };
    let cublas = versions.iter().find(|(name, _)| name == "cuBLASLt").map_or("unknown", |(_, version)| version);
    vec![
        source("profiler's own CUDA kernels", env!("CARGO_PKG_VERSION"), "Apache-2.0", "profiler/src/cuda/kernels"),
        source("cuBLASLt", cublas, "LicenseRef-NVIDIA-CUDA", "https://docs.nvidia.com/cuda/cublas/"),
    ]
}

/// What 8 bits are for, and where that is not what vLLM does.
fn notes_on_fp8(engine: &Engine) -> Vec<String> {
    let mut notes = vec![];
    if engine.quantization.is_some() {
        notes.push(
            "The layers' products are of e4m3, with a scale for each matrix and one for each token. Rows are quantised in \
             the kernels of norm and activation and in one of its own after attention, as in vLLM's compiled model. The \
             products are cuBLASLt's with fast accumulation, where vLLM has CUTLASS's or FlashInfer's; a token's scale is \
             applied by the operator that reads the product."
                .to_owned(),
        );
    }
    if engine.kv_cache_dtype != "auto" {
        notes.push(
            "Keys and values are kept in e4m3 with the scale 1 and multiplied in 16 bits; FlashAttention in vLLM \
             quantises queries as well and multiplies in 8 bits where the device can."
                .to_owned(),
        );
    }
    notes
}

/// What the collectives of several ranks are, and what they are not.
fn note_on_ranks(engine: &Engine) -> Option<String> {
    let num_ranks = engine.tensor_parallel_size;
    (num_ranks > 1).then(|| {
        format!(
            "One device had one of {num_ranks} ranks' part of every operator; no pass ran on {num_ranks} devices. \
             All-reduces (one after the embedding, two in each layer) and the gathering of logits were timed apart from \
             it, by NCCL between {num_ranks} devices one after the other, and added to each pass by their number and \
             size. vLLM sums small messages by a custom all-reduce where the devices are linked, and may fuse it with the \
             norm, so that NCCL's time is an upper bound; that ranks wait for each other is not in it."
        )
    })
}
