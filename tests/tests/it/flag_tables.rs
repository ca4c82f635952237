//! The tables of flags against the options of vLLM's own parsers: `data/flag_grammar/*/options.json`, written by
//! `recorder/record_flag_grammar.py`.

use std::collections::BTreeSet;

use sim_core::config::flags::{
    BENCH_SERVE, FlagEffect, FlagSpec, SERVE, Takes, ValueKind, bench_serve_flag, serve_flag, spec_of,
};
use sim_core::scenario::FLAGS;
use sim_core::scenario::command::Program;

use crate::flag_grammar::{program, recorded, spec, texts};

fn kind_as_recorded(spec: &FlagSpec<'_>) -> &'static str {
    match spec.kind {
        _ if spec.takes == Takes::Nothing => "",
        // Never read here: of a kind of prompts that is refused.
        ValueKind::Text if spec.name == "--random-mm-bucket-config" => "bucket config",
        ValueKind::Text => "text",
        ValueKind::Integer => "integer",
        ValueKind::Number => "number",
        ValueKind::HumanInteger => "human integer",
        ValueKind::HumanIntegerOrAuto => "human integer or auto",
        ValueKind::Json => "json",
        ValueKind::Object => "object",
        ValueKind::ObjectOrText => "object or text",
        ValueKind::AnyCase => "choice in any case",
    }
}

#[test]
fn the_tables_are_those_of_vllms_parsers() {
    let mut seen = BTreeSet::new();
    for version in ["v0.32", "v0.33"] {
        let is_newest = version == "v0.33";
        for row in recorded(version, "options") {
            let (_, groups) = program(&row["program"]);
            let first = row["names"][0].as_str().expect("a name");
            let of = format!("{version} {} {first}", row["program"]);
            let found = spec(groups, first).unwrap_or_else(|| panic!("{of}: is in no table"));
            let here: BTreeSet<String> = found.forms().map(|form| form.to_string()).collect();
            let off: BTreeSet<String> = found.forms().filter(|form| form.is_off).map(|form| form.to_string()).collect();
            let (names, choices) = (texts(&row["names"]), texts(&row["choices"]));
            let chosen: BTreeSet<String> = found.choices.iter().map(|choice| (*choice).to_owned()).collect();
            if is_newest {
                assert_eq!((here, off), (names, texts(&row["off"])), "{of}");
            } else {
                assert!(here.is_superset(&names) && off.is_superset(&texts(&row["off"])), "{of}: {here:?} {names:?}");
            }
            // Each version has a few choices more than the other; both are taken.
            assert!(chosen.is_superset(&choices) || chosen.is_empty(), "{of}: {chosen:?} {choices:?}");
            assert!(!is_newest || chosen.is_empty() == choices.is_empty(), "{of}: {chosen:?}");
            let takes = match found.takes {
                Takes::Nothing => "nothing",
                Takes::One => "one",
                Takes::OneOrNothing => "one or nothing",
                Takes::Several => "several",
                Takes::Any => "any",
            };
            assert_eq!(Some(takes), row["takes"].as_str(), "{of}");
            let is = |key: &str| row[key] == true;
            if is_newest {
                assert_eq!(kind_as_recorded(found), row["kind"].as_str().unwrap_or_default(), "{of}");
                assert_eq!((found.or_none, found.repeats), (is("or_none"), is("repeats")), "{of}");
            }
            seen.insert((row["program"].to_string(), found.name));
        }
    }
    for (program, groups) in [("serve", SERVE), ("bench serve", BENCH_SERVE)] {
        let names: Vec<&str> = groups.iter().flat_map(|group| group.flags).map(|spec| spec.name).collect();
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), distinct.len(), "{program}: a flag is in two groups");
        let known = |name: &&str| seen.contains(&(format!("{program:?}"), *name));
        assert!(names.iter().all(known), "{program}: a flag is none of vLLM's");
    }
}

#[test]
fn a_flag_that_is_given_its_default_changes_nothing() {
    let mut num_defaults = 0;
    for row in ["v0.32", "v0.33"].iter().flat_map(|version| recorded(version, "options")) {
        let (program, groups) = program(&row["program"]);
        let look_up = if program == Program::Serve { serve_flag } else { bench_serve_flag };
        let first = row["names"][0].as_str().expect("a name");
        // An empty list cannot be given.
        let default = row["default"].as_str().filter(|_| row["takes"] != "several");
        if let Some(default) = default {
            num_defaults += 1;
            let effect = look_up(first, Some(default)).map(|(effect, _)| effect);
            let is_harmless = effect.as_ref().is_ok_and(|effect| *effect != FlagEffect::FixedByProfile);
            assert!(is_harmless, "{} {first} {default:?}: {effect:?}", row["program"]);
        } else if row["or_none"] == true {
            let spec = spec(groups, first).expect("it is in a table");
            let effect = look_up(first, Some("None")).map(|(effect, _)| effect);
            let is_harmless = effect.as_ref().is_ok_and(|effect| *effect != FlagEffect::FixedByProfile);
            assert!(is_harmless && spec.is_not_given("None"), "{first} None: {effect:?}");
        }
    }
    assert!(num_defaults > 400, "only {num_defaults} flags have a default");
}

/// So a scenario's flag is found by its name alone, without a look at vLLM's table.
#[test]
fn the_name_of_a_scenarios_flag_is_no_other_name_of_another() {
    let mut num_vllms = 0;
    for flag in FLAGS {
        for dashes in ["--", "-"] {
            let Some((spec, form)) = spec_of(&format!("{dashes}{}", flag.name)) else { continue };
            num_vllms += 1;
            assert_eq!(spec.name.trim_start_matches('-'), flag.name, "{}: another name of {}", flag.name, spec.name);
            assert!(!form.is_off, "{}: the name that turns {} off", flag.name, spec.name);
        }
    }
    let expected = FLAGS.iter().filter(|flag| flag.is_vllms).count();
    assert!(num_vllms >= expected, "{num_vllms} names are in vLLM's tables, {expected} ought to be");
}
