//! The arguments of one program, flag by flag, as vLLM's own parser takes them.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::variables::is_open;
use super::{Program, ReadCommand, SetAside, UnknownFlag};
use crate::config::SpeculativeArgs;
use crate::config::flags::{
    Arity, BENCH_SERVE, FlagEffect, FlagError, FlagGroup, SERVE, arity, bench_serve_flag, expanded, normalised,
    removed, serve_flag,
};
use crate::scenario::{FLAGS, Flag, Form, Part, find, meaning};
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

/// A flag with what belongs to it.
struct Given<'a> {
    /// In full, with dashes, without its value.
    name: String,
    value: Option<String>,
    /// What follows.
    rest: &'a [String],
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
        let mut rest = arguments;
        while let Some((word, after)) = rest.split_first() {
            // A name in short for the level is written together with it.
            let level = word.strip_prefix("-O").filter(|_| program != Program::BenchServe);
            if let Some(level) = level {
                let (level, behind) = match level.trim_start_matches('=') {
                    "" => (after.first().map_or("", String::as_str), after.get(1..).unwrap_or_default()),
                    level => (level, after),
                };
                self.take_flag(program, "--optimization-level", Some(level.to_string()));
                rest = behind;
                continue;
            }
            if !word.starts_with('-') || word.parse::<f64>().is_ok() {
                self.take_positional(program, word);
                rest = after;
                continue;
            }
            rest = match self.given(program, word, after) {
                Ok(given) => {
                    self.take_flag(program, &given.name, given.value);
                    given.rest
                }
                Err(error) => {
                    self.refused.push(error.to_string());
                    after.get(usize::from(after.first().is_some_and(|word| is_value(word)))..).unwrap_or_default()
                }
            };
        }
    }

    /// The flag that begins with `word`, with as many of the words `after` it as are its own.
    fn given<'a>(&self, program: Program, word: &str, after: &'a [String]) -> Result<Given<'a>, FlagError> {
        let (written, inline) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_string())),
            None => (word, None),
        };
        let own = own_flags(program);
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let old = removed(&normalised(written));
        let is_old = old.is_some() && matches!(program.meaning(written, None), Err(FlagError::Unknown { .. }));
        let name = if is_old { written.to_string() } else { expanded(written, program.groups(), &own)? };
        let is_known = find(&name).is_some() || !matches!(program.meaning(&name, None), Err(FlagError::Unknown { .. }));
        let form = find(&name).map(|(place, _)| FLAGS[place].form);
        let num_followers = after.iter().take_while(|word| is_value(word)).count();
        let num_values = match (inline.is_some(), form, old) {
            (true, ..) => 0,
            (_, _, Some((_, has_value))) if is_old => num_followers.min(usize::from(has_value)),
            // Older versions took a word after some switches.
            (_, Some(Form::Switch), _) => usize::from(after.first().is_some_and(|word| truth(word).is_some())),
            (_, Some(Form::List), _) => num_followers,
            (_, Some(_), _) => num_followers.min(1),
            (_, None, _) => match arity(&name) {
                // Of a program of ours it has a value.
                Arity::Nothing if name == "--profile" && program == Program::Simulate => num_followers.min(1),
                Arity::Nothing => 0,
                Arity::One if is_known || self.model.is_none() => num_followers.min(1),
                Arity::One | Arity::Several => num_followers,
            },
        };
        let (values, rest) = after.split_at_checked(num_values).unwrap_or((&[], after));
        let value = inline.or_else(|| (!values.is_empty()).then(|| values.join(" ")));
        let value = match (form, value.as_deref().and_then(truth)) {
            (Some(Form::Switch), Some(truth)) => Some(truth.to_string()),
            _ => value,
        };
        Ok(Given { name, value, rest })
    }

    fn take_positional(&mut self, program: Program, word: &str) {
        if is_open(word) {
            self.unknown.push(UnknownFlag::open(word, None, program));
        } else if program == Program::Serve && self.model.is_none() {
            self.model = Some(word.to_string());
        } else {
            self.refused.push(alloc::format!("{word:?} belongs to no flag"));
        }
    }

    fn take_flag(&mut self, program: Program, name: &str, value: Option<String>) {
        let is_looked_at = |name| match name {
            "--model" | "--model-tag" | "--profile" => true,
            "--served-model-name" => false,
            name => !matches!(program.meaning(name, None), Ok((FlagEffect::NoEffect, _))),
        };
        if value.as_deref().is_some_and(is_open) && is_looked_at(name) {
            self.unknown.push(UnknownFlag::open(name, value, program));
            return;
        }
        match (name, &value) {
            ("--model" | "--model-tag", Some(model)) => {
                self.model = Some(model.clone());
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
        let is_key = SpeculativeArgs::key_of_flag(name).is_some() && program.is_about(Part::Engine);
        let is_about = is_key || find(name).is_some_and(|(place, _)| program.has(&FLAGS[place]));
        if is_about {
            if let Err(error) = self.scenario.set(name, value.as_deref()) {
                self.refused.push(error.to_string());
            }
            return;
        }
        match program.meaning(name, value.as_deref()) {
            Ok((effect, why)) => self.set_aside.push(SetAside {
                flag: name.to_string(),
                value,
                program,
                why,
                is_fixed_by_profile: effect == FlagEffect::FixedByProfile,
            }),
            Err(FlagError::Unknown { flag }) => {
                let why = why_unknown(program, &flag);
                self.unknown.push(UnknownFlag { flag: name.to_string(), value, program, why });
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

/// Names of flags that are in no table of vLLM's.
fn own_flags(program: Program) -> Vec<String> {
    match program {
        Program::BenchServe => Vec::new(),
        Program::Serve => alloc::vec!["--model-tag".to_string()],
        Program::Simulate => {
            let ours = FLAGS.iter().filter(|flag| !flag.is_vllms).map(|flag| alloc::format!("--{}", flag.name));
            ours.chain(["--profile".to_string()]).collect()
        }
    }
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

/// Whether a word is a value and no flag. Numbers may be negative.
fn is_value(word: &str) -> bool {
    !word.starts_with('-') || word.parse::<f64>().is_ok()
}

/// The words for true and false that older versions took after a switch.
fn truth(word: &str) -> Option<&'static str> {
    if word.eq_ignore_ascii_case("true") {
        Some("true")
    } else if word.eq_ignore_ascii_case("false") {
        Some("false")
    } else {
        None
    }
}
