//! The neighbours of a setup: one flag, one step away.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::config::{EngineConfig, GPU_MEMORY_UTILIZATION};
use crate::math;
use crate::profile::Profile;
use crate::scenario::{Scenario, ScenarioError};

/// Fewest tokens of a pass that are tried.
const LEAST_BATCHED_TOKENS: u32 = 128;
/// How far `--gpu-memory-utilization` is moved, and between which values.
const UTILIZATION_STEP: f64 = 0.05;
const UTILIZATION: (f64, f64) = (0.3, 0.97);

/// A setup that differs in one flag.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// vLLM's name of the flag, without dashes.
    pub flag: &'static str,
    /// What holds now, resolved.
    pub from: String,
    /// What is tried.
    pub to: String,
    /// The flags with it.
    pub scenario: Scenario,
    /// Why vLLM would not start with it; `None` if it would.
    pub refused: Option<String>,
}

impl Step {
    /// The flag as it is typed, such as `--max-num-seqs 512` or `--no-async-scheduling`.
    #[must_use]
    pub fn typed(&self) -> String {
        let given = self.scenario.given().find(|(flag, _)| flag.name == self.flag);
        match given.map(|(flag, value)| flag.written(value)) {
            Some((name, Some(value))) => format!("--{name} {value}"),
            Some((name, None)) => format!("--{name}"),
            None => format!("without --{}", self.flag),
        }
    }
}

/// One step of each flag of the engine that says how much is carried, both ways where there are two. What vLLM would
/// refuse is among them, with its reason.
///
/// # Errors
/// If the setup itself is refused.
pub fn steps(scenario: &Scenario, profile: &Profile) -> Result<Vec<Step>, ScenarioError> {
    let config = scenario.resolve(profile)?.config;
    let mut steps = Vec::new();
    let mut step = |flag: &'static str, from: String, to: String| {
        let mut changed = scenario.clone();
        if from != to && changed.set(flag, Some(&to)).is_ok() {
            let refused = changed.resolve(profile).err().map(|error| error.to_string());
            steps.push(Step { flag, from, to, scenario: changed, refused });
        }
    };
    for (flag, now, least) in counts(&config) {
        for to in [now.saturating_mul(2), (now / 2).max(least)] {
            step(flag, now.to_string(), to.to_string());
        }
    }
    for (flag, is_on) in switches(&config) {
        step(flag, is_on.to_string(), (!is_on).to_string());
    }
    let given = scenario.get("gpu-memory-utilization").and_then(|text| text.parse::<f64>().ok());
    let now = given.unwrap_or(GPU_MEMORY_UTILIZATION);
    let is_bound = ["num-gpu-blocks-override", "kv-cache-memory-bytes"].iter().any(|flag| scenario.get(flag).is_some());
    for change in [UTILIZATION_STEP, -UTILIZATION_STEP].into_iter().filter(|_| !is_bound) {
        let to = (now + change).clamp(UTILIZATION.0, UTILIZATION.1);
        step("gpu-memory-utilization", now.to_string(), (math::round(100.0 * to) / 100.0).to_string());
    }
    Ok(steps)
}

/// Flags that count, what they are now, and the least that is tried.
const fn counts(config: &EngineConfig) -> [(&'static str, u32, u32); 2] {
    [
        ("max-num-seqs", config.max_num_seqs, 1),
        ("max-num-batched-tokens", config.max_num_batched_tokens, LEAST_BATCHED_TOKENS),
    ]
}

const fn switches(config: &EngineConfig) -> [(&'static str, bool); 3] {
    [
        ("async-scheduling", config.async_scheduling),
        ("enable-prefix-caching", config.enable_prefix_caching),
        ("enable-chunked-prefill", config.enable_chunked_prefill),
    ]
}
