//! What a profile of this engine is: not one of vLLM's, and it says so.

use sim_core::profile::Profile;
use sim_core::profile::schema::{ProvenanceKind, Source};

use super::device::History;
use crate::import::host_terms;

/// Makes a measured profile one that claims no more than it is: kind `derived`, the operators named as what they are,
/// host and front end replaced by labelled estimates.
pub(crate) fn relabel(profile: &mut Profile, history: &History, versions: &[(String, String)]) {
    let provenance = &mut profile.provenance;
    provenance.kind = ProvenanceKind::Derived;
    let source = |name: &str, version: &str, licence: &str, url: &str| {
        let [name, version, licence, url] = [name, version, licence, url].map(str::to_owned);
        Source { name, version, licence, url }
    };
    let cublas = versions.iter().find(|(name, _)| name == "cuBLASLt").map_or("unknown", |(_, version)| version);
    provenance.sources = vec![
        source("profiler's own CUDA kernels", env!("CARGO_PKG_VERSION"), "Apache-2.0", "profiler/src/cuda/kernels"),
        source("cuBLASLt", cublas, "LicenseRef-NVIDIA-CUDA", "https://docs.nvidia.com/cuda/cublas/"),
    ];
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
    notes.extend(history.notes());
    notes.append(&mut provenance.notes);
    provenance.notes = notes;
    (profile.host, profile.front_end) = host_terms::rule();
}
