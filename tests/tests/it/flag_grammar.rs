//! Flags and command lines as vLLM's own parsers take them: `data/flag_grammar`, written by
//! `recorder/record_flag_grammar.py`. What is taken differently is listed here, kind by kind, and in FIDELITY.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sim_core::config::flags::{BENCH_SERVE, FlagGroup, FlagSpec, SERVE, Takes, ValueKind};
use sim_core::config::human_readable_int_or_auto;
use sim_core::scenario::command::{self, Program, ReadCommand};
use sim_core::scenario::{FLAGS, Scenario};

/// One recorded file: the version of vLLM, as its folder is called, and the rows.
#[track_caller]
fn rows(path: &str, key: &str) -> (String, Vec<Value>) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut whole: Value = serde_json::from_str(&text).expect("the recording is JSON");
    let version = whole["vllm"].as_str().and_then(|version| version.strip_suffix(".0")).expect("a version");
    let version = format!("v{version}");
    match whole[key].take() {
        Value::Array(rows) => (version, rows),
        other => panic!("{path} has no list of {key}: {other}"),
    }
}

pub(crate) fn recorded(version: &str, key: &str) -> Vec<Value> {
    let (found, rows) = rows(&format!("{}/data/flag_grammar/{version}/{key}.json", env!("CARGO_MANIFEST_DIR")), key);
    assert_eq!(found, version, "{key}.json is of another vLLM");
    rows
}

pub(crate) fn texts(value: &Value) -> BTreeSet<String> {
    let list = value.as_array().into_iter().flatten();
    list.map(|text| text.as_str().expect("a text").to_owned()).collect()
}

pub(crate) fn program(row: &Value) -> (Program, &'static [FlagGroup]) {
    match row.as_str() {
        Some("serve") => (Program::Serve, SERVE),
        _ => (Program::BenchServe, BENCH_SERVE),
    }
}

/// The flag of a program that is called `name`.
pub(crate) fn spec(groups: &'static [FlagGroup], name: &str) -> Option<&'static FlagSpec<'static>> {
    groups.iter().flat_map(|group| group.flags).find(|spec| spec.forms().any(|form| form.is(name)))
}

/// How a line was taken otherwise than by vLLM; each is a sentence of FIDELITY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// vLLM takes it, and what it asks for is not simulated: refused by name.
    NotSimulated,
    /// vLLM's parser takes a value that a later step refuses; here it is refused at once, by name.
    RefusedEarlier,
    /// `true` or `false` after a switch, which older versions took: the switch's, not the model.
    TruthAfterSwitch,
    /// Keys of an object that nothing reads here are not looked at.
    KeysOfObjects,
    /// A number below nought with a point, in a word of its own: vLLM's parser takes it for keys behind a dot.
    NegativeFraction,
    /// No model behind `vllm serve`, where `--served-model-name` is.
    NoModel,
    /// A flag, a choice or another name of a switch that only one version has; both are taken.
    OtherVersion,
}

/// Flags whose texts vLLM reads after its parser.
const READ_LATER: [&str; 13] = [
    "--data-parallel-size",
    "--dataset-name",
    "--goodput",
    "--kv-cache-dtype",
    "--metric-percentiles",
    "--percentile-metrics",
    "--quantization",
    "--random-range-ratio",
    "--request-rate",
    "--speculative-config",
    "--spec-method",
    "--spec-model",
    "--spec-tokens",
];

/// Whether a value that vLLM's parser takes is one that it or the simulator refuses later.
fn is_refused_later(spec: &FlagSpec<'_>, value: &Value) -> bool {
    READ_LATER.contains(&spec.name) || value.as_i64().is_some_and(|count| u32::try_from(count).is_err())
}

fn is_same(spec: &FlagSpec<'_>, ours: &str, theirs: &Value) -> bool {
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    let number = |text: &str| text.trim().replace('_', "").to_lowercase().parse::<f64>().ok();
    match theirs {
        Value::Null => ours.is_empty() || ours == "None",
        Value::Number(number_there) if spec.kind == ValueKind::Number => number(ours) == number_there.as_f64(),
        Value::Number(number_there) => human_readable_int_or_auto(ours).ok() == number_there.as_i64(),
        Value::String(text) if spec.kind == ValueKind::Number => {
            number(ours).map(f64::to_bits) == number(text).map(f64::to_bits)
        }
        Value::String(text) if spec.name == "--reasoning-parser" && text.is_empty() => {
            ours.eq_ignore_ascii_case("none")
        }
        Value::String(text) => spec.kind.is_same(text, ours),
        Value::Array(_) if spec.kind == ValueKind::Json => json(ours).as_ref() == Some(theirs),
        Value::Array(words) if spec.kind == ValueKind::Integer => {
            let here: Vec<Option<i64>> =
                ours.split_whitespace().map(|word| human_readable_int_or_auto(word).ok()).collect();
            here == words.iter().map(Value::as_i64).collect::<Vec<_>>() || ours.is_empty() && words == &[Value::Null]
        }
        Value::Array(words) => {
            let text = |word: &Value, none: &str| match word {
                Value::Null => none.to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let or = |none: &str| words.iter().map(|word| text(word, none)).collect::<Vec<_>>();
            // Of categories with commas between them, too.
            or("None").join(" ") == ours || or("").join(" ") == ours || or("").join(",") == ours
        }
        Value::Object(object) => match (spec.name, json(ours)) {
            // Keys that nothing depends on are not kept.
            ("--speculative-config", Some(Value::Object(here))) => {
                here.iter().all(|(key, value)| object.get(key) == Some(value))
            }
            (_, here) => here.as_ref() == Some(theirs),
        },
        // A token that is to be looked for where it usually is.
        Value::Bool(on) if spec.takes == Takes::OneOrNothing => *on && ours.is_empty(),
        Value::Bool(on) => ours == on.to_string(),
    }
}

/// The values of a flag of vLLM's in what was read: its own text; `None` if it is not there.
fn ours(read: &ReadCommand, spec: &FlagSpec<'_>) -> Option<String> {
    let name = spec.name.trim_start_matches('-');
    let key = match name {
        "spec-method" => Some("method"),
        "spec-model" => Some("model"),
        "spec-tokens" => Some("num_speculative_tokens"),
        _ => None,
    };
    if let Some(key) = key {
        let whole: Value = serde_json::from_str(read.scenario.get("speculative-config")?).ok()?;
        return Some(whole.get(key)?.as_str().map_or_else(|| whole[key].to_string(), ToOwned::to_owned));
    }
    if let Some(value) = read.scenario.get(name).filter(|_| FLAGS.iter().any(|flag| flag.name == name)) {
        return Some(value.to_owned());
    }
    let asides: Vec<_> = read.set_aside.iter().filter(|aside| spec.forms().any(|form| form.is(&aside.flag))).collect();
    let is_off = |flag: &str| spec.forms().any(|form| form.is_off && form.is(flag));
    match (asides.first(), spec.takes) {
        (None, _) => None,
        (Some(aside), Takes::Nothing) => Some((aside.value.is_none() && !is_off(&aside.flag)).to_string()),
        _ => Some(asides.iter().filter_map(|aside| aside.value.clone()).collect::<Vec<_>>().join(" ")),
    }
}

/// What is told of flags that were not taken.
fn faults(read: &ReadCommand) -> Vec<String> {
    let unknown =
        read.unknown.iter().map(|flag| format!("{} {}", flag.flag, flag.value.as_deref().unwrap_or_default()));
    read.refused.iter().cloned().chain(unknown).collect()
}

/// Whether what was taken is what vLLM took, and how not.
fn compare_taken(
    line: &str,
    read: &ReadCommand,
    groups: &'static [FlagGroup],
    taken: &Value,
) -> Result<BTreeSet<Difference>, String> {
    let faults = faults(read);
    let mut differences = BTreeSet::new();
    let mut told = BTreeSet::new();
    for (name, theirs) in taken.as_object().expect("an object") {
        if matches!(name.as_str(), "model" | "--model") {
            if theirs == "" {
                told.insert("--model");
                differences.insert(Difference::RefusedEarlier);
            }
            // vLLM's server takes a word after a switch for it.
            if read.model.as_deref() != theirs.as_str() {
                let is_truth = theirs.as_str().is_some_and(|text| matches!(text, "True" | "false"));
                let is_positional = taken.get("model").is_some() && name == "--model";
                if is_truth {
                    differences.insert(Difference::TruthAfterSwitch);
                } else if !is_positional {
                    return Err(format!("model {:?}, vLLM {theirs}", read.model));
                }
            }
            continue;
        }
        let spec = spec(groups, name).ok_or_else(|| format!("{name} is in no table"))?;
        told.insert(spec.name);
        let ours = ours(read, spec);
        let sentence = faults.iter().find(|fault| {
            spec.forms().any(|form| fault.contains(&form.to_string()))
                || fault.starts_with("speculative_config") && name.contains("spec")
        });
        match (ours, sentence) {
            (_, Some(sentence)) if sentence.contains("is not simulated") => {
                differences.insert(Difference::NotSimulated);
            }
            (_, Some(_)) if is_refused_later(spec, theirs) => {
                differences.insert(Difference::RefusedEarlier);
            }
            (_, Some(sentence)) => return Err(format!("refused: {sentence}; vLLM {name} = {theirs}")),
            // A label.
            (None, None) if name == "--served-model-name" => {}
            (None, None) if theirs.is_null() => {}
            (None, None) => return Err(format!("{name} = {theirs} is not taken")),
            (Some(ours), None) if is_same(spec, &ours, theirs) => {}
            (Some(ours), None) => return Err(format!("{name} = {ours}, vLLM {theirs}")),
        }
    }
    let of_taken = |text: &str| {
        told.iter().any(|name| {
            spec(groups, name).is_some_and(|spec| spec.forms().any(|form| text.contains(&form.to_string())))
        }) || text.starts_with("speculative_config")
    };
    if let Some(fault) = faults.iter().find(|fault| !of_taken(fault)) {
        return Err(format!("nothing of vLLM's: {fault}"));
    }
    let here = read.scenario.flags().into_iter().map(|(name, _)| format!("--{name}")).filter(|name| name != "--model");
    let more = here.chain(read.set_aside.iter().map(|aside| aside.flag.clone())).find(|name| {
        name != "--speculative-config" && !spec(groups, name).is_some_and(|spec| told.contains(spec.name))
    });
    match more {
        Some(more) => Err(format!("{more} is taken, which vLLM did not: {line}")),
        None => Ok(differences),
    }
}

/// The names in vLLM's error, each with its other names.
fn names_in(error: &str) -> Vec<Vec<&str>> {
    let alone = |word| vec![word];
    if let Some(rest) = error.strip_prefix("argument ") {
        vec![rest.split(": ").next().unwrap_or(rest).split('/').collect()]
    } else if let Some(rest) = error.strip_prefix("ambiguous option: ") {
        rest.split(['=', ' ']).take(1).map(alone).collect()
    } else if let Some(rest) = error.strip_prefix("unrecognized arguments: ") {
        let flags = rest.split(' ').filter(|word| word.starts_with('-'));
        flags.map(|word| alone(word.split(['=', '{']).next().unwrap_or(word))).collect()
    } else {
        vec![]
    }
}

/// Whether what vLLM refuses is refused by name, and how not.
fn compare_refused(version: &str, line: &str, read: &ReadCommand, error: &str) -> Result<BTreeSet<Difference>, String> {
    let faults = faults(read).join("\n").to_lowercase();
    let is_named = |names: &Vec<&str>| names.iter().any(|name| faults.contains(&name.to_lowercase()));
    let unnamed = names_in(error).into_iter().find(|names| !is_named(names));
    if unnamed.is_none() && !faults.is_empty() {
        return Ok(BTreeSet::new());
    }
    let has_truth = line.split([' ', '=']).any(|word| matches!(word, "True" | "true" | "false"));
    let difference = match error {
        _ if version != "v0.33" && error.contains("invalid choice") => Difference::OtherVersion,
        _ if error.contains("validation error") || error.contains("_parse_mm_bucket_config") => {
            Difference::KeysOfObjects
        }
        _ if error.starts_with("ValueError: `model` should be") => Difference::NoModel,
        _ if line.contains(" -0.5") || line.contains(" -1.5") => Difference::NegativeFraction,
        _ if has_truth => Difference::TruthAfterSwitch,
        _ => return Err(format!("{unnamed:?} is not named in {faults:?}; vLLM: {error}")),
    };
    Ok(BTreeSet::from([difference]))
}

#[test]
fn lines_are_taken_as_by_vllms_parsers() {
    let mut sets =
        vec![("v0.33".to_owned(), recorded("v0.33", "lines")), ("v0.32".to_owned(), recorded("v0.32", "lines"))];
    // Lines that a real vLLM was just asked about: scripts/test-vllm.sh.
    if let Ok(folder) = std::env::var("FLAG_GRAMMAR_LIVE") {
        sets.push(rows(&format!("{folder}/lines.json"), "lines"));
    }
    let names_of = |version: &str| -> BTreeMap<String, BTreeSet<String>> {
        let mut names = BTreeMap::<String, BTreeSet<String>>::new();
        for row in recorded(version, "options") {
            names.entry(row["program"].to_string()).or_default().extend(texts(&row["names"]));
        }
        names
    };
    let newest = names_of("v0.33");
    let (mut num_taken, mut counts, mut wrong) = (0, BTreeMap::new(), vec![]);
    for (version, lines) in sets {
        let names = names_of(&version);
        for row in &lines {
            let line = row[1].as_str().expect("a line");
            let (program, groups) = program(&row[0]);
            let text = format!("{} {line}", program.name());
            let read = match command::read(&text, &Scenario::default()) {
                Ok(read) => read,
                // A line that goes on as a sentence does calls nothing; vLLM must refuse it, too.
                Err(_) if row[2].is_string() => continue,
                Err(error) => {
                    wrong.push(format!("{version} {text}\n    no command: {error}"));
                    continue;
                }
            };
            let compared = match &row[2] {
                Value::String(error) => compare_refused(&version, line, &read, error),
                taken => {
                    num_taken += 1;
                    compare_taken(line, &read, groups, taken)
                }
            };
            // What a beginning is short for depends on all names that there are.
            let begun = |names: &BTreeMap<String, BTreeSet<String>>, word: &str| -> Vec<String> {
                let name = word.trim_matches('\'').split(['=', '.']).next().unwrap_or(word).replace('_', "-");
                names[&row[0].to_string()].iter().filter(|full| full.starts_with(&name)).cloned().collect()
            };
            let is_by_version =
                line.split(' ').any(|word| word.starts_with("--") && begun(&names, word) != begun(&newest, word));
            match compared {
                Ok(differences) => differences.into_iter().for_each(|kind| *counts.entry(kind).or_insert(0) += 1),
                Err(_) if is_by_version => *counts.entry(Difference::OtherVersion).or_insert(0) += 1,
                Err(why) => wrong.push(format!("{version} {text}\n    {why}")),
            }
        }
    }
    println!("{num_taken} taken; {counts:?}");
    assert!(wrong.is_empty(), "{} lines:\n{}", wrong.len(), wrong.join("\n"));
    assert!(num_taken > 2_000, "vLLM takes only {num_taken} of the lines");
}
