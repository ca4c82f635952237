//! `--prefill-args` and `--decode-args`: flags of `vllm serve` that a role's engines have of their own.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::command::words;
use super::flag::{Flag, Form, Part};
use super::{Scenario, ScenarioError, find};

/// `--prefill-args`.
pub(super) const PREFILL_ARGS: Flag =
    role_flag("prefill-args", "Flags that prefill replicas have of their own, quoted and behind =");
/// `--decode-args`.
pub(super) const DECODE_ARGS: Flag =
    role_flag("decode-args", "Flags that decode replicas have of their own, quoted and behind =");

const fn role_flag(name: &'static str, help: &'static str) -> Flag {
    Flag { name, part: Part::Engine, form: Form::Text, help, default: "the same as all", is_vllms: false }
}

/// What engines are for, where some compute prompts and others answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// They compute prompts.
    Prefill,
    /// They load computed prompts and answer.
    Decode,
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Prefill, Self::Decode];

    /// The flag that gives it flags of its own, without dashes.
    #[must_use]
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Prefill => PREFILL_ARGS.name,
            Self::Decode => DECODE_ARGS.name,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        })
    }
}

/// Flags and their values, as [`Scenario::set`] takes them.
type Flags = Vec<(String, Option<String>)>;

/// Both roles' own flags.
#[derive(Debug, Clone, Default)]
pub(super) struct RoleArgs {
    prefill: Flags,
    decode: Flags,
}

impl RoleArgs {
    /// Sets the flags of a role; false if `name` is not that of one.
    pub(super) fn set(&mut self, name: &str, text: &str) -> Result<bool, ScenarioError> {
        let Some(role) = Role::ALL.into_iter().find(|role| role.flag() == name) else { return Ok(false) };
        let flags = read(role, text)?;
        *match role {
            Role::Prefill => &mut self.prefill,
            Role::Decode => &mut self.decode,
        } = flags;
        Ok(true)
    }

    fn of(&self, role: Role) -> &Flags {
        match role {
            Role::Prefill => &self.prefill,
            Role::Decode => &self.decode,
        }
    }
}

impl Scenario {
    /// The scenario of a role's engines: the role's own flags stand on top of those that all have.
    ///
    /// # Errors
    /// [`ScenarioError::InRole`] if a flag cannot be set beside those.
    pub fn of_role(&self, role: Role) -> Result<Self, ScenarioError> {
        let mut scenario = self.clone();
        Role::ALL.iter().for_each(|role| scenario.unset(role.flag()));
        put(&mut scenario, self.role_args.of(role)).map_err(|error| in_role(role, error))?;
        Ok(scenario)
    }

    /// Whether a role has flags of its own.
    #[must_use]
    pub fn has_own_args(&self, role: Role) -> bool {
        !self.role_args.of(role).is_empty()
    }

    /// Refuses flags of a role that is not there.
    ///
    /// # Errors
    /// [`ScenarioError::Value`].
    pub(super) fn check_role_args(&self) -> Result<(), ScenarioError> {
        let role = Role::ALL.into_iter().find(|&role| self.has_own_args(role) && !self.disaggregation().is_on());
        role.map_or(Ok(()), |role| {
            let need =
                alloc::format!("of anybody: give --prefill-replicas and --decode-replicas, some of which are {role}");
            let value = self.get(role.flag()).unwrap_or_default().to_owned();
            Err(ScenarioError::Value { flag: role.flag(), value, need })
        })
    }
}

/// An error in what a role has of its own.
pub(super) fn in_role(role: Role, error: ScenarioError) -> ScenarioError {
    ScenarioError::InRole { role, error: Box::new(error) }
}

fn put(scenario: &mut Scenario, flags: &Flags) -> Result<(), ScenarioError> {
    flags.iter().try_for_each(|(flag, value)| scenario.set(flag, value.as_deref()))
}

/// The flags of a text, each of which can be set.
fn read(role: Role, text: &str) -> Result<Flags, ScenarioError> {
    let wrong = |value: &str, need: &str| ScenarioError::Value {
        flag: role.flag(),
        value: value.to_owned(),
        need: need.to_owned(),
    };
    let words = words(text).ok_or_else(|| wrong(text, "closed: a quotation mark is left open"))?;
    let (mut flags, mut words) = (Flags::new(), words.into_iter());
    while let Some(word) = words.next() {
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        if !name.starts_with('-') {
            return Err(wrong(&word, "a flag of vllm serve: give --FLAG VALUE …"));
        }
        let spec = find(name).map(|(place, _)| &super::FLAGS[place]);
        if spec.is_some_and(|spec| !is_of_engine(spec)) {
            return Err(wrong(
                name,
                "a flag that a role may have of its own: those of an engine, its GPU and formats are",
            ));
        }
        let takes_value = spec.is_none_or(|spec| spec.form != Form::Switch);
        let value = if inline.is_none() && takes_value { words.next() } else { inline };
        flags.push((name.to_owned(), value));
    }
    // What one means does not depend on the others.
    put(&mut Scenario::default(), &flags).map_err(|error| in_role(role, error))?;
    Ok(flags)
}

/// Whether a flag is of an engine, and not of all of them together or of what they are asked.
fn is_of_engine(flag: &Flag) -> bool {
    match flag.part {
        Part::Model => flag.name != "model",
        Part::Engine => flag.is_vllms && flag.name != "speculative-config",
        Part::Workload | Part::Report => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const ROLES: [(&str, &str); 2] = [("prefill-replicas", "2"), ("decode-replicas", "1")];

    fn scenario(flags: &[(&str, &str)]) -> Result<Scenario, ScenarioError> {
        Scenario::from_flags(flags.iter().map(|&(flag, value)| (flag, Some(value))))
    }

    #[track_caller]
    fn check(text: &str, flag: &str, expect: [Option<&str>; 2]) {
        let flags = [ROLES[0], ROLES[1], ("max-num-seqs", "64"), ("prefill-args", text)];
        let scenario = scenario(&flags).expect("flags");
        let found = Role::ALL.map(|role| scenario.of_role(role).expect("a role"));
        assert_eq!(found.each_ref().map(|of_role| of_role.get(flag)), expect, "{text:?}");
        assert_eq!(found.map(|of_role| of_role.get("prefill-args").map(str::to_owned)), [None, None]);
    }

    #[test]
    fn a_roles_own_flags_go_before_those_of_all() {
        check("--max-num-batched-tokens 16384", "max-num-batched-tokens", [Some("16384"), None]);
        check("--max-num-seqs=8 -tp 2", "max-num-seqs", [Some("8"), Some("64")]);
        check("--max-num-seqs=8 -tp 2", "tensor-parallel-size", [Some("2"), None]);
        check("--no-enable-prefix-caching --data-parallel-size 4", "enable-prefix-caching", [Some("false"), None]);
        check("--no-enable-prefix-caching --data-parallel-size 4", "data-parallel-size", [Some("4"), None]);
        check("", "max-num-seqs", [Some("64"), Some("64")]);
    }

    #[test]
    fn what_is_wrong_is_said_of_the_role() {
        let long = format!("--max-num-seqs {}", "1".repeat(5_000));
        for (text, named) in [
            ("max-num-seqs 8", "\"max-num-seqs\""),
            ("--max-num-seqs many", "--max-num-seqs"),
            ("--max-num-seqs", "--max-num-seqs"),
            ("--no-such-flag 1", "--no-such-flag"),
            ("--enable-lora", "--enable-lora"),
            ("--request-rate 4", "--request-rate"),
            ("--replicas 4", "--replicas"),
            ("--prefill-args x", "--prefill-args"),
            ("--model other", "--model"),
            ("--enable-prefix-caching=yes", "--enable-prefix-caching"),
            ("--max-num-seqs \"8", "quotation mark"),
            (&long, "4096"),
        ] {
            let before = scenario(&ROLES).expect("flags");
            let mut after = before.clone();
            let error = format!("{}", after.set("decode-args", Some(text)).expect_err(text));
            assert!(error.contains("--decode-args") && error.contains(named), "{text}: {error}");
            assert_eq!(after, before, "nothing has changed");
        }
        let error = scenario(&[("decode-args", "--max-num-seqs 8")]).expect("flags").check_role_args();
        assert!(format!("{}", error.expect_err("no roles")).contains("--decode-replicas"));
    }
}
