//! The arguments of one program, flag by flag, as vLLM's own parser takes them.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::variables::is_open;
use super::{Program, ReadCommand, SetAside, UnknownFlag};
use crate::config::SpeculativeArgs;
use crate::config::flags::grammar::{self, Argument, Given};
use crate::config::flags::{
    BENCH_SERVE, FlagEffect, FlagError, FlagGroup, FlagSpec, SERVE, Takes, ValueKind, bench_serve_flag, removed,
    serve_flag,
};
use crate::scenario::{FLAGS, Flag, Form, Part, can_be_off, find, meaning};
use crate::vllm_version::VllmVersion;

impl Program {
    /// The tables of its flags.
    const fn groups(self) -> &'static [&'static [FlagGroup]] {
        match self {
            Self::Serve => &[SERVE],
            Self::BenchServe => &[BENCH_SERVE],
            Self::Simulate => &[SERVE, BENCH_SERVE],
        }
    }

    /// What one of its flags means.
    fn meaning(self, flag: &str, value: Option<&str>) -> Result<(FlagEffect, &'static str), FlagError> {
        match self {
            Self::Serve => serve_flag(flag, value),
            Self::BenchServe => bench_serve_flag(flag, value),
            Self::Simulate => meaning(flag, value),
        }
    }

    /// Whether it takes a flag.
    pub(super) fn has(self, flag: &Flag) -> bool {
        self.is_about(flag.part) && (self == Self::Simulate || flag.is_vllms)
    }
}

impl ReadCommand {
    pub(super) fn take_program(&mut self, program: Program, arguments: &[String]) {
        // What another program of the same text has said of the same parts.
        let given: Vec<&'static Flag> = self.scenario.given().map(|(flag, _)| flag).collect();
        for flag in given.into_iter().filter(|flag| program.is_about(flag.part) && program.has(flag)) {
            self.scenario.unset(flag.name);
        }
        self.programs.push(program);
        let earlier = self.model.take();
        self.take_arguments(program, arguments);
        let of_this = self.model.take();
        let served = of_this.as_deref().filter(|_| program.is_about(Part::Model));
        if let Some(Err(error)) = served.map(|model| self.scenario.set("model", Some(model))) {
            self.refused.push(error.to_string());
        }
        // What a server runs is the server's to say, whatever its clients call it.
        self.model = if program == Program::Serve { of_this.or(earlier) } else { earlier.or(of_this) };
    }

    fn take_arguments(&mut self, program: Program, arguments: &[String]) {
        let own = own_flags(program);
        let of_vllm = program.groups().iter().copied().flatten().flat_map(|group| group.flags).copied();
        let specs: Vec<FlagSpec<'_>> = own.iter().map(OwnFlag::spec).chain(of_vllm).collect();
        let is_server = program == Program::Serve;
        let arguments = if is_server { model_first(arguments) } else { arguments.to_vec() };
        let arguments = grammar::read(&arguments, &specs, usize::from(is_server));
        let mut keys = Vec::new();
        let mut is_behind_model = false;
        for (at, argument) in arguments.iter().enumerate() {
            let was_behind_model = core::mem::take(&mut is_behind_model);
            match argument {
                Argument::Flag(given) if is_left_open(program, given) => {
                    let name = given.spec.name;
                    self.unknown.push(UnknownFlag::open(name, given.value(), program));
                }
                Argument::Flag(given) => match self.checked(given) {
                    Some(_) if !counts(given, arguments.get(at + 1..).unwrap_or_default()) => {}
                    // They go on top of the whole, wherever they stand.
                    Some(given) if SpeculativeArgs::key_of_flag(given.spec.name).is_some() => keys.push(given),
                    Some(given) => self.take_flag(program, given),
                    None => {}
                },
                Argument::Word(word) if word == "--" && is_server && (self.model.is_none() || was_behind_model) => {}
                Argument::Word(word) => is_behind_model = self.take_positional(program, word),
                Argument::Unknown { flag, words } => {
                    let value = (!words.is_empty()).then(|| words.join(" "));
                    let why = why_unknown(program, flag);
                    self.unknown.push(UnknownFlag { flag: flag.clone(), value, program, why });
                }
                Argument::Wrong(error) => self.refused.push(error.to_string()),
            }
        }
        for given in keys {
            self.take_flag(program, given);
        }
    }

    /// The flag, if its words are values of it.
    fn checked<'a>(&mut self, given: &'a Given<'a>) -> Option<&'a Given<'a>> {
        match given.spec.check(&given.words) {
            _ if given.spec.takes == Takes::Nothing => Some(given),
            Ok(()) => Some(given),
            Err(error) => {
                self.refused.push(error.to_string());
                None
            }
        }
    }

    /// Takes a word that belongs to no flag; whether it was the model.
    fn take_positional(&mut self, program: Program, word: &str) -> bool {
        if is_open(word) {
            self.unknown.push(UnknownFlag::open(word, None, program));
        } else if program == Program::Serve && self.model.is_none() {
            self.model = Some(word.to_string());
            return true;
        } else {
            self.refused.push(alloc::format!("{word:?} belongs to no flag"));
        }
        false
    }

    fn take_flag(&mut self, program: Program, given: &Given<'_>) {
        let value = given.value();
        match (given.spec.name, &value) {
            ("--model" | "--model-tag", Some(model)) => {
                // What stands in a server's first place goes before.
                if program != Program::Serve || self.model.is_none() {
                    self.model = Some(model.clone());
                }
                return;
            }
            ("--help", _) => {
                self.refused.push("--help only prints flags; nothing is run".to_string());
                return;
            }
            // A label.
            ("--served-model-name", Some(_)) => return,
            ("--profile", Some(path)) if program == Program::Simulate => {
                self.profile = Some(path.clone());
                return;
            }
            _ => {}
        }
        let (name, value) = as_written(given, value);
        let is_key = SpeculativeArgs::key_of_flag(&name).is_some() && program.is_about(Part::Engine);
        let is_about = is_key || find(&name).is_some_and(|(place, _)| program.has(&FLAGS[place]));
        if is_about {
            if value.as_deref().is_some_and(|value| given.spec.is_not_given(value)) {
                self.scenario.unset(&name);
            } else if let Err(error) = self.scenario.set(&name, value.as_deref()) {
                self.refused.push(error.to_string());
            }
            return;
        }
        match program.meaning(&name, value.as_deref()) {
            Ok((effect, why)) => self.set_aside.push(SetAside {
                flag: name,
                value,
                program,
                why,
                is_fixed_by_profile: effect == FlagEffect::FixedByProfile,
            }),
            Err(FlagError::Unknown { flag }) => {
                let why = why_unknown(program, &flag);
                self.unknown.push(UnknownFlag { flag: name, value, program, why });
            }
            Err(error) => self.refused.push(error.to_string()),
        }
    }
}

impl UnknownFlag {
    /// What depends on a variable or a placeholder whose value nobody can know.
    fn open(flag: &str, value: Option<String>, program: Program) -> Self {
        let what = value.as_ref().map_or_else(|| "it".to_string(), |value| alloc::format!("{value:?}"));
        let why = alloc::format!("what {what} stands for is not in the text");
        Self { flag: flag.to_string(), value, program, why }
    }
}

/// The words of a server with its model in front, where vLLM puts the value of the first `--model`.
fn model_first(words: &[String]) -> Vec<String> {
    let is_model = |word: &String| word == "--model" || word.starts_with("--model=") && word.len() > "--model=".len();
    let Some((before, [flag, after @ ..])) = words.iter().position(is_model).and_then(|at| words.split_at_checked(at))
    else {
        return words.to_vec();
    };
    let (model, after) = match (flag.split_once('='), after.split_first()) {
        (Some((_, model)), _) => (model.to_string(), after),
        (None, Some((model, after))) => (model.clone(), after),
        (None, None) => return words.to_vec(),
    };
    core::iter::once(model).chain(before.iter().chain(after).cloned()).collect()
}

/// Whether a flag that matters has a value that nobody can know.
fn is_left_open(program: Program, given: &Given<'_>) -> bool {
    let is_looked_at = match given.spec.name {
        "--model" | "--model-tag" | "--profile" => true,
        "--served-model-name" => false,
        name => !matches!(program.meaning(name, None), Ok((FlagEffect::NoEffect, _))),
    };
    is_looked_at && given.value().as_deref().is_some_and(is_open)
}

/// Whether a flag counts: the last of its name does, and each of one that may be repeated.
fn counts(given: &Given<'_>, rest: &[Argument<'_>]) -> bool {
    let is_same = |other: &Argument<'_>| matches!(other, Argument::Flag(other) if other.spec.name == given.spec.name);
    given.spec.repeats || !rest.iter().any(is_same)
}

/// Name and value as a command has them: of a switch no value, and the name that turns it off if it is off.
fn as_written(given: &Given<'_>, value: Option<String>) -> (String, Option<String>) {
    let name = given.spec.name.to_string();
    match value.as_deref() {
        Some("false") if given.form.is_off => (given.form.to_string(), None),
        Some("false") if given.spec.can_be_off => (name.replacen("--", "--no-", 1), None),
        Some("true") if given.spec.takes == Takes::Nothing => (name, None),
        _ => (name, value),
    }
}

/// A flag that is in no table of vLLM's.
struct OwnFlag {
    /// With dashes.
    name: String,
    form: Form,
}

impl OwnFlag {
    fn spec(&self) -> FlagSpec<'_> {
        match self.form {
            Form::Switch if self.name == "--help" => FlagSpec::plain(&self.name).also(&["-h"]),
            Form::Switch => FlagSpec::switch(&self.name),
            Form::List => FlagSpec::text(&self.name).several(),
            Form::Integer => FlagSpec::text(&self.name).read_as(ValueKind::Integer),
            Form::Number => FlagSpec::text(&self.name).read_as(ValueKind::Number),
            Form::Choice(choices) => FlagSpec::text(&self.name).of(choices),
            Form::Text => FlagSpec::text(&self.name),
        }
    }
}

fn own_flags(program: Program) -> Vec<OwnFlag> {
    let own = |name: &str, form| OwnFlag { name: alloc::format!("--{name}"), form };
    let mut flags = alloc::vec![own("help", Form::Switch)];
    match program {
        // Older versions had it.
        Program::Serve => flags.push(own("model-tag", Form::Text)),
        // Datasets of ours are among its choices.
        Program::BenchServe => flags.push(own("dataset-name", Form::Text)),
        Program::Simulate => {
            let is_ours = |flag: &&Flag| !flag.is_vllms || flag.form == Form::Switch && !can_be_off(flag);
            flags.extend(FLAGS.iter().filter(is_ours).map(|flag| own(flag.name, flag.form)));
            flags.extend(["profile", "dataset-name"].map(|name| own(name, Form::Text)));
        }
    }
    flags
}

/// What to say of a flag that a program does not have.
fn why_unknown(program: Program, flag: &str) -> String {
    let version = VllmVersion::NEWEST;
    let is_of = |other: Program| !matches!(other.meaning(flag, None), Err(FlagError::Unknown { .. }));
    if let Some((why, _)) = removed(flag) {
        return alloc::format!("vLLM {version} no longer has this flag: {why}");
    }
    match [Program::Serve, Program::BenchServe].into_iter().find(|other| *other != program && is_of(*other)) {
        Some(other) => alloc::format!("a flag of {}, not of {}", other.name(), program.name()),
        None => alloc::format!("vLLM {version} has no such flag"),
    }
}
