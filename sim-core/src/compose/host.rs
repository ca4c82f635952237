//! What the host, the front end and the time between passes cost in a derived profile.
//!
//! Step tables composed of operators lack what stands between two passes, and no public source measures host and front
//! end of vLLM on a GPU host term by term. What is known are whole runs, two sets of which have step tables, too:
//!
//! - RTX: 300 requests of LLMServingSim, Llama-3.1-8B bf16 on one RTX PRO 6000, vLLM 0.19, up to 128 requests at a time;
//!   times in the engine core; layers measured on the same card.
//! - H100: 15 configurations of InferenceX, Llama-3.1-70B fp8 on four H100, vLLM 0.10.2, 4 to 64 requests at a time;
//!   times in the client; operators measured under vLLM 0.24.
//!
//! Method (`profiler import calibrate` repeats it): every run is simulated, and the logarithms of simulated over measured mean
//! TTFT (in units of 10 %), TPOT and end-to-end latency (of 3 %) are made small in least squares over terms that are at
//! least 0. A term is fitted only where a set can tell it from the others; what cannot be told stays as judged. With
//! asynchronous scheduling host time hides behind the device, so both sets are blind to [`Host`]; what they show is
//! device time between passes that tables lack. RTX alone cannot tell a time per pass from one per request; H100, with 4 to
//! 64 requests at a time, can.
//!
//! H100's scripts ask for an fp8 KV cache, but the runs had one of 16 bits: the same scripts on two H100 give mean TTFT of
//! 6.5, 31 and 59 seconds where a cache of 16 bits is too small for all requests. Simulated with such a cache they are 25 %
//! too long, 1 % and 2 % too short; with one of 8 bits, twice as large, 75 to 99 % too short. Those runs are
//! not part of the calibration; H100's tables are those of a 16-bit cache.
//!
//! The rule: the time between passes and that per prompt token that explain both sets best, each set counting the same,
//! rounded. Mean errors are then 0.8 % of TTFT, 0.7 % of TPOT and end-to-end latency on RTX, 4.7 % of TTFT and 2.5 % of TPOT
//! on H100. Left out, RTX is predicted 8 % too slow, as H100 alone would have 28 us a request between passes. The sets give
//! no reason to distinguish versions of vLLM or hosts with GPUs. On a processor no time is added: nothing is launched ahead
//! of it. Nothing is fitted to a single profile.

use crate::profile::schema::{
    Basis, Cost, DeviceType, FrontEnd, Hardware, Host, OutputLatency, OutsideGraphs, PassCost, RequestLatency,
};

/// Where the times between passes come from.
const BETWEEN_PASSES: &str = "Fitted to a run of LLMServingSim (Llama-3.1-8B bf16, RTX PRO 6000, vLLM 0.19) and 15 of \
                              InferenceX (Llama-3.1-70B fp8, four H100, vLLM 0.10.2) with up to 128 requests at a time, \
                              along with the front end's time per prompt token; not measured on its own.";

/// What a layer's launches take in a pass that no CUDA graph holds, and by what share its operators are slower there.
const LAUNCHES_US_PER_LAYER: f64 = 120.0;
const OUTSIDE_GRAPHS_SHARE: f64 = 0.185;
/// Where both come from.
const OUTSIDE_GRAPHS: &str = "Fitted along with the time between passes to published runs.";

/// Host and front end by rule, until somebody measures the machine.
#[must_use]
pub fn rule(hardware: &Hardware) -> (Host, FrontEnd) {
    let (between_pass_us, between_request_us, why) = match hardware.device_type {
        DeviceType::Cuda => (820.0, 4.0, BETWEEN_PASSES),
        DeviceType::Cpu => (0.0, 0.0, "Nothing is launched ahead of a processor."),
    };
    let host = Host {
        schedule: PassCost {
            per_pass: estimate(
                400.0,
                "Judged: building and copying the inputs and launching a pass take a few tenths of a millisecond; vLLM \
                 0.32.0's schedule() itself has a fixed part of only 0.01 ms. Runs with asynchronous scheduling cannot \
                 tell.",
            ),
            per_request: estimate(
                8.5,
                "vLLM 0.32.0's schedule() took 7.8 to 9.2 microseconds per decoding request on one core of an AMD EPYC \
                 server without a GPU (16-token blocks, 8 to 256 requests); another processor differs.",
            ),
        },
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
    };
    (host, front_end())
}

/// What a pass that no CUDA graph holds takes beyond the operators of a model of so many layers.
#[must_use]
pub fn outside_graphs(num_layers: u32) -> OutsideGraphs {
    let per_pass = estimate(LAUNCHES_US_PER_LAYER * f64::from(num_layers), OUTSIDE_GRAPHS);
    OutsideGraphs { per_pass, share: OUTSIDE_GRAPHS_SHARE }
}

fn front_end() -> FrontEnd {
    FrontEnd {
        request_latency: RequestLatency {
            per_request: estimate(
                2000.0,
                "Judged: an HTTP request through the API server, its checks, and the message to the engine core take \
                 one to four milliseconds on an idle server. In 15 runs of InferenceX it cannot be told from the wait \
                 for the pass under way.",
            ),
            per_prompt_token: estimate(
                2.3,
                "Fitted to mean TTFT of 15 runs of InferenceX (Llama-3.1-70B fp8, four H100, vLLM 0.10.2; prompts of \
                 about 1000 and 8000 tokens) along with other terms; a fast tokenizer alone takes about 2 microseconds.",
            ),
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
    }
}

fn estimate(time_us: f64, reason: &str) -> Cost {
    Cost { time_us, basis: Basis::Estimate, reason: reason.into() }
}
