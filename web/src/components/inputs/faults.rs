//! Which field a fault of the whole run is to be told at: the first given flag that its message names.

use leptos::prelude::*;
use sim_core::scenario::{Part, Scenario};

use crate::state::{AppState, RunState};

/// A fault, the flag that it names, and the value that this had.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    flag: &'static str,
    value: String,
    message: String,
}

/// What is wrong with the engine and with the last run, where a flag of the form is to blame. A context.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    engine: Memo<Option<Fault>>,
    run: Memo<Option<Fault>>,
}

impl Faults {
    pub(super) fn new(state: AppState) -> Self {
        let blame = move |message: &str| state.scenario.with_untracked(|scenario| blame(message, scenario));
        let engine = Memo::new(move |_| {
            state.engine.with(|engine| engine.as_ref().and_then(|engine| engine.as_ref().err().and_then(|m| blame(m))))
        });
        let run = Memo::new(move |_| {
            state.run_state.with(|run| match run {
                RunState::Failed(message) => blame(message),
                _ => None,
            })
        });
        Self { engine, run }
    }

    /// What is wrong with `flag`, which has this value now: what was said of another value is past.
    pub(super) fn at(self, flag: &'static str, value: Option<&str>) -> Option<String> {
        let of = |fault: &Option<Fault>| {
            let fault = fault.as_ref().filter(|fault| fault.flag == flag && value == Some(fault.value.as_str()));
            fault.map(|fault| fault.message.clone())
        };
        self.engine.with(of).or_else(|| self.run.with(of))
    }
}

/// Names are words: with dashes after `--`, or with underscores.
fn blame(message: &str, scenario: &Scenario) -> Option<Fault> {
    let words = message.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    words.map(|word| word.trim_start_matches('-').replace('_', "-")).find_map(|word| {
        // Words such as model and gpu are no names there: what is wrong with those is told where they are chosen.
        let (flag, value) = scenario.given().find(|(flag, _)| flag.name == word && flag.part != Part::Model)?;
        Some(Fault { flag: flag.name, value: value.to_owned(), message: message.to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, flags: &[(&str, &str)], expect: Option<(&str, &str)>) {
        let scenario =
            Scenario::from_flags(flags.iter().map(|(flag, value)| (*flag, Some(*value)))).expect("valid flags");
        let fault = blame(message, &scenario);
        assert_eq!(fault.as_ref().map(|fault| (fault.flag, fault.value.as_str())), expect, "{message}");
    }

    #[test]
    fn the_first_given_flag_that_is_named_is_to_blame() {
        let both = &[("max-num-seqs", "512"), ("max-num-batched-tokens", "256")];
        let message = "max_num_batched_tokens = 256 is below max_num_seqs = 512";
        check(message, both, Some(("max-num-batched-tokens", "256")));
        check(message, &both[..1], Some(("max-num-seqs", "512")));
        check(message, &[("request-rate", "1")], None);
        check("--request-rate: \"-1\" is not a rate", &[("request-rate", "-1")], Some(("request-rate", "-1")));
        check("max_num_seqs_of_another is 3", both, None);
        check("", both, None);
    }
}
