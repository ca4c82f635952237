//! The command line as vLLM's own parser would read it: shortened names, underscores, short names, keys behind a dot and
//! flags that change nothing here are dealt with before this program's parser sees the rest.

use std::ffi::OsString;

use anyhow::{Result, ensure};
use clap::{Arg, ArgAction, Command};
use sim_core::config::SpeculativeArgs;
use sim_core::config::flags::grammar::{self, Argument, Given};
use sim_core::config::flags::{BENCH_SERVE, FlagEffect, FlagSpec, SERVE, Takes, removed, spec_of};
use sim_core::scenario::{FLAGS, Scenario, meaning};

/// The drafter's flag, which is also written key by key.
const DRAFTER: &str = "--speculative-config";

/// Takes those flags of vLLM out of a command line that change nothing here, with a note, and refuses by name those that
/// are not simulated. What is left is for the parser, with names in full. Only subcommands that take flags of vLLM are
/// looked at.
pub(super) fn take(cli: &Command, arguments: Vec<OsString>) -> Result<Vec<OsString>> {
    let texts: Option<Vec<String>> = arguments.iter().map(|word| word.to_str().map(ToOwned::to_owned)).collect();
    let Some(texts) = texts else { return Ok(arguments) };
    let Some((command, path_len)) = called(cli, &texts) else { return Ok(arguments) };
    let own: Vec<OwnFlag> = command.get_arguments().filter_map(OwnFlag::of).collect();
    if !own.iter().any(|flag| is_of_scenario(&flag.name)) {
        return Ok(arguments);
    }
    let (path, words) = texts.split_at_checked(path_len).unwrap_or((&texts, &[]));
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let (words, behind) = words.split_at_checked(end).unwrap_or((words, &[]));
    let kept = Line { command: &command, own: &own }.kept(words)?;
    Ok(path.iter().cloned().chain(kept).chain(behind.iter().cloned()).map(OsString::from).collect())
}

/// The subcommand that is called, with its arguments, and how many words its name has, this program's included; `None` if
/// there is none.
fn called(cli: &Command, words: &[String]) -> Option<(Command, usize)> {
    let inner = |command: &Command, path_len: usize| command.find_subcommand(words.get(path_len)?).cloned();
    let (mut command, mut path_len) = (inner(cli, 1)?, 2);
    // Its arguments are made now, and those of no other.
    command.build();
    while let Some(inner) = inner(&command, path_len) {
        command = inner;
        path_len += 1;
    }
    Some((command, path_len))
}

fn is_of_scenario(name: &str) -> bool {
    name.strip_prefix("--").is_some_and(|name| FLAGS.iter().any(|flag| flag.name == name))
}

/// A flag of this program's parser.
struct OwnFlag {
    /// With dashes.
    name: String,
    short: Option<String>,
    takes: Takes,
    can_be_off: bool,
}

impl OwnFlag {
    /// `None` for a positional argument, and for the name that turns a switch of the scenario off.
    fn of(arg: &Arg) -> Option<Self> {
        let name = format!("--{}", arg.get_long()?);
        if name.strip_prefix("--no-").is_some_and(|name| is_of_scenario(&format!("--{name}"))) {
            return None;
        }
        let has_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
        let num_values = arg.get_num_args().unwrap_or_else(|| 1.into());
        let takes = match (has_value, num_values.min_values(), num_values.max_values()) {
            (false, ..) | (_, _, 0) => Takes::Nothing,
            (_, 0, 1) => Takes::OneOrNothing,
            (_, _, 1) => Takes::One,
            (_, 0, _) => Takes::Any,
            _ => Takes::Several,
        };
        let can_be_off = takes == Takes::Nothing && is_of_scenario(&name);
        Some(Self { name, short: arg.get_short().map(|letter| format!("-{letter}")), takes, can_be_off })
    }

    /// As vLLM's parser would have it: of its own flags all that vLLM says of them.
    fn spec<'a>(&'a self, also: &'a [&'a str]) -> FlagSpec<'a> {
        let mut of_vllm = SERVE.iter().chain(BENCH_SERVE).flat_map(|group| group.flags);
        let is_vllms = is_of_scenario(&self.name);
        let same = of_vllm.find(|spec| is_vllms && spec.name == self.name);
        let FlagSpec { also, or_none, harmless, .. } = same.copied().unwrap_or(FlagSpec::text(&self.name).also(also));
        FlagSpec {
            also,
            or_none,
            harmless,
            can_be_off: self.can_be_off,
            takes: self.takes,
            ..FlagSpec::text(&self.name)
        }
    }
}

/// The words of a subcommand.
struct Line<'a> {
    command: &'a Command,
    own: &'a [OwnFlag],
}

impl Line<'_> {
    /// The words that are for this program's parser.
    #[expect(clippy::print_stderr, reason = "a flag that changes nothing is said so")]
    fn kept(&self, words: &[String]) -> Result<Vec<String>> {
        let shorts: Vec<Vec<&str>> = self.own.iter().map(|flag| flag.short.as_deref().into_iter().collect()).collect();
        let own = self.own.iter().zip(&shorts).map(|(flag, short)| flag.spec(short));
        let of_vllm = SERVE.iter().chain(BENCH_SERVE).flat_map(|group| group.flags).copied();
        let specs: Vec<FlagSpec<'_>> = own.chain(of_vllm).collect();
        let words = with_long_quantization(words);
        let arguments = grammar::read(&words, &specs, 0);
        let mut kept = vec![];
        let mut drafter = vec![];
        for (at, argument) in arguments.iter().enumerate() {
            match argument {
                Argument::Flag(given) if is_overridden(given, arguments.get(at + 1..).unwrap_or_default()) => {}
                Argument::Flag(given) if self.is_drafters(given) => drafter.push(given),
                Argument::Flag(given) if self.own.iter().any(|flag| flag.name == given.spec.name) => {
                    kept.extend(in_full(given));
                }
                Argument::Flag(given) => self.set_aside(given)?,
                Argument::Word(word) => kept.push(word.clone()),
                Argument::Unknown { flag, words } => match removed(flag) {
                    Some((why, _)) => eprintln!("note: {flag} is set aside: vLLM no longer has this flag: {why}"),
                    // The parser says what it does not know, and what is near.
                    None => kept.extend([flag.clone()].into_iter().chain(words.iter().cloned())),
                },
                Argument::Wrong(error) => return Err(error.clone().into()),
            }
        }
        // Its keys may each be a flag, on top of the whole; the parser gets them as one.
        drafter.sort_by_key(|given| given.spec.name != DRAFTER);
        let mut scenario = Scenario::default();
        for given in drafter {
            scenario.set(given.spec.name, given.value().as_deref())?;
        }
        kept.extend(scenario.get("speculative-config").map(|whole| format!("{DRAFTER}={whole}")));
        Ok(kept)
    }

    /// Whether a flag is the drafter's, or one for a key of it.
    fn is_drafters(&self, given: &Given<'_>) -> bool {
        let has_drafter = self.own.iter().any(|flag| flag.name == DRAFTER);
        has_drafter && (given.spec.name == DRAFTER || SpeculativeArgs::key_of_flag(given.spec.name).is_some())
    }

    /// Says why a flag of vLLM's that this command does not have changes nothing.
    #[expect(clippy::print_stderr, reason = "a flag that changes nothing is said so")]
    fn set_aside(&self, given: &Given<'_>) -> Result<()> {
        if given.spec.takes != Takes::Nothing {
            given.spec.check(&given.words)?;
        }
        let name = given.form;
        let value = given.value();
        let (effect, why) = meaning(given.spec.name, value.as_deref())?;
        let command = self.command.get_name();
        ensure!(effect != FlagEffect::Simulated, "{name}: this flag of vLLM has no use in `profiler {command}`");
        eprintln!("note: {name} is set aside: {why}");
        Ok(())
    }
}

/// `-q` with a value after it is vLLM's, alone it is ours.
fn with_long_quantization(words: &[String]) -> Vec<String> {
    let is_vllms = |at: usize, word: &str| {
        word.starts_with("-q=") || word == "-q" && words.get(at + 1).is_some_and(|next| !next.starts_with('-'))
    };
    let long = |(at, word): (usize, &String)| match is_vllms(at, word) {
        true => word.replacen("-q", "--quantization", 1),
        false => word.clone(),
    };
    words.iter().enumerate().map(long).collect()
}

/// Whether a later occurrence of a flag of vLLM's takes the place of this one.
fn is_overridden(given: &Given<'_>, rest: &[Argument<'_>]) -> bool {
    let is_same = |other: &Argument<'_>| matches!(other, Argument::Flag(other) if other.spec.name == given.spec.name);
    let is_vllms = is_of_scenario(given.spec.name) || spec_of(given.spec.name).is_some();
    is_vllms && !given.spec.repeats && rest.iter().any(is_same)
}

/// The words of a flag as this program's parser takes them; none if it is as if it were not given.
fn in_full(given: &Given<'_>) -> Vec<String> {
    let name = given.spec.name;
    let value = given.value();
    match (given.spec.takes, value.as_deref()) {
        (Takes::Nothing, Some("false")) => vec![name.replacen("--", "--no-", 1)],
        (Takes::Nothing, _) => vec![name.to_owned()],
        (_, Some(value)) if given.spec.is_not_given(value) => vec![],
        (Takes::One | Takes::OneOrNothing, Some(value)) => vec![format!("{name}={value}")],
        _ => [name.to_owned()].into_iter().chain(given.words.iter().cloned()).collect(),
    }
}
