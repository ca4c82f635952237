//! What the host and the front end cost in a derived profile.
//!
//! No public source measures these for vLLM 0.32.0 on a GPU host. The values are judged, or measured where vLLM's
//! scheduler runs without a GPU, and each says so.

use sim_core::profile::schema::{
    Basis, Cost, Engine, FrontEnd, Hardware, Host, OutputLatency, PassCost, RequestLatency,
};

/// The same for every machine, until somebody measures one.
pub(crate) fn rule(_hardware: &Hardware, _engine: &Engine) -> (Host, FrontEnd) {
    let host = Host {
        schedule: PassCost {
            per_pass: estimate(
                400.0,
                "Judged: building and copying the inputs and launching a pass take a few tenths of a millisecond; vLLM \
                 0.32.0's schedule() itself has a fixed part of only 0.01 ms.",
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
    };
    let front_end = FrontEnd {
        request_latency: RequestLatency {
            per_request: estimate(
                2000.0,
                "Judged: an HTTP request through the API server, its checks, and the message to the engine core take \
                 one to four milliseconds on an idle server.",
            ),
            per_prompt_token: estimate(2.0, "Judged: fast tokenizers do about half a million tokens a second."),
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
    };
    (host, front_end)
}

fn estimate(time_us: f64, reason: &str) -> Cost {
    Cost { time_us, basis: Basis::Estimate, reason: reason.to_owned() }
}
