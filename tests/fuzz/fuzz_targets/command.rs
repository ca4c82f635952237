//! Pasted commands, from scripts, YAML and JSON: what is taken of them is also what is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim_core::scenario::command::{self, Program};
use sim_core::scenario::{Recognised, Scenario, recognise};

fuzz_target!(|text: &str| {
    match command::read(text, &Scenario::default()) {
        Ok(read) => {
            keeps_what_was_there(text);
            assert!(read.kept.is_empty() && read.yielded.is_empty(), "nothing was there");
            assert!(read.left_over.iter().all(|left| left.to_string().len() < 1_000), "too much of the text");
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

/// Whatever a command says, each flag that was there before is there still, or said anew, or named as given up.
fn keeps_what_was_there(text: &str) {
    let before = [
        ("max-num-seqs", "16"),
        ("enable-prefix-caching", "false"),
        ("dataset-name", "azure"),
        ("dataset-path", "a.csv"),
        ("max-concurrency", "9"),
    ];
    let before = Scenario::from_flags(before.map(|(flag, value)| (flag, Some(value)))).expect("flags");
    let said = command::read(text, &Scenario::default()).expect("it was read").scenario;
    let read = command::read(text, &before).expect("it was read");
    for (flag, value) in before.given() {
        let is_said = said.get(flag.name).is_some();
        let has_yielded = read.yielded.iter().any(|yielded| yielded.flag.flag == flag.name);
        let expect = said.get(flag.name).or((!has_yielded).then_some(value));
        assert!(read.scenario.get(flag.name) == expect && !(is_said && has_yielded), "{}: {text:?}", flag.name);
    }
}
