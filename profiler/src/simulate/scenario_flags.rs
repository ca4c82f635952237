//! The flags of a scenario, as this program's command line takes them: every one of `sim_core::scenario::FLAGS`.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches};
use sim_core::scenario::{FLAGS, Flag, Form, Part, Scenario};

/// What was given of them.
#[derive(Debug, Default)]
pub(crate) struct ScenarioFlags {
    pub(crate) scenario: Scenario,
}

/// What was given of those that say what is sent to which engine, where a profile says the rest.
#[derive(Debug, Default)]
pub(crate) struct RunFlags {
    pub(crate) scenario: Scenario,
}

/// What was given of the model's and the engine's.
#[derive(Debug, Default)]
pub(crate) struct EngineFlags {
    pub(crate) scenario: Scenario,
}

/// What was given of those that an engine without a workload of its own depends on.
#[derive(Debug, Default)]
pub(crate) struct EmulationFlags {
    pub(crate) scenario: Scenario,
}

/// What was given of those of which a profile is composed.
#[derive(Debug, Default)]
pub(crate) struct CompositionFlags {
    pub(crate) scenario: Scenario,
}

/// What was given of those that say what is sent and when.
#[derive(Debug, Default)]
pub(crate) struct WorkloadFlags {
    pub(crate) scenario: Scenario,
}

const fn heading(part: Part) -> &'static str {
    match part {
        Part::Model => "Model and GPU (flags of vllm serve, and the GPU; a profile is composed of them)",
        Part::Engine => "Engine (flags of vllm serve; defaults are vLLM's for the profile's GPU)",
        Part::Workload => {
            "Workload (flags of vllm bench serve; simulate without any takes a sample of a real Azure trace)"
        }
        Part::Report => "Report (flags of vllm bench serve, and ours)",
    }
}

fn arguments(flag: &'static Flag) -> Vec<Arg> {
    let default = if flag.default.is_empty() { String::new() } else { format!(" [default: {}]", flag.default) };
    let arg = Arg::new(flag.name).long(flag.name).help_heading(heading(flag.part));
    // What `--model` and `--gpu` take here besides names.
    let help = match flag.name {
        "model" => "The model: its name on Hugging Face, a config.json, or a folder that has one".to_owned(),
        "gpu" => "The GPU: its key, such as h100-sxm (see `profiler gpus`), or the file of a pack".to_owned(),
        _ => flag.help.to_owned(),
    };
    let value =
        |arg: Arg, name: &'static str| arg.help(format!("{help}{default}")).value_name(name).allow_hyphen_values(true);
    match flag.form {
        Form::Switch => {
            let negated = format!("no-{}", flag.name);
            let off = Arg::new(negated.clone()).long(negated.clone()).action(ArgAction::SetTrue).hide(true);
            let help = format!("{help}{default} [or --{negated}]");
            vec![arg.action(ArgAction::SetTrue).help(help).overrides_with(negated), off.overrides_with(flag.name)]
        }
        Form::Integer => vec![value(arg, "N")],
        Form::Number => vec![value(arg, "X")],
        Form::Choice(_) => vec![value(arg, "NAME")],
        Form::Text => vec![value(arg, "TEXT")],
        Form::List => vec![value(arg, "WORD").num_args(1..).allow_hyphen_values(false)],
    }
}

/// Reads the flags that `matches` has of those that are taken.
fn scenario(matches: &ArgMatches, is_taken: IsTaken) -> Result<Scenario, Error> {
    let mut scenario = Scenario::default();
    let mut set = |flag: &str, value: Option<&str>| {
        scenario.set(flag, value).map_err(|error| Error::raw(ErrorKind::InvalidValue, format!("{error}\n")))
    };
    for flag in taken(is_taken) {
        if flag.form == Form::Switch {
            let negated = format!("no-{}", flag.name);
            if matches.get_flag(flag.name) {
                set(flag.name, None)?;
            } else if matches.get_flag(&negated) {
                set(&negated, None)?;
            }
        } else if let Some(words) = matches.get_many::<String>(flag.name) {
            set(flag.name, Some(&words.map(String::as_str).collect::<Vec<_>>().join(" ")))?;
        }
    }
    Ok(scenario)
}

/// Whether a command takes a flag.
type IsTaken = fn(&Flag) -> bool;

fn taken(is_taken: IsTaken) -> impl Iterator<Item = &'static Flag> {
    FLAGS.iter().filter(move |flag| is_taken(flag))
}

macro_rules! flags {
    ($type:ident, $is_taken:expr) => {
        impl clap::Args for $type {
            fn augment_args(command: Command) -> Command {
                command.args(taken($is_taken).flat_map(arguments))
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $type {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
                Ok(Self { scenario: scenario(matches, $is_taken)? })
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}
flags!(ScenarioFlags, |_| true);
flags!(RunFlags, |flag| flag.part != Part::Model);
flags!(WorkloadFlags, |flag| flag.part == Part::Workload);
flags!(EngineFlags, |flag| matches!(flag.part, Part::Model | Part::Engine));
flags!(EmulationFlags, |flag| {
    matches!(flag.part, Part::Model | Part::Engine)
        || ["seed", "pass-noise"].contains(&flag.name)
        || flag.name.starts_with("spec-acceptance")
});
flags!(CompositionFlags, |flag| {
    flag.part == Part::Model || ["tensor-parallel-size", "max-model-len"].contains(&flag.name)
});
