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
//! Method ([`super::calibrate`] repeats it): every run is simulated, and the logarithms of simulated over measured mean
//! TTFT (in units of 10 %), TPOT and end-to-end latency (of 3 %) are made small in least squares over terms that are at
//! least 0. A term is fitted only where a set can tell it from the others; what cannot be told stays as judged. With
//! asynchronous scheduling host time hides behind the device, so both sets are blind to [`Host`]; what they show is
//! device time that tables lack. In both it grows with the requests of the pass ([`gap`]), and none is left for the pass
//! itself.
//!
//! H100's decode attention is slower than its tables by a factor that the fit finds along with the rest: with an fp8
//! cache, vLLM 0.10.2 and 0.24 do not run the same kernels. That factor belongs to this set alone and is in no profile.
//! Without it, the missing time would be taken for a gap three times as long, and RTX would be predicted 22 % too slow.
//!
//! The rule: the gap by vLLM's version, as 0.10 still waited for the sampled tokens before it prepared the next pass; the
//! rest the same everywhere. Nothing is fitted to a single profile. The two sets say nothing of other hosts, so there is
//! no class of hosts but one: a server with a GPU.

use sim_core::profile::schema::{
    Basis, Cost, Engine, FrontEnd, Hardware, Host, OutputLatency, PassCost, RequestLatency,
};

use super::assemble::DerivedParts;
use super::fit::terms::add_to_head;

/// Device time between two passes that no operator's table holds (sampling, kernels that gather inputs, waiting), in
/// microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Gap {
    pub(crate) per_pass_us: f64,
    pub(crate) per_request_us: f64,
    /// One sentence: what it was fitted to.
    pub(crate) reason: &'static str,
}

/// The gap by the version of vLLM that was measured.
pub(crate) fn gap(engine: &Engine) -> Gap {
    let mut numbers = engine.vllm_version.split('.').map(|part| part.parse::<u32>().ok());
    let version = (numbers.next().flatten(), numbers.next().flatten());
    match version {
        (Some(0), Some(minor)) if minor < 11 => Gap {
            per_pass_us: 0.0,
            per_request_us: 26.7,
            reason: "fitted to 15 runs of InferenceX (Llama-3.1-70B fp8, four H100, vLLM 0.10.2, up to 64 requests)",
        },
        _ => Gap {
            per_pass_us: 0.0,
            per_request_us: 10.1,
            reason: "fitted to a run of LLMServingSim (Llama-3.1-8B bf16, RTX PRO 6000, vLLM 0.19, up to 128 requests)",
        },
    }
}

/// Adds the gap to the head's table, and says so in the notes.
pub(crate) fn add_gap(parts: &mut DerivedParts) {
    let Gap { per_pass_us, per_request_us, reason } = gap(&parts.engine);
    add_to_head(&mut parts.step_time.head, per_pass_us, per_request_us);
    parts.notes.push(format!(
        "The head's times hold {per_request_us} us per request of device time between passes, {reason}; for more \
         requests it is extrapolated. No table of operators has it."
    ));
}

/// Host and front end: the same for every machine, until somebody measures one.
pub(crate) fn rule(_hardware: &Hardware, _engine: &Engine) -> (Host, FrontEnd) {
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
    };
    (host, front_end())
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
                2.2,
                "Fitted to mean TTFT of 15 runs of InferenceX (Llama-3.1-70B fp8, four H100, vLLM 0.10.2; prompts of \
                 1024 and 8192 tokens); a fast tokenizer alone takes about 2 microseconds.",
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
    Cost { time_us, basis: Basis::Estimate, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use sim_core::profile::SyntheticCosts;

    use super::gap;

    #[track_caller]
    fn check(version: &str, per_request_us: f64) {
        let mut engine = SyntheticCosts::default().profile().engine;
        version.clone_into(&mut engine.vllm_version);
        assert_eq!(gap(&engine).per_request_us.to_bits(), per_request_us.to_bits(), "{version}");
    }

    #[test]
    fn the_gap_depends_on_the_version() {
        check("0.10.2", 26.7);
        check("0.9.0rc1", 26.7);
        check("0.11.0", 10.1);
        check("0.24.0", 10.1);
        check("1.0.0", 10.1);
        check("unknown", 10.1);
    }
}
