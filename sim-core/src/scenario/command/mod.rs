//! Command lines of `vllm serve` and `vllm bench serve`, read into a scenario and written from it.
//!
//! No flag is dropped in silence: each is taken, or set aside with a reason, or named as one that vLLM does not have, or
//! refused by name. Neither is a flag that was there before, which no command names (`keep.rs`), nor what else in the
//! text could matter (`left_over.rs`). Commands are read as they are pasted: from a shell's script, `docker run`, a
//! Dockerfile, a unit of systemd, a page of Markdown, a compose file, a manifest of Kubernetes, a chart's values, or a
//! JSON list of arguments. A command is one only if a program is called: a sentence about it is none (`prose.rs`).

mod calls;
mod containers;
mod dockerfile;
mod error;
mod keep;
mod left_over;
mod pages;
mod programs;
mod prose;
mod shell;
mod take;
mod variables;
mod yaml;
mod yaml_flow;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::{Flag, Form, Part, Scenario};
use programs::Found;

pub use error::CommandError;
pub use keep::{EarlierFlag, YieldedFlag};
pub use left_over::LeftOver;

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
    /// The scenario that was there before, with what the commands say on top.
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
    /// Flags of these programs that were there before, are not named, and stay. The model is none of them.
    pub kept: Vec<EarlierFlag>,
    /// Flags that were there before and contradict what is said; the scenario is without them.
    pub yielded: Vec<YieldedFlag>,
    /// What stands beside the calls and is not read, though it could matter.
    pub left_over: Vec<LeftOver>,
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

/// Reads the commands in `text`: a script, a page with scripts, or YAML or JSON that has them. What is there `before` and
/// no command names stays, unless it contradicts what they say; the module `keep` says how. Of several calls of one
/// program the last counts, and each before it is named among what is left over.
///
/// # Errors
/// See [`CommandError`].
pub fn read(text: &str, before: &Scenario) -> Result<ReadCommand, CommandError> {
    if text.len() > MAX_COMMAND_BYTES {
        return Err(CommandError::TooLong { length: text.len() });
    }
    let Found { calls, left_over } = programs::find(text)?;
    // No command has such a byte, and none could be written again.
    if text.contains('\0') {
        return Err(CommandError::NoCommand);
    }
    let mut read = ReadCommand { left_over, ..ReadCommand::default() };
    for (place, (program, arguments)) in calls.iter().enumerate() {
        let mut later = calls.iter().skip(place + 1).filter(|(later, _)| later == program).peekable();
        if later.peek().is_none() {
            read.take_program(*program, arguments);
        } else if later.all(|(_, later)| later != arguments) {
            read.left_over.push(LeftOver::earlier_call(*program, arguments));
        }
    }
    read.put_on_top_of(before);
    Ok(read)
}

/// The words of a text, by quotation marks; `None` if one is left open.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    shell::words(text).ok()
}

/// Whether a text is meant as commands: whether [`read`] takes it, or says more of it than that there is none.
pub(super) fn is_meant(text: &str) -> bool {
    !matches!(programs::find(text), Err(CommandError::NoCommand))
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
    // vLLM takes `auto` for every format but this one.
    let is_value =
        |flag: &Flag, value: &str| program == Program::Simulate || (flag.name, value) != ("quantization", "auto");
    let given = scenario.given().filter(|(flag, _)| program.is_about(flag.part) && is_known(flag));
    for (flag, value) in given.filter(|(flag, value)| is_value(flag, value)) {
        let (name, value) = flag.written(value);
        words.push(match (value, flag.form) {
            (None, _) => alloc::format!("--{name}"),
            (Some(value), Form::List) => alloc::format!("--{name} {value}"),
            (Some(value), _) => with_value(&alloc::format!("--{name}"), &value),
        });
    }
    for flag in set_aside.iter().filter(|flag| flag.program == program) {
        words.push(match &flag.value {
            None => flag.flag.clone(),
            Some(value) => with_value(&flag.flag, value),
        });
    }
    words.join(" \\\n    ")
}

/// A flag with its value; one that looks like a flag is read as a value only behind `=`.
fn with_value(flag: &str, value: &str) -> String {
    let looks_like_flag = value.starts_with('-') && value.parse::<f64>().is_err();
    let between = if looks_like_flag { '=' } else { ' ' };
    alloc::format!("{flag}{between}{}", quoted(value))
}

fn quoted(word: &str) -> String {
    // A word with a NUL byte cannot be quoted, nor be on a command line.
    shlex::try_quote(word).map_or_else(|_| String::new(), |word| word.into_owned())
}
