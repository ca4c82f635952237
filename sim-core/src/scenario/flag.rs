//! A flag of a scenario: its name, what it belongs to and how its value is written.

use alloc::string::{String, ToString};

/// How the value of a flag is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A whole number, with vLLM's suffixes where vLLM takes them.
    Integer,
    /// A number.
    Number,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// No value; `--no-` in front turns it off.
    Switch,
    /// Any text.
    Text,
    /// Words, separated by spaces.
    List,
}

/// What a flag belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Which model runs on which GPU, and in which numbers: `vllm serve`, and the GPU. A profile is composed of these,
    /// together with `tensor-parallel-size`.
    Model,
    /// `vllm serve`: the rest.
    Engine,
    /// `vllm bench serve`: what is sent and when.
    Workload,
    /// `vllm bench serve`: what is reported.
    Report,
}

/// A flag of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// Its name without dashes.
    pub name: &'static str,
    /// What it belongs to.
    pub part: Part,
    /// How its value is written.
    pub form: Form,
    /// What it does: a phrase without full stop.
    pub help: &'static str,
    /// What holds if it is not given, for people; empty where that is the engine's to resolve, or nothing.
    pub default: &'static str,
    /// Whether vLLM has it; the others are ours.
    pub is_vllms: bool,
}

impl Flag {
    /// The flag with its value as [`super::Scenario::set`] reads it: name without dashes, no value for a switch.
    #[must_use]
    pub fn written(&self, value: &str) -> (String, Option<String>) {
        match self.form {
            Form::Switch if value == "false" => (alloc::format!("no-{}", self.name), None),
            Form::Switch => (self.name.to_string(), None),
            _ => (self.name.to_string(), Some(value.to_string())),
        }
    }
}
