//! The flags of a scenario, as this program's command line takes them: every one of `sim_core::scenario::FLAGS`.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches};
use sim_core::scenario::{FLAGS, Flag, Form, Part, Scenario};

/// What was given of them.
#[derive(Debug, Default)]
pub(crate) struct ScenarioFlags {
    pub(crate) scenario: Scenario,
}

/// What was given of the engine's.
#[derive(Debug, Default)]
pub(crate) struct EngineFlags {
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
    let value = |arg: Arg, name: &'static str| {
        arg.help(format!("{}{default}", flag.help)).value_name(name).allow_hyphen_values(true)
    };
    match flag.form {
        Form::Switch => {
            let negated = format!("no-{}", flag.name);
            let off = Arg::new(negated.clone()).long(negated.clone()).action(ArgAction::SetTrue).hide(true);
            let help = format!("{}{default} [or --{negated}]", flag.help);
            vec![arg.action(ArgAction::SetTrue).help(help).overrides_with(negated), off.overrides_with(flag.name)]
        }
        Form::Integer => vec![value(arg, "N")],
        Form::Number => vec![value(arg, "X")],
        Form::Choice(_) => vec![value(arg, "NAME")],
        Form::Text => vec![value(arg, "TEXT")],
        Form::List => vec![value(arg, "WORD").num_args(1..).allow_hyphen_values(false)],
    }
}

/// Reads the flags of `parts` that `matches` has.
fn scenario(matches: &ArgMatches, parts: &[Part]) -> Result<Scenario, Error> {
    let mut scenario = Scenario::default();
    let mut set = |flag: &str, value: Option<&str>| {
        scenario.set(flag, value).map_err(|error| Error::raw(ErrorKind::InvalidValue, format!("{error}\n")))
    };
    for flag in flags_of(parts) {
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

fn flags_of(parts: &[Part]) -> impl Iterator<Item = &'static Flag> {
    FLAGS.iter().filter(|flag| parts.contains(&flag.part))
}

macro_rules! flags {
    ($type:ident, $parts:expr) => {
        impl clap::Args for $type {
            fn augment_args(command: Command) -> Command {
                command.args(flags_of($parts).flat_map(arguments))
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $type {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
                Ok(Self { scenario: scenario(matches, $parts)? })
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}
flags!(ScenarioFlags, &[Part::Engine, Part::Workload, Part::Report]);
flags!(WorkloadFlags, &[Part::Workload]);
flags!(EngineFlags, &[Part::Engine]);
