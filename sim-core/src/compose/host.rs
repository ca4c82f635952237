//! What the host, the front end and the time beside operators cost in a composed profile.
//!
//! Step tables composed of operators lack what stands between two passes and what a pass takes that no CUDA graph holds,
//! and no public source measures host and front end of vLLM on a GPU term by term. What is known are whole runs:
//!
//! - RTX: 300 requests of LLMServingSim, Llama-3.1-8B bf16 on one RTX PRO 6000, vLLM 0.19, up to 128 requests at a time;
//!   times in the engine core; layers measured on the same card.
//! - H100: 15 configurations of InferenceX, Llama-3.1-70B fp8 on four H100, vLLM 0.10.2, 4 to 64 requests at a time;
//!   times in the client; operators measured under vLLM 0.24.
//! - A tenth of the 1,328 configurations of vLLM that aiconfigurator-core 0.12.0 lists, chosen by a hash of their names
//!   (`profiler verify-run --part calibration`): seven models on four GPUs in four number formats, vLLM 0.10 to 0.19.
//!
//! Method: every run is simulated, and the logarithms of simulated over measured mean TTFT (in units of 20 %) and TPOT (of
//! 8 %) are made small in least squares with outliers weighing less, over terms that are at least 0. With asynchronous
//! scheduling host time hides behind the device, so all are blind to [`Host`]; what they show is device time between passes,
//! time of passes outside CUDA graphs, and the front end's. The optimum is flat: terms that share a prompt's time trade
//! against each other with less than half a percent in the errors. Rounded values from it are the rule, one for all models
//! and GPUs. On the tenth the mean sizes of the errors are then 20 % of TTFT and 14 % of TPOT; 19 % and 9 % without two
//! models of one source whose servers' flags nobody published (`FIDELITY.md`).
//!
//! H100's scripts ask for an fp8 KV cache, but the runs had one of 16 bits: the same scripts on two H100 give mean TTFT of
//! 6.5, 31 and 59 seconds where a cache of 16 bits is too small for all requests. Simulated with such a cache they are 25 %
//! too long, 1 % and 2 % too short; with one of 8 bits, twice as large, 75 to 99 % too short.
//!
//! What an API-server process works (`work`) was measured, on a processor's vLLM; at light load it is hidden in the
//! latencies above.
//!
//! On a processor no time is added: nothing is launched ahead of it. Nothing is fitted to a single profile.

use crate::profile::schema::{
    Basis, Cost, DeviceType, FrontEnd, FrontEndWork, Hardware, Host, OutputLatency, OutsideGraphs, PassCost,
    RequestLatency,
};

/// Where the fitted times come from.
const FITTED: &str = "Fitted together with other terms to published runs: LLMServingSim's on an RTX PRO 6000, 15 of InferenceX \
                      on four H100, and a tenth of the configurations that aiconfigurator-core 0.12.0 lists; not measured \
                      on its own.";

/// Where the times of a synchronous engine come from: only there is the host's time before a pass seen.
const SYNCHRONOUS: &str = "Fitted to 12 published runs of vLLM 0.12, which schedules synchronously (Qwen3-32B, 8 to 128 \
                           requests at a time), where a pass took 1 to 2 ms more than its operators at up to 32 requests \
                           and 3 to 7 ms at 64 and more; schedule() itself takes 0.01 ms and 8.5 us a request on an AMD \
                           EPYC. Runs with asynchronous scheduling cannot tell.";

/// What a layer's launches take in a pass that no CUDA graph holds, and by what share its operators are slower there.
const LAUNCHES_US_PER_LAYER: f64 = 60.0;
const OUTSIDE_GRAPHS_SHARE: f64 = 0.14;
/// What of that share is the clock's, which falls under long computations: left out where a model's products are no faster
/// than what the GPU keeps up (`operators/sustained.rs`). On the tenth, simulated prompts are on average as long with 0.7
/// points of the share as with that ceiling.
const FALLEN_CLOCK_SHARE: f64 = 0.01;

/// Host and front end by rule, until somebody measures the machine.
#[must_use]
pub fn rule(hardware: &Hardware) -> (Host, FrontEnd) {
    let (between_pass_us, between_request_us, why) = match hardware.device_type {
        DeviceType::Cuda => (400.0, 2.0, FITTED),
        DeviceType::Cpu => (0.0, 0.0, "Nothing is launched ahead of a processor."),
    };
    let host = Host {
        schedule: PassCost { per_pass: estimate(500.0, SYNCHRONOUS), per_request: estimate(25.0, SYNCHRONOUS) },
        update: PassCost {
            per_pass: estimate(
                150.0,
                "Judged: copying the sampled tokens to the host and sending the outputs take a tenth or two of a \
                 millisecond; vLLM 0.32.0's update_from_output() itself has a fixed part below 0.01 ms.",
            ),
            per_request: estimate(
                4.0,
                "vLLM 0.32.0's update_from_output() took 3.3 to 5.0 microseconds per decoding request on one core of \
                 an AMD EPYC server without a GPU; another processor differs.",
            ),
        },
        between_passes: PassCost {
            per_pass: estimate(between_pass_us, why),
            per_request: estimate(between_request_us, why),
        },
        outside_graphs: None,
        pass_noise: None,
    };
    (host, front_end())
}

/// What a pass that no CUDA graph holds takes beyond the operators of a model of so many layers; `keeps_up` says that its
/// products already are at a rate that the GPU keeps up.
#[must_use]
pub fn outside_graphs(num_layers: u32, keeps_up: bool) -> OutsideGraphs {
    let per_pass = estimate(LAUNCHES_US_PER_LAYER * f64::from(num_layers), FITTED);
    OutsideGraphs { per_pass, share: OUTSIDE_GRAPHS_SHARE - if keeps_up { FALLEN_CLOCK_SHARE } else { 0.0 } }
}

fn front_end() -> FrontEnd {
    FrontEnd {
        request_latency: RequestLatency {
            per_request: estimate(6000.0, FITTED),
            per_prompt_token: estimate(4.0, FITTED),
        },
        output_latency: OutputLatency {
            per_pass: estimate(
                400.0,
                "Judged: the message from the engine core, the wake-up of the API server and of the client take 0.3 to \
                 1 ms.",
            ),
            per_token: estimate(
                12.0,
                "Judged: detokenizing and streaming a token take about 25 microseconds of one core, and the mean \
                 request of a pass waits for half of the others.",
            ),
        },
        work: Some(work()),
    }
}

/// What an API-server process computes.
fn work() -> FrontEndWork {
    let of_epyc = |time_us: f64, what: &str| {
        let reason = alloc::format!(
            "vllm serve 0.32.0 on one core of an AMD EPYC server without a GPU: {what}; another processor and another \
             version differ."
        );
        Cost { time_us, basis: Basis::Estimate, reason }
    };
    FrontEndWork {
        per_request: of_epyc(800.0, "its event loop worked 0.76 to 0.83 ms a request in three measurements"),
        per_prompt_token: of_epyc(1.7, "its event loop worked 0.9 to 1.8 us for each token of a prompt"),
        per_pass: of_epyc(650.0, "its event loop worked 0.53 to 0.77 ms for each message of the engine core"),
        per_token: of_epyc(13.0, "taking in the engine core's outputs took 11 to 13 us a token"),
        per_chunk: of_epyc(
            23.0,
            "writing a chunk to its client took 15 to 21 us where prompts and answers are token ids; texts take somewhat more",
        ),
    }
}

fn estimate(time_us: f64, reason: &str) -> Cost {
    Cost { time_us, basis: Basis::Estimate, reason: reason.into() }
}
