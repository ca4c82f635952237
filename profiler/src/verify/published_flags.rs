//! The flags that published runs were started with, where `silicon_sample.csv` leaves them out.
//!
//! From InferenceX's public scripts at the day of each measurement (github.com/SemiAnalysisAI/InferenceX, Apache-2.0:
//! `benchmarks/single_node/*.sh`; of Llama-70B `benchmarks/70b_*.sh` of October 2025). Runs of others are taken to have
//! vLLM's defaults.

/// What a script says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Flags {
    /// `--gpu-memory-utilization`.
    pub(super) gpu_memory_utilization: &'static str,
    /// `--kv-cache-dtype fp8`.
    pub(super) has_fp8_cache: bool,
    /// `--max-num-batched-tokens`.
    pub(super) max_num_batched_tokens: u32,
    /// `--enable-expert-parallel` whatever the list says.
    pub(super) shares_experts: bool,
}

/// vLLM's defaults of the time: a server's on GPUs of 70 GiB and more (`EngineArgs.get_batch_defaults`).
const DEFAULTS: Flags =
    Flags { gpu_memory_utilization: "0.9", has_fp8_cache: false, max_num_batched_tokens: 8192, shares_experts: false };

/// The flags of a run of InferenceX: the model's last name, the source's name of the GPU, the number format, the day that
/// it was measured (`YYYY-MM-DD`), prompt tokens.
pub(super) fn of(model: &str, system: &str, precision: &str, day: &str, input: u32) -> Flags {
    let is_blackwell = system.starts_with("b200") || system.starts_with("b300");
    let twice_the_prompt = Flags { has_fp8_cache: true, max_num_batched_tokens: 2 * input, ..DEFAULTS };
    match model {
        // The scripts ask for an fp8 cache on Hopper, too, but the runs had not one: see compose/host.rs.
        "Llama-3.1-70B" | "gpt-oss-120b" => Flags { has_fp8_cache: is_blackwell, ..DEFAULTS },
        "MiniMax-M2.5" if is_blackwell && (precision == "fp4" || day >= "2026-04-03") => twice_the_prompt,
        "MiniMax-M2.5" if is_blackwell => Flags { gpu_memory_utilization: "0.95", shares_experts: true, ..DEFAULTS },
        "MiniMax-M2.5" if system.starts_with("h200") => {
            Flags { gpu_memory_utilization: "0.95", shares_experts: day >= "2026-03-13", ..DEFAULTS }
        }
        "Kimi-K2.5" if precision == "int4" => Flags { gpu_memory_utilization: "0.95", ..DEFAULTS },
        "Kimi-K2.5" if system.starts_with("b300") => Flags { has_fp8_cache: day >= "2026-04-20", ..DEFAULTS },
        _ => DEFAULTS,
    }
}
