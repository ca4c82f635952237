//! Command lines of `vllm serve` and `vllm bench serve`, read into a scenario and written from it.
//!
//! No flag is dropped in silence: each is taken, or set aside with a reason, or named as one that vLLM does not have, or
//! refused by name. Commands are read as they are pasted: from a shell's script, `docker run`, a compose file, a
//! manifest of Kubernetes, a chart's values, or a JSON list of arguments.

mod calls;
mod containers;
mod shell;
mod take;
mod yaml;
mod yaml_flow;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::{Flag, Form, Part, Scenario};
use calls::Call;

/// Longest text that is read, in bytes.
pub const MAX_COMMAND_BYTES: usize = 1 << 16;
/// How deep scripts may be nested (`sh -c "sh -c …"`).
const MAX_SCRIPTS: usize = 4;

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

impl Program {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Serve => "vllm serve",
            Self::BenchServe => "vllm bench serve",
            Self::Simulate => "profiler simulate",
        }
    }

    const fn is_about(self, part: Part) -> bool {
        match self {
            Self::Serve => matches!(part, Part::Model | Part::Engine),
            Self::BenchServe => matches!(part, Part::Workload | Part::Report),
            Self::Simulate => true,
        }
    }
}

/// What a text of commands says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReadCommand {
    /// The scenario that was there before, with the parts replaced that the commands are about.
    pub scenario: Scenario,
    /// The model, if one is named. That of a server is the scenario's `model`, too; a client's is not, for it may be any
    /// name that the server goes by.
    pub model: Option<String>,
    /// `--profile` of `profiler simulate`.
    pub profile: Option<String>,
    /// The programs that were called.
    pub programs: Vec<Program>,
    /// Flags that change nothing that is simulated.
    pub set_aside: Vec<SetAside>,
    /// Flags that the program does not have, or no longer; the scenario is without them.
    pub unknown: Vec<UnknownFlag>,
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

/// A flag that the program does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFlag {
    /// As given, with dashes.
    pub flag: String,
    /// Its value, if one was given.
    pub value: Option<String>,
    /// The program it was given to.
    pub program: Program,
    /// What became of it, or that it never was: reads on after the flag's name and a colon.
    pub why: String,
}

impl fmt::Display for UnknownFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.flag, self.why)
    }
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
    /// A quotation mark is left open in a command.
    Quotes {
        /// The line it is on, from 1.
        line: usize,
    },
    /// It begins as YAML or JSON does, has a container's keys, and cannot be read.
    Yaml {
        /// The line, from 1.
        line: usize,
        /// What is wrong there: reads on after a colon.
        why: &'static str,
    },
    /// It is YAML or JSON that names vLLM, and has neither a command of its nor a list of its flags.
    NoArguments,
    /// Nothing in it calls a program whose flags are known.
    NoCommand,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length } => write!(f, "command: {length} bytes; the limit is {MAX_COMMAND_BYTES}"),
            Self::Quotes { line } => write!(f, "command, line {line}: a quotation mark is not closed"),
            Self::Yaml { line, why } => write!(f, "command, line {line}: {why}"),
            Self::NoArguments => f.write_str(
                "this names vLLM, but in it is no command of vLLM's and no list of its flags (entrypoint:, command: or \
                 args:, as a text or a list); paste the container's part, or its flags behind vllm serve",
            ),
            Self::NoCommand => f.write_str(
                "this is no command that is known: it must call vllm serve, vllm bench serve, python -m \
                 vllm.entrypoints.openai.api_server, or profiler simulate, itself or in a container",
            ),
        }
    }
}

impl core::error::Error for CommandError {}

/// Reads the commands in `text`: a script, or YAML or JSON that has them. The parts of `before` that no command is about
/// stay. Of several calls of one program the last counts, and each before it is named among the unknown.
///
/// # Errors
/// See [`CommandError`].
pub fn read(text: &str, before: &Scenario) -> Result<ReadCommand, CommandError> {
    if text.len() > MAX_COMMAND_BYTES {
        return Err(CommandError::TooLong { length: text.len() });
    }
    let mut read = ReadCommand { scenario: before.clone(), ..ReadCommand::default() };
    for (program, arguments) in programs(text)? {
        read.take_program(program, &arguments);
    }
    Ok(read)
}

/// Whether a text is meant as commands: whether [`read`] takes it, or says more of it than that there is none.
pub(super) fn is_meant(text: &str) -> bool {
    !matches!(programs(text), Err(CommandError::NoCommand))
}

/// What is called in a text; never nothing.
fn programs(text: &str) -> Result<Vec<(Program, Vec<String>)>, CommandError> {
    let documents = if yaml::is_likely(text) { of_documents(text) } else { Err(CommandError::NoCommand) };
    match documents {
        Ok(found) => Ok(found),
        // Commands in a file of YAML are indented; a script's are not all.
        Err(CommandError::NoCommand) => of_script(text, 0),
        Err(fault) => of_script(&without_indented(text), 0).or(Err(fault)),
    }
}

/// The lines of a text that are not indented.
fn without_indented(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with([' ', '\t'])).collect::<Vec<_>>().join("\n")
}

fn of_documents(text: &str) -> Result<Vec<(Program, Vec<String>)>, CommandError> {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let names_vllm = text.to_ascii_lowercase().contains("vllm");
    let documents = match yaml::read(text) {
        Ok(documents) => documents,
        Err(fault) if has(&["image", "command", "args", "Args", "vllmConfig", "entrypoint"]) => {
            return Err(CommandError::Yaml { line: fault.line, why: fault.why });
        }
        Err(_) => return Err(CommandError::NoCommand),
    };
    let mut found = Vec::new();
    for call in documents.iter().flat_map(containers::calls_in) {
        found.extend(of_call(call, 0)?);
    }
    match found.is_empty() {
        false => Ok(found),
        true if names_vllm => Err(CommandError::NoArguments),
        true => Err(CommandError::NoCommand),
    }
}

fn of_script(text: &str, depth: usize) -> Result<Vec<(Program, Vec<String>)>, CommandError> {
    let commands = shell::commands(text, |words| calls::of_line(words).is_some());
    let commands = commands.map_err(|open| CommandError::Quotes { line: open.line })?;
    let mut found = Vec::new();
    for call in commands.iter().filter_map(|words| calls::of_line(words)) {
        found.extend(of_call(call, depth)?);
    }
    if found.is_empty() { Err(CommandError::NoCommand) } else { Ok(found) }
}

fn of_call(call: Call, depth: usize) -> Result<Vec<(Program, Vec<String>)>, CommandError> {
    match call {
        Call::Program(program, arguments) => Ok(alloc::vec![(program, arguments)]),
        Call::Script(_) if depth >= MAX_SCRIPTS => Ok(Vec::new()),
        Call::Script(script) => match of_script(&script, depth + 1) {
            Err(CommandError::NoCommand) => Ok(Vec::new()),
            found => found,
        },
    }
}

/// The command of `program` for `scenario`, one flag a line. `target` is the model; for `profiler simulate` the
/// profile's file, or nothing for the built-in one.
#[must_use]
pub fn write(program: Program, scenario: &Scenario, target: &str, set_aside: &[SetAside]) -> String {
    let mut words = Vec::new();
    let target = quoted(target);
    match program {
        Program::Serve => {
            let model = scenario.get("model").map_or(target, quoted);
            words.push(alloc::format!("vllm serve {model}"));
        }
        Program::BenchServe => words.push(alloc::format!("vllm bench serve --model {target}")),
        Program::Simulate if target == "''" || target.is_empty() => words.push("profiler simulate".to_string()),
        Program::Simulate => words.push(alloc::format!("profiler simulate --profile {target}")),
    }
    let is_known = |flag: &Flag| program == Program::Simulate || flag.is_vllms && flag.name != "model";
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
