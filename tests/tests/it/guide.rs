//! The guide (`profiler/guide/src`): every page is in its summary, and every link leads somewhere. Its commands are run
//! by `profiler/tests/guide.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn folder() -> PathBuf {
    project().join("profiler/guide/src")
}

fn page_names() -> BTreeSet<String> {
    let names = fs::read_dir(folder()).expect("the guide");
    let names = names.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    names.filter(|name| name.ends_with(".md")).collect()
}

/// A page with the files that it includes.
fn text(name: &str) -> String {
    let text = fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut whole = String::new();
    for line in text.lines() {
        if let Some(inner) = line.strip_prefix("{{#include ").and_then(|rest| rest.strip_suffix("}}")) {
            let file = inner.split(':').next().unwrap_or_default();
            let path = folder().join(file);
            whole += &fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name} includes {file}: {error}"));
        } else {
            whole += line;
        }
        whole.push('\n');
    }
    whole
}

/// The text without fenced blocks, in which nothing is a link or a heading.
fn prose(text: &str) -> String {
    let outside = text.split("```").step_by(2);
    outside.collect::<Vec<_>>().join("\n")
}

/// Where links and pictures lead.
fn links(text: &str) -> Vec<String> {
    let ends = text.split("](").skip(1);
    ends.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// What mdBook calls a heading's place.
fn anchor(heading: &str) -> String {
    let letters = heading.trim().chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        letter if letter.is_alphanumeric() || "-_".contains(letter) => Some(letter.to_ascii_lowercase()),
        _ => None,
    });
    letters.collect()
}

/// What is wrong with a link of the page `name`.
fn fault(name: &str, link: &str) -> Option<String> {
    // The page, in whose folder the guide is built.
    if link.starts_with("https://") || link == "../index.html" {
        return None;
    }
    let (file, place) = link.split_once('#').unwrap_or((link, ""));
    let file = if file.is_empty() { name } else { file };
    if !folder().join(file).is_file() {
        return Some(format!("{name} links to {link}, and there is no such file"));
    }
    if place.is_empty() {
        return None;
    }
    let of = prose(&text(file));
    let mut headings = of.lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#')));
    (!headings.any(|anchor| anchor == place)).then(|| format!("{name} links to {link}, and {file} has no such heading"))
}

/// Files of the project that a page names between backticks.
fn named_files(text: &str) -> Vec<&str> {
    let tops = ["profiler/", "scripts/", "tests/", "www/", "sim-core/"];
    let named = text.split('`').skip(1).step_by(2);
    named.filter(|name| tops.iter().any(|top| name.starts_with(top)) && !name.contains([' ', '{'])).collect()
}

#[test]
fn every_page_is_in_the_summary() {
    let summary = text("SUMMARY.md");
    let mut listed: BTreeSet<String> = links(&summary).into_iter().collect();
    listed.insert("SUMMARY.md".to_owned());
    assert_eq!(listed, page_names());
}

#[test]
fn every_link_leads_somewhere() {
    let mut num_links = 0;
    let mut faults = Vec::new();
    for name in page_names() {
        let prose = prose(&text(&name));
        let links = links(&prose);
        num_links += links.len();
        faults.extend(links.iter().filter_map(|link| fault(&name, link)));
        // Fidelity's short names of files are relative to the room that they are in.
        for file in named_files(&prose).into_iter().filter(|_| name != "fidelity.md") {
            if !project().join(file).exists() {
                faults.push(format!("{name} names `{file}`, which is not in the project"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(num_links > 40, "only {num_links} links were found");
}

#[test]
fn a_link_that_leads_nowhere_is_noticed() {
    assert!(fault("index.md", "nowhere.md").is_some());
    assert!(fault("index.md", "fidelity.md#nowhere").is_some());
    assert_eq!(fault("index.md", "fidelity.md#not-modelled-and-refused"), None);
    assert_eq!(fault("index.md", "#the-first-run"), None);
    assert_eq!(anchor(" How it is known"), "how-it-is-known");
    assert_eq!(named_files("see `scripts/a.sh` and `b`"), ["scripts/a.sh"]);
}
