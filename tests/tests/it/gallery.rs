//! The page's gallery: its index says of each shipped profile what the profile says of itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::profile_fixture::file;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: String,
    model: String,
    hardware: String,
    num_devices: u64,
    weights: String,
    kind: String,
    line: String,
}

fn index() -> Vec<Entry> {
    serde_json::from_slice(&file("../www/profiles/index.json")).expect("a list of entries")
}

#[test]
fn the_index_lists_every_profile_once() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../www/profiles");
    let shipped: BTreeSet<String> = fs::read_dir(folder)
        .expect("the gallery")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        // Builds of the page put what is sent compressed beside it.
        .filter(|name| name != "index.json" && !name.ends_with(".gz") && !name.ends_with(".br"))
        .collect();
    let listed: Vec<String> = index().into_iter().map(|entry| entry.file).collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), shipped);
    assert_eq!(listed.len(), shipped.len(), "a profile is listed twice");
}

#[test]
fn the_index_says_what_the_profile_says() {
    for entry in index() {
        let profile: Value = serde_json::from_slice(&file(&format!("../www/profiles/{}", entry.file))).expect("JSON");
        for (said, pointer) in
            [(&entry.model, "/model/name"), (&entry.hardware, "/hardware/name"), (&entry.kind, "/provenance/kind")]
        {
            assert_eq!(Some(said.as_str()), profile.pointer(pointer).and_then(Value::as_str), "{}", entry.file);
        }
        assert_eq!(Some(entry.num_devices), profile.pointer("/hardware/num_devices").and_then(Value::as_u64));
        let text = |pointer: &str| profile.pointer(pointer).and_then(Value::as_str);
        let weights = text("/engine/quantization").or_else(|| text("/engine/dtype"));
        assert_eq!(Some(entry.weights.as_str()), weights, "{}", entry.file);
        assert!((20..=160).contains(&entry.line.len()), "{}: one line: {:?}", entry.file, entry.line);
        // A reader of the gallery must not take an estimate for a measurement.
        assert!(entry.kind == "measured" || !entry.line.starts_with("Measured"), "{}", entry.file);
    }
}

#[test]
fn a_profile_of_the_gallery_is_small_and_a_derived_one_says_what_it_was_made_of() {
    for entry in index() {
        let bytes = file(&format!("../www/profiles/{}", entry.file));
        assert!(bytes.len() < 60_000, "{}: {} bytes", entry.file, bytes.len());
        let profile: Value = serde_json::from_slice(&bytes).expect("JSON");
        if entry.kind == "derived" {
            let licence = profile.pointer("/provenance/sources/0/licence").and_then(Value::as_str);
            assert_eq!(licence, Some("Apache-2.0"), "{}", entry.file);
            let notes = profile.pointer("/provenance/notes").and_then(Value::as_array).expect("notes");
            let names_pack = notes.iter().filter_map(Value::as_str).any(|note| note.contains("notes of the pack"));
            assert!(names_pack, "{}: where it is told what was changed in the operators' times", entry.file);
        }
    }
}
