//! Bad input of every kind, and the whole text that its user reads: one file in `snapshots` for each.
//!
//! A text is right if it says which field or place is wrong, what stands there, and what would be right. Read a changed
//! snapshot that way before it is accepted: `cargo insta review`.

mod goodputs;
mod layers;
mod profiles;
mod simulations;
mod speculation;
mod workloads;

use std::error::Error;
use std::fs;
use std::path::PathBuf;

/// Compares what a user reads about `error`, its sources included, with the snapshot `hostile_<name>`.
#[track_caller]
fn check_text(name: &str, error: &dyn Error) {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(format!("hostile_{name}"), text);
    });
}

/// Every snapshot's name and text, without its head.
fn snapshots() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshots");
    let mut snapshots = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder of snapshots") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if let Some(name) = name.strip_prefix("hostile_").and_then(|name| name.strip_suffix(".snap")) {
            let file = fs::read_to_string(&path).expect("a snapshot");
            let (_, text) = file.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")).expect("a head");
            snapshots.push((name.to_owned(), text.trim_end().to_owned()));
        }
    }
    snapshots
}

/// Whether a text points anywhere: a JSON path, a line, a request or entry, an option or field by its name, or the whole file.
fn names_a_place(text: &str) -> bool {
    let numbered =
        |word: &str| text.split(word).skip(1).any(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    let is_name = |word: &str| word.contains('_') && word.chars().all(|c| c.is_ascii_lowercase() || "_.".contains(c));
    let names_a_field = text.split(|c: char| c.is_whitespace() || ",:;=()[]".contains(c)).any(is_name);
    let whole = ["the profile has", "in the file;", "the dataset yields", "service level objective"];
    text.starts_with("--")
        || text.contains("$.")
        || text.starts_with("$: ")
        || numbered("line ")
        || numbered("request ")
        || numbered("entry ")
        || ["request_rate", "burstiness"].iter().any(|option| text.contains(option))
        || names_a_field
        || whole.iter().any(|whole| text.contains(whole))
}

#[test]
fn every_text_names_a_place_and_is_meant_for_people() {
    let snapshots = snapshots();
    assert!(snapshots.len() >= 55, "only {} snapshots: are they in another folder?", snapshots.len());
    for (name, text) in &snapshots {
        assert!(names_a_place(text), "{name} names neither field nor place: {text}");
        // What the program's own types look like, and words only its authors know.
        let inside = ["panicked", "unwrap", "Some(", "None", "Err(", "Error", " { ", "f64", "u32", "u64", "usize"];
        for word in inside {
            assert!(!text.contains(word), "{name} shows {word:?}, which is ours, not the user's: {text}");
        }
        assert!(text.len() < 2_000, "{name} is too long to read: {} bytes", text.len());
    }
}
