//! What becomes of the flags that were there before, when a command does not name them.
//!
//! A text says nothing of what it does not say: such a flag **stays**, and where the command is of a program that has
//! it, it is named among the kept, so that the user can be asked. Only a flag that contradicts the command **yields**
//! ([`Scenario::contradiction`]: a dataset's own flag beside another dataset, a rate beside a trace's times, two words on
//! accepted drafts, …): without that, what was pasted could not be run, for a reason that stands in no command. It is
//! named with the reason. What contradicted each other before the command came stays as it was.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::ReadCommand;
use crate::scenario::{Flag, Scenario};

/// A flag that was there before the command, which does not name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierFlag {
    /// Its name, without dashes.
    pub flag: &'static str,
    /// Its value, as [`Scenario::get`] gives it.
    pub value: String,
    /// As a command line has it.
    pub written: String,
}

/// A flag that was there before and contradicts the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YieldedFlag {
    /// The flag.
    pub flag: EarlierFlag,
    /// What would be wrong with both: a sentence without its full stop.
    pub why: String,
}

impl fmt::Display for EarlierFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl EarlierFlag {
    fn new(flag: &'static Flag, value: &str) -> Self {
        let written = match flag.written(value) {
            (name, None) => alloc::format!("--{name}"),
            (name, Some(value)) => alloc::format!("--{name} {value}"),
        };
        Self { flag: flag.name, value: value.to_string(), written }
    }
}

impl ReadCommand {
    /// Puts what the commands say, which is the scenario so far, on top of what was there `before`.
    pub(super) fn put_on_top_of(&mut self, before: &Scenario) {
        let said = core::mem::take(&mut self.scenario);
        let mut earlier: Vec<(&'static Flag, &str)> =
            before.given().filter(|(flag, _)| said.get(flag.name).is_none()).collect();
        let is_kept = |flag: &Flag| flag.name != "model" && self.programs.iter().any(|program| program.has(flag));
        let told = |flags: &[(&'static Flag, &str)]| {
            flags.iter().filter(|(flag, _)| is_kept(flag)).map(|(flag, value)| EarlierFlag::new(flag, value)).collect()
        };
        let whole = with(&said, &earlier);
        let contradiction = whole.contradiction();
        if contradiction.is_none() || contradiction == before.contradiction() {
            self.kept = told(&earlier);
            self.scenario = whole;
            return;
        }
        // Each that adds no contradiction stays. One may need another that comes later, so again until none is added.
        let mut merged = said;
        let mut kept = Vec::new();
        loop {
            let num_before = earlier.len();
            earlier.retain(|&given| {
                let more = with(&merged, &[given]);
                let is_at_odds = more.contradiction().is_some_and(|found| Some(found) != merged.contradiction());
                if !is_at_odds {
                    merged = more;
                    kept.push(given);
                }
                is_at_odds
            });
            if earlier.len() == num_before {
                break;
            }
        }
        kept.sort_by_key(|(flag, _)| crate::scenario::find(flag.name));
        self.kept = told(&kept);
        self.yielded = earlier
            .iter()
            .filter_map(|&(flag, value)| {
                let why = with(&merged, &[(flag, value)]).contradiction()?.to_string();
                Some(YieldedFlag { flag: EarlierFlag::new(flag, value), why })
            })
            .collect();
        self.scenario = merged;
    }

    /// The scenario without the flags that were kept: vLLM's defaults in their place.
    #[must_use]
    pub fn without_kept(&self) -> Scenario {
        let mut scenario = self.scenario.clone();
        for kept in &self.kept {
            scenario.unset(kept.flag);
        }
        scenario
    }
}

/// `scenario` with flags that were taken before.
fn with(scenario: &Scenario, flags: &[(&'static Flag, &str)]) -> Scenario {
    let mut scenario = scenario.clone();
    for (flag, value) in flags {
        // Each was taken before, and what one means does not depend on the others.
        scenario.set(flag.name, Some(value)).ok();
    }
    scenario
}
