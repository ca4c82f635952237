//! The flags of `vllm serve` that are simulated, with their names and their values' forms.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches};
use sim_core::config::EngineArgs;

/// Flags with a value.
const VALUES: [(&str, &str); 16] = [
    ("max-model-len", "Longest sequence, prompt and output together; -1 or auto for the largest that fits"),
    ("max-num-batched-tokens", "Most input tokens of one pass"),
    ("max-num-scheduled-tokens", "Token budget of one pass, where it is to be smaller"),
    ("max-num-seqs", "Most requests of one pass"),
    ("max-num-active-seqs", "Most requests in the running list, where it is to be smaller"),
    ("long-prefill-token-threshold", "Most tokens of one request in one pass; 0 for no limit"),
    ("scheduling-policy", "fcfs or priority"),
    ("watermark", "Share of the blocks kept free at admission, in [0, 1)"),
    ("block-size", "Tokens per KV block"),
    ("prefix-match-unit", "Must be the block size"),
    ("gpu-memory-utilization", "Share of the GPU's memory that the engine may use"),
    ("kv-cache-memory-bytes", "Memory of the KV cache, instead of what the share leaves"),
    ("num-gpu-blocks-override", "KV blocks, instead of what the memory holds; the null block counts"),
    ("tensor-parallel-size", "Must be the profile's"),
    ("pipeline-parallel-size", "Must be the profile's"),
    ("performance-mode", "balanced or throughput"),
];

/// Switches, each with its `--no-` form.
const SWITCHES: [(&str, &str, &str); 5] = [
    ("enable-chunked-prefill", "no-enable-chunked-prefill", "Compute a prompt in several passes where it must be"),
    ("enable-prefix-caching", "no-enable-prefix-caching", "Keep full blocks and find them again by content"),
    (
        "long-prefill-token-threshold-adaptive",
        "no-long-prefill-token-threshold-adaptive",
        "Raise that threshold to a fair share of the budget",
    ),
    (
        "scheduler-reserve-full-isl",
        "no-scheduler-reserve-full-isl",
        "Admit a request only if its whole known sequence would fit now",
    ),
    ("async-scheduling", "no-async-scheduling", "Prepare a pass while another runs"),
];

/// What was given of them.
#[derive(Debug, Default)]
pub(crate) struct EngineFlags {
    pub(crate) args: EngineArgs,
}

impl clap::Args for EngineFlags {
    fn augment_args(command: Command) -> Command {
        let heading = "Engine (flags of vllm serve; defaults are vLLM's for the profile's GPU)";
        let values = VALUES.map(|(name, help)| {
            Arg::new(name).long(name).help(help).help_heading(heading).value_name("N").allow_hyphen_values(true)
        });
        let switches = SWITCHES.iter().flat_map(|&(name, negated, help)| {
            let switch =
                |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help_heading(heading);
            [switch(name).help(format!("{help} [or --{negated}]")).overrides_with(negated), switch(negated).hide(true)]
        });
        command.args(values).args(switches)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for EngineFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut args = EngineArgs::default();
        let refuse = |error| Error::raw(ErrorKind::InvalidValue, format!("{error}\n"));
        for (name, _) in VALUES {
            if let Some(value) = matches.get_one::<String>(name) {
                args.set(&format!("--{name}"), Some(value)).map_err(refuse)?;
            }
        }
        for name in SWITCHES.iter().flat_map(|&(name, negated, _)| [name, negated]) {
            if matches.get_flag(name) {
                args.set(&format!("--{name}"), None).map_err(refuse)?;
            }
        }
        Ok(Self { args })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
