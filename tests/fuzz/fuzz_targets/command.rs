//! Pasted commands, from scripts, YAML and JSON: what is taken of them is also what is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim_core::scenario::command::{self, Program};
use sim_core::scenario::{Recognised, Scenario, recognise};

fuzz_target!(|text: &str| {
    match command::read(text, &Scenario::default()) {
        Ok(read) => {
            assert!(!read.programs.is_empty(), "nothing was called");
            let unknown = read.unknown.iter().map(ToString::to_string);
            assert!(unknown.chain(read.refused).all(|sentence| !sentence.is_empty()), "something is left unsaid");
            let written = command::write(Program::Simulate, &read.scenario, "", &[]);
            let again = command::read(&written, &Scenario::default()).expect("a command of ours");
            assert_eq!(again.scenario, read.scenario, "{written}");
        }
        Err(refused) => {
            let text = refused.to_string();
            assert!(!text.is_empty() && text.len() < 1_000, "{} bytes: {text}", text.len());
        }
    }
    // What is recognised is read, or refused with more to say than that it is none.
    if let Ok(Recognised::Command { text }) = recognise(text.as_bytes()) {
        let read = command::read(&text, &Scenario::default());
        assert!(!matches!(read, Err(command::CommandError::NoCommand)), "{text:?}");
    }
});
