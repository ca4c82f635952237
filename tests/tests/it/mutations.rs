//! The mutations that `scripts/mutate-engine.sh` tries still say what the code says: running them takes too long for every
//! day, and code that moves would silently take them out.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Most of the rules that can be broken one at a time; fewer would be a list that was cut.
const FEWEST: usize = 100;

#[derive(Deserialize)]
struct List {
    mutation: Vec<Mutation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutation {
    name: String,
    /// In `sim-core/src`.
    file: String,
    from: String,
    to: String,
    /// The module of sim-core whose tests are to notice, where no real code was recorded.
    tests: Option<String>,
    /// Why no trace can notice it.
    unnoticed: Option<String>,
}

fn lists() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutations");
    let files = fs::read_dir(folder).expect("tests/mutations").map(|entry| entry.expect("an entry").path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

#[test]
fn every_mutation_changes_one_place_of_the_engine() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sim-core/src");
    let (mut names, mut complaints) = (Vec::new(), Vec::new());
    for path in lists() {
        let text = fs::read_to_string(&path).expect("a list of mutations");
        let list: List = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for Mutation { name, file, from, to, tests, unnoticed } in list.mutation {
            let code = fs::read_to_string(source.join(&file)).unwrap_or_default();
            let count = code.matches(&from).count();
            if count != 1 || from == to {
                complaints.push(format!("{name}: its text stands {count} times in {file}"));
            }
            if tests.is_some_and(|tests| !file.starts_with(&tests.replace("::", "/"))) {
                complaints.push(format!("{name}: its tests are not those beside {file}"));
            }
            if unnoticed.is_some_and(|reason| reason.len() < 40) {
                complaints.push(format!("{name}: why no trace notices it is not said"));
            }
            names.push(name);
        }
    }
    let num_mutations = names.len();
    names.sort();
    names.dedup();
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(num_mutations >= FEWEST && names.len() == num_mutations, "{num_mutations} mutations of distinct names");
}

/// The replay borrows the profiler's own files, one by one.
#[test]
fn the_replay_has_every_file_that_its_files_use() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let main = fs::read_to_string(folder.join("mutations/replay/src/main.rs")).expect("the replay");
    let names: Vec<&str> = main.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).collect();
    let mut missing = Vec::new();
    for name in &names {
        let verify = folder.join("../profiler/src/verify");
        let text = fs::read_to_string(verify.join(format!("{name}.rs")))
            .or_else(|_| fs::read_to_string(verify.join(name).join("mod.rs")))
            .expect("a file of verify");
        for line in text.lines() {
            let used = line.strip_prefix("use super::").or_else(|| line.strip_prefix("use crate::verify::"));
            let used = used.and_then(|path| path.split([':', ';']).next());
            missing.extend(used.filter(|used| !names.contains(used)).map(|used| format!("{name} uses {used}")));
        }
    }
    assert!(names.len() >= 4 && missing.is_empty(), "{names:?} lack {missing:?}");
}
