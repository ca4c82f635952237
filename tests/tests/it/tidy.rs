//! Properties of the code itself: what `ARCHITECTURE.md` promises and no compiler checks.

mod source;

use std::collections::BTreeSet;

use source::{Source, rust_files, text_files};

/// Most lines of a Rust file.
const MAX_LINES: usize = 400;
/// Most lines of all files on the 15-minute path together, tests and empty ones left out: about 130 a minute.
const MAX_READING_PATH_LINES: usize = 2_000;
/// The heading in `ARCHITECTURE.md` under which the files of that path are listed.
const READING_PATH_HEADING: &str = "## The 15-minute path";

/// Fails with one line per complaint.
#[track_caller]
fn expect_none(rule: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}

/// The files of `sim-core/src` in one of `folders` (or that very file).
fn core_files(folders: &[&str]) -> Vec<Source> {
    let files: Vec<Source> = rust_files()
        .into_iter()
        .filter(|file| {
            file.path.strip_prefix("sim-core/src/").is_some_and(|path| folders.iter().any(|f| path.starts_with(f)))
        })
        .collect();
    assert!(!files.is_empty(), "no file of sim-core is in {folders:?}: the rule checks nothing");
    files
}

/// No file in `folders` of `sim-core` may name one of the crate's modules `forbidden`.
#[track_caller]
fn check_wall(folders: &[&str], forbidden: &[&str], why: &str) {
    let mut complaints = Vec::new();
    for file in core_files(folders) {
        let code = file.code();
        complaints.extend(
            forbidden
                .iter()
                .filter(|module| source::names_module(&code, module))
                .map(|module| format!("{} names `{module}`", file.path)),
        );
    }
    expect_none(why, &complaints);
}

#[test]
fn the_scheduler_does_not_know_how_long_a_pass_takes() {
    let why = "a schedule may not depend on time";
    check_wall(&["sched/", "kv_cache/"], &["time", "profile", "metrics", "simulator", "engine_core"], why);
}

#[test]
fn the_profile_does_not_know_the_scheduler() {
    let why = "a step time depends on the batch alone";
    check_wall(&["profile/"], &["sched", "kv_cache", "metrics", "simulator", "engine_core"], why);
}

#[test]
fn the_metrics_only_receive_finished_facts() {
    check_wall(&["metrics/"], &["sched", "kv_cache", "engine_core", "simulator"], "metrics change nothing");
}

#[test]
fn serde_stops_at_the_files_that_are_read_and_written() {
    // A folder where files are parsed, or a file that writes results.
    const ALLOWED: &[&str] = &[
        "profile/",
        "workload/",
        "config/",
        "models/",
        "operators/",
        "metrics/json",
        "scenario/engines/json.rs",
        "scenario/model_config.rs",
    ];
    let complaints: Vec<String> = core_files(&[""])
        .iter()
        .filter(|file| !ALLOWED.iter().any(|prefix| file.path["sim-core/src/".len()..].starts_with(prefix)))
        .filter(|file| source::has_word_starting(&file.code(), "serde"))
        .map(|file| file.path.clone())
        .collect();
    expect_none("serde is for the formats of files, and these are not where files are read", &complaints);
}

#[test]
fn floats_go_through_math() {
    let mut complaints = Vec::new();
    for file in core_files(&[""]) {
        if file.path != "sim-core/src/math.rs" {
            let code = file.code();
            complaints.extend(source::float_methods(&code).map(|method| format!("{}: {method}", file.path)));
        }
    }
    expect_none("std's float functions differ between platforms; use crate::math", &complaints);
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let complaints: Vec<String> = rust_files()
        .iter()
        .map(|file| (file.text.lines().count(), &file.path))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, path)| format!("{path} has {lines} lines, the limit is {MAX_LINES}"))
        .collect();
    expect_none("split by meaning", &complaints);
}

#[test]
fn names_say_what_is_inside() {
    const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc"];
    let complaints: Vec<String> = rust_files()
        .iter()
        .filter(|file| file.path.split(['/', '.']).any(|part| EMPTY_NAMES.contains(&part)))
        .map(|file| file.path.clone())
        .collect();
    expect_none("a name that fits everything says nothing", &complaints);
}

#[test]
fn no_test_is_switched_off() {
    let attribute = concat!("#[", "ignore");
    let complaints: Vec<String> =
        rust_files().iter().filter(|file| file.code().contains(attribute)).map(|file| file.path.clone()).collect();
    expect_none("a test that does not run proves nothing; slow ones wait for RUN_SLOW_TESTS", &complaints);
}

#[test]
fn the_map_has_a_line_for_every_folder() {
    let map = source::read("ARCHITECTURE.md");
    let named = source::paths_named(&map);
    let complaints: BTreeSet<String> = rust_files()
        .iter()
        .filter(|file| ["sim-core/src/", "web/src/", "profiler/src/"].iter().any(|root| file.path.starts_with(root)))
        .filter_map(|file| {
            let (folder, _) = file.path.rsplit_once('/')?;
            // What lies beside the rooms has a name of its own.
            let place = if folder.ends_with("/src") { file.path.as_str() } else { folder };
            (!named.iter().any(|name| name == place)).then(|| place.to_owned())
        })
        .collect();
    expect_none("ARCHITECTURE.md does not name", &complaints.into_iter().collect::<Vec<_>>());
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let complaints: Vec<String> = rust_files()
        .iter()
        .filter(|file| ["sim-core/src/", "web/src/", "profiler/src/"].iter().any(|root| file.path.starts_with(root)))
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| file.path.clone())
        .collect();
    expect_none("the map leaves this to the file's first line", &complaints);
}

#[test]
fn the_map_names_nothing_that_is_gone() {
    let map = source::read("ARCHITECTURE.md");
    let files = rust_files();
    let complaints: Vec<String> = source::paths_named(&map)
        .into_iter()
        .filter(|named| named.ends_with(".rs"))
        .filter(|named| !files.iter().any(|file| source::is_suffix(named, &file.path)))
        .collect();
    expect_none("ARCHITECTURE.md names files that do not exist", &complaints);
}

#[test]
fn the_reading_path_fits_in_fifteen_minutes() {
    let map = source::read("ARCHITECTURE.md");
    let section = map.split("\n## ").find(|part| part.starts_with(&READING_PATH_HEADING[3..]));
    let section = section.unwrap_or_else(|| panic!("ARCHITECTURE.md has no heading `{READING_PATH_HEADING}`"));
    let files = rust_files();
    let mut lines = 0;
    let mut seen = BTreeSet::new();
    for named in source::paths_named(section).into_iter().filter(|named| named.ends_with(".rs")) {
        let matching: Vec<&Source> = files.iter().filter(|file| source::is_suffix(&named, &file.path)).collect();
        let [file] = matching[..] else {
            panic!("the reading path's `{named}` is {} files; write the path in full", matching.len());
        };
        if seen.insert(&file.path) {
            let read = file.text.split("\n#[cfg(test)]").next().unwrap_or_default();
            lines += read.lines().filter(|line| !line.trim().is_empty()).count();
        }
    }
    assert!(seen.len() >= 8, "the reading path has only {} files", seen.len());
    assert!(lines <= MAX_READING_PATH_LINES, "the reading path has {lines} lines, more than {MAX_READING_PATH_LINES}");
}

#[test]
fn every_dependency_has_a_reason() {
    let manifest = source::read("Cargo.toml");
    expect_none("a comment line above each dependency says why it is there", &source::without_reason(&manifest));
    let mut complaints = Vec::new();
    for member in source::members(&manifest) {
        let path = format!("{member}/Cargo.toml");
        let manifest = source::read(&path);
        complaints.extend(source::own_dependencies(&manifest).into_iter().map(|line| format!("{path}: {line}")));
    }
    expect_none("members take dependencies from the workspace, where the reasons stand", &complaints);
}

#[test]
fn no_file_names_a_machine_of_its_author() {
    // In pieces, or this file would be the first offender.
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/", "wt/"), concat!("/fa", "rm/")];
    let mut complaints = Vec::new();
    for file in text_files() {
        for (number, line) in (1..).zip(file.text.lines()) {
            if let Some(place) = places.iter().find(|place| source::has_path_starting(line, place)) {
                complaints.push(format!("{}:{number} has {place}", file.path));
            }
        }
    }
    expect_none("a path of one machine means nothing on another", &complaints);
}
