//! What a profile of this engine is: not one of vLLM's, and it says so.

use sim_core::profile::Profile;
use sim_core::profile::schema::{
    Basis, Cost, FrontEnd, Host, OutputLatency, PassCost, ProvenanceKind, RequestLatency, Source,
};

use super::device::History;

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
        source("profiler's own CUDA kernels", env!("CARGO_PKG_VERSION"), "Apache-2.0", "profiler/src/cuda/kernels.cu"),
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
    profile.host = host();
    profile.front_end = front_end();
}

fn judged(time_us: f64, reason: &str) -> Cost {
    Cost { time_us, basis: Basis::Estimate, reason: reason.to_owned() }
}

fn host() -> Host {
    let of_processor = "vLLM 0.32.0 on one core of an AMD EPYC server without a GPU took about as long per decoding \
                        request; another processor differs.";
    Host {
        schedule: PassCost {
            per_pass: judged(
                400.0,
                "Judged: building and copying the inputs and launching a pass, a few tenths of a millisecond.",
            ),
            per_request: judged(8.5, of_processor),
        },
        update: PassCost {
            per_pass: judged(150.0, "Judged: copying the sampled tokens to the host and sending the outputs."),
            per_request: judged(4.0, of_processor),
        },
    }
}

fn front_end() -> FrontEnd {
    FrontEnd {
        request_latency: RequestLatency {
            per_request: judged(2000.0, "Judged: HTTP, checks, and the message to the engine core on an idle server."),
            per_prompt_token: judged(2.0, "Judged: fast tokenizers do about half a million tokens a second."),
        },
        output_latency: OutputLatency {
            per_pass: judged(400.0, "Judged: the message from the engine core and the wake-ups on its way."),
            per_token: judged(
                12.0,
                "Judged: detokenizing and streaming take about 25 microseconds of one core a token.",
            ),
        },
    }
}
