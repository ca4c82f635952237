//! How vLLM's parser reads the names of flags: how many words belong to one, and what a shortened one stands for.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};

use super::{FlagError, FlagGroup};

/// How many words after a flag are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// None: a switch.
    Nothing,
    /// One.
    One,
    /// As many as follow without a dash.
    Several,
}

/// Switches whose names do not say so by beginning with `enable`, `disable` or `no`.
#[rustfmt::skip]
const SWITCHES: &[&str] = &[
    "--headless", "--grpc", "--trust-request-chat-template", "--trust-request-mm-kwargs",
    "--return-tokens-as-token-ids", "--exclude-tools-when-tool-choice-none", "--cohere-is-reasoning-model",
    "--log-error-stack", "--tokens-only", "--allow-credentials", "--trust-remote-code",
    "--allow-deprecated-quantization", "--enforce-eager", "--return-sampling-mask", "--use-fp64-gumbel",
    "--skip-tokenizer-init", "--sleep-mode-offload-cudagraph", "--use-tqdm-on-load", "--numa-bind",
    "--dcp-q-replicate", "--data-parallel-hybrid-lb", "-dph", "--data-parallel-external-lb", "-dpe",
    "--data-parallel-multi-port-external-lb", "-dpm", "-ep", "--ray-workers-use-nsight", "--kv-sharing-fast-prefill",
    "--swa-bounded-replay", "--use-replayssm", "--language-model-only", "--mm-encoder-only", "--interleave-mm-strings",
    "--skip-mm-profiling", "--mm-device-do-normalize", "--fully-sharded-loras", "--specialize-active-lora",
    "--kv-cache-metrics", "--cudagraph-metrics", "--jit-monitor-verbose", "--aggregate-engine-logging",
    "--fail-on-environ-validation", "--monokernel", "--long-prefill-token-threshold-adaptive",
    "--scheduler-reserve-full-isl", "--async-scheduling", "--skip-chat-template", "--custom-ensure-client-side-data",
    "--use-beam-search", "--profile", "--save-result", "--save-detailed", "--append-result", "--ignore-eos",
    "--self-timed", "--insecure", "--plot-timeline", "--plot-dataset-stats",
];

/// Flags with several words.
#[rustfmt::skip]
const LISTS: &[&str] = &[
    "--lora-modules", "--api-key", "--allowed-media-domains", "--served-model-name",
    "--sleep-preserve-parameter-names", "--logits-processors", "--ignore-patterns", "--numa-bind-nodes",
    "--numa-bind-cpus", "--kv-cache-dtype-skip-layers", "--cpu-offload-params", "--offload-params",
    "--lora-target-modules", "--collect-detailed-traces", "--cudagraph-capture-sizes", "--header", "--metadata",
    "--goodput",
];

/// How many words belong to a flag of `vllm serve` or `vllm bench serve`; `flag` is its name, with dashes.
#[must_use]
pub fn arity(flag: &str) -> Arity {
    const BEGINNINGS: [&str; 3] = ["--enable-", "--disable-", "--no-"];
    let name = super::normalised(flag);
    let is_named_so =
        BEGINNINGS.iter().any(|begin| name.starts_with(begin)) && name != "--disable-access-log-for-endpoints";
    if is_named_so || SWITCHES.contains(&name.as_str()) {
        // A key behind a dot has a value, whatever it belongs to.
        if flag.contains('.') { Arity::One } else { Arity::Nothing }
    } else if LISTS.contains(&name.as_str()) {
        Arity::Several
    } else {
        Arity::One
    }
}

/// The full name of a flag that may be shortened, as Python's argparse takes it: any beginning of a long flag that
/// only one has. What stands behind a dot or `=` stays. A name that begins none is given back as it is.
///
/// # Errors
/// [`FlagError::Ambiguous`] if it is no flag and begins several of `groups` and `others` (names with dashes).
pub fn expanded(flag: &str, groups: &[&[FlagGroup]], others: &[&str]) -> Result<String, FlagError> {
    let end = flag.find(['=', '.']).unwrap_or(flag.len());
    let (written, rest) = flag.split_at_checked(end).unwrap_or((flag, ""));
    let name = written.replace('_', "-");
    if !name.starts_with("--") || name.len() < 3 {
        return Ok(flag.to_string());
    }
    let mut candidates = BTreeSet::new();
    let entries = groups.iter().copied().flatten().flat_map(|group| group.flags.iter().copied());
    for entry in entries.chain(others.iter().copied()) {
        let entry = entry.split_once('=').map_or(entry, |(entry, _)| entry);
        for form in forms(entry) {
            if form == name {
                return Ok(alloc::format!("{name}{rest}"));
            }
            if form.starts_with(&name) {
                candidates.insert(form);
            }
        }
    }
    match (candidates.pop_first(), candidates.is_empty()) {
        (None, _) => Ok(flag.to_string()),
        (Some(only), true) => Ok(alloc::format!("{only}{rest}")),
        (Some(first), false) => {
            let candidates = core::iter::once(first).chain(candidates).collect();
            Err(FlagError::Ambiguous { flag: name, candidates })
        }
    }
}

/// Every way to write a flag in full: a switch is also written with `--no-`, and since 0.33 `enable` for `disable`.
fn forms(entry: &str) -> impl Iterator<Item = String> {
    let name = entry.strip_prefix("--").filter(|_| arity(entry) == Arity::Nothing);
    let negated = name.filter(|name| !name.starts_with("no-")).map(|name| alloc::format!("--no-{name}"));
    let swapped = name.and_then(|name| {
        let swap = |from: &str, to: &str| name.strip_prefix(from).map(|rest| alloc::format!("--{to}{rest}"));
        swap("enable-", "disable-").or_else(|| swap("disable-", "enable-"))
    });
    [Some(entry.to_string()), negated, swapped].into_iter().flatten()
}
