//! Command lines of `vllm serve` and `vllm bench serve`, read into a scenario and written from it.
//!
//! No flag is dropped in silence: each is taken, or set aside with a reason, or refused by name.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::{Flag, Form, Part, Scenario, meaning};
use crate::config::SpeculativeArgs;
use crate::config::flags::FlagEffect;

/// Longest text that is read, in bytes.
pub const MAX_COMMAND_BYTES: usize = 1 << 16;

/// A program whose flags a scenario has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `vllm serve`: the engine's flags.
    Serve,
    /// `vllm bench serve`: the workload's and the report's.
    BenchServe,
    /// `profiler simulate`: all.
    Simulate,
}

/// What a text of commands says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReadCommand {
    /// The scenario that was there before, with the parts replaced that the commands are about.
    pub scenario: Scenario,
    /// The model, if one is named.
    pub model: Option<String>,
    /// `--profile` of `profiler simulate`.
    pub profile: Option<String>,
    /// The programs that were called.
    pub programs: Vec<Program>,
    /// Flags that change nothing that is simulated.
    pub set_aside: Vec<SetAside>,
    /// Flags that cannot be taken, each as a sentence that names it. The scenario is then without them.
    pub refused: Vec<String>,
}

/// A flag that changes nothing that is simulated, or that the profile has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// As given, with dashes.
    pub flag: String,
    /// Its value, if one was given.
    pub value: Option<String>,
    /// The program it was given to.
    pub program: Program,
    /// Why it changes nothing: reads on after the flag's name and a colon.
    pub why: &'static str,
    /// Whether the profile has decided it, so that another value needs another profile.
    pub is_fixed_by_profile: bool,
}

/// Why a text cannot be read as commands. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// It is longer than [`MAX_COMMAND_BYTES`].
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A quotation mark or a backslash is left open.
    Quotes {
        /// The line, from 1, as commands that go over several lines are counted once.
        line: usize,
    },
    /// No line calls a program whose flags are known.
    NoCommand,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length } => write!(f, "command: {length} bytes; the limit is {MAX_COMMAND_BYTES}"),
            Self::Quotes { line } => write!(f, "command {line}: a quotation mark is not closed"),
            Self::NoCommand => f.write_str(
                "this is no command that is known: it must call vllm serve, vllm bench serve, python -m \
                 vllm.entrypoints.openai.api_server, or profiler simulate",
            ),
        }
    }
}

impl core::error::Error for CommandError {}

/// Reads the commands in `text`, one per line; a backslash at its end continues a line. The parts of `before` that no
/// command is about stay.
///
/// # Errors
/// See [`CommandError`].
pub fn read(text: &str, before: &Scenario) -> Result<ReadCommand, CommandError> {
    if text.len() > MAX_COMMAND_BYTES {
        return Err(CommandError::TooLong { length: text.len() });
    }
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let mut read = ReadCommand { scenario: before.clone(), ..ReadCommand::default() };
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for (place, line) in lines.enumerate() {
        let words = shlex::split(line).ok_or(CommandError::Quotes { line: place + 1 })?;
        if let Some((program, arguments)) = called(&words) {
            read.take_program(program, arguments);
        }
    }
    if read.programs.is_empty() { Err(CommandError::NoCommand) } else { Ok(read) }
}

/// The program that `words` call, and what follows it.
fn called(words: &[String]) -> Option<(Program, &[String])> {
    const CALLS: [(&[&str], Program); 6] = [
        (&["vllm", "bench", "serve"], Program::BenchServe),
        (&["vllm", "serve"], Program::Serve),
        (&["profiler", "simulate"], Program::Simulate),
        (&["-m", "vllm.entrypoints.openai.api_server"], Program::Serve),
        (&["-m", "vllm.entrypoints.cli.main", "serve"], Program::Serve),
        (&["vllm/vllm-openai"], Program::Serve),
    ];
    for start in 0..words.len() {
        for (call, program) in CALLS {
            let is_called = call.iter().enumerate().all(|(offset, word)| {
                let last = words.get(start + offset).map_or("", |given| given.rsplit('/').next().unwrap_or(given));
                let image = words.get(start + offset).is_some_and(|given| given.split(':').next() == Some(word));
                last == *word || image || words.get(start + offset).is_some_and(|given| given == word)
            });
            if is_called {
                return Some((program, words.get(start + call.len()..).unwrap_or_default()));
            }
        }
    }
    None
}

impl Program {
    const fn is_about(self, part: Part) -> bool {
        match self {
            Self::Serve => matches!(part, Part::Engine),
            Self::BenchServe => matches!(part, Part::Workload | Part::Report),
            Self::Simulate => true,
        }
    }
}

impl ReadCommand {
    fn take_program(&mut self, program: Program, arguments: &[String]) {
        self.programs.push(program);
        let given: Vec<&'static Flag> = self.scenario.given().map(|(flag, _)| flag).collect();
        for flag in given.into_iter().filter(|flag| program.is_about(flag.part)) {
            self.scenario.unset(flag.name);
        }
        let mut rest = arguments;
        while let Some((word, after)) = rest.split_first() {
            rest = after;
            if matches!(word.as_str(), "&&" | ";" | "|" | "&" | "||" | ">" | "2>&1") {
                break;
            }
            if !word.starts_with('-') {
                self.take_positional(program, word);
                continue;
            }
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (word.as_str(), None),
            };
            let form = super::find(name).map(|(place, _)| super::FLAGS[place].form);
            let is_value = |word: &String| !word.starts_with('-') || word.parse::<f64>().is_ok();
            let num_values = match (form, &inline) {
                (_, Some(_)) | (Some(Form::Switch), None) => 0,
                (Some(Form::List), None) => rest.iter().take_while(|word| is_value(word)).count(),
                (_, None) => usize::from(rest.first().is_some_and(is_value)),
            };
            let (values, after) = rest.split_at_checked(num_values).unwrap_or((&[], rest));
            rest = after;
            let value = inline.or_else(|| (!values.is_empty()).then(|| values.join(" ")));
            self.take_flag(program, name, value);
        }
    }

    fn take_positional(&mut self, program: Program, word: &str) {
        if program == Program::Serve && self.model.is_none() {
            self.model = Some(word.to_string());
        } else {
            self.refused.push(alloc::format!("{word:?} belongs to no flag"));
        }
    }

    fn take_flag(&mut self, program: Program, name: &str, value: Option<String>) {
        match (name, &value) {
            ("--model" | "--served-model-name", Some(model)) => {
                if name == "--model" {
                    self.model = Some(model.clone());
                }
                return;
            }
            ("--profile", Some(path)) if program == Program::Simulate => {
                self.profile = Some(path.clone());
                return;
            }
            _ => {}
        }
        let is_key = SpeculativeArgs::key_of_flag(name).is_some() && program.is_about(Part::Engine);
        let is_about = is_key || super::find(name).is_some_and(|(place, _)| program.is_about(super::FLAGS[place].part));
        if is_about {
            if let Err(error) = self.scenario.set(name, value.as_deref()) {
                self.refused.push(error.to_string());
            }
            return;
        }
        match meaning(name, value.as_deref()) {
            // A switch in front of a positional argument: the word after it is none of its own.
            Ok((FlagEffect::Simulated, _)) => {
                self.refused.push(alloc::format!("{name}: this command has no such flag, another of vLLM's has"));
            }
            Ok((effect, why)) => self.set_aside.push(SetAside {
                flag: name.to_string(),
                value,
                program,
                why,
                is_fixed_by_profile: effect == FlagEffect::FixedByProfile,
            }),
            Err(error) => self.refused.push(error.to_string()),
        }
    }
}

/// The command of `program` for `scenario`, one flag a line. `target` is the model; for `profiler simulate` the
/// profile's file, or nothing for the built-in one.
#[must_use]
pub fn write(program: Program, scenario: &Scenario, target: &str, set_aside: &[SetAside]) -> String {
    let mut words = Vec::new();
    let target = quoted(target);
    match program {
        Program::Serve => words.push(alloc::format!("vllm serve {target}")),
        Program::BenchServe => words.push(alloc::format!("vllm bench serve --model {target}")),
        Program::Simulate if target == "''" || target.is_empty() => words.push("profiler simulate".to_string()),
        Program::Simulate => words.push(alloc::format!("profiler simulate --profile {target}")),
    }
    let is_known = |flag: &Flag| program == Program::Simulate || flag.is_vllms;
    for (flag, value) in scenario.given().filter(|(flag, _)| program.is_about(flag.part) && is_known(flag)) {
        let (name, value) = flag.written(value);
        words.push(match (value, flag.form) {
            (None, _) => alloc::format!("--{name}"),
            (Some(value), Form::List) => alloc::format!("--{name} {value}"),
            (Some(value), _) => alloc::format!("--{name} {}", quoted(&value)),
        });
    }
    for flag in set_aside.iter().filter(|flag| flag.program == program) {
        words.push(match &flag.value {
            None => flag.flag.clone(),
            Some(value) => alloc::format!("{} {}", flag.flag, quoted(value)),
        });
    }
    words.join(" \\\n    ")
}

fn quoted(word: &str) -> String {
    // A word with a NUL byte cannot be quoted, nor be on a command line.
    shlex::try_quote(word).map_or_else(|_| String::new(), |word| word.into_owned())
}
