//! What vLLM's parser does to the words of a command before it looks at flags: underscores, the level of optimisation,
//! and keys behind a dot, which are put together to one JSON object (`FlexibleArgumentParser.parse_args`).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::FlagError;
use crate::config::human_readable::human_readable_int;

/// Most keys behind each other. JSON that is nested deeper is read by nobody.
const MAX_KEYS: usize = 32;

/// The words with `-` for `_` in names, `-O3` as a flag with its value, and each flag's keys behind a dot as one JSON
/// object at the end.
pub(super) fn spelled_out(words: &[String]) -> (Vec<String>, Vec<FlagError>) {
    let mut plain = Vec::new();
    let mut faults = Vec::new();
    let mut objects: Vec<(String, Map<String, Value>)> = Vec::new();
    let mut words = named(words).into_iter();
    while let Some(word) = words.next() {
        let Some((name, inline)) = with_keys(&word) else {
            plain.push(word);
            continue;
        };
        let Some(value) = inline.map(ToString::to_string).or_else(|| words.next()) else {
            faults.push(FlagError::value(name, "", "a value is needed"));
            continue;
        };
        let (name, value) = match name.strip_suffix('+') {
            Some(name) => (name, Value::Array(value.split(',').map(|part| Value::String(part.to_string())).collect())),
            None => (name, value_of(&value)),
        };
        let mut keys = name.split('.');
        let flag = keys.next().unwrap_or_default();
        let keys: Vec<&str> = keys.collect();
        if keys.len() > MAX_KEYS {
            faults.push(FlagError::value(flag, "", "32 keys behind each other are the limit"));
            continue;
        }
        let at = objects.iter().position(|(other, _)| other == flag).unwrap_or_else(|| {
            objects.push((flag.to_string(), Map::new()));
            objects.len() - 1
        });
        if let Some((_, object)) = objects.get_mut(at) {
            put(object, &keys, value);
        }
    }
    for (flag, object) in objects {
        plain.extend([flag, Value::Object(object).to_string()]);
    }
    (plain, faults)
}

/// The words with names as the parser has them.
fn named(words: &[String]) -> Vec<String> {
    let mut named = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).map(String::as_str);
        if word.starts_with("--") {
            let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
            let (flag, keys) = name.find('.').and_then(|dot| name.split_at_checked(dot)).unwrap_or((name, ""));
            let flag = flag.replace('_', "-");
            named.push(
                value.map_or_else(|| alloc::format!("{flag}{keys}"), |value| alloc::format!("{flag}{keys}={value}")),
            );
        } else if let Some(level) = word.strip_prefix("-O").filter(|level| !level.is_empty()) {
            named.push("--optimization-level".to_string());
            named.push(level.strip_prefix('=').unwrap_or(level).to_string());
        } else if word == "-O" && matches!(next, Some("0" | "1" | "2" | "3")) {
            named.push("--optimization-level".to_string());
        } else {
            named.push(word.clone());
        }
    }
    named
}

/// Name and value in one word of a flag with keys behind a dot. Numbers are none.
fn with_keys(word: &str) -> Option<(&str, Option<&str>)> {
    let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
    (name.starts_with('-') && name.contains('.') && word.parse::<f64>().is_err()).then_some((name, value))
}

/// JSON, or a number with a suffix, or a text.
fn value_of(text: &str) -> Value {
    let number = || human_readable_int(text).ok().map(Value::from);
    serde_json::from_str(text).ok().or_else(number).unwrap_or_else(|| Value::String(text.to_string()))
}

/// Puts a value where the keys lead: lists grow, anything else takes the place of what was there.
fn put(object: &mut Map<String, Value>, keys: &[&str], value: Value) {
    let Some((last, path)) = keys.split_last() else { return };
    let mut inner = object;
    for key in path {
        let next = inner.entry(*key).or_insert(Value::Null);
        if !next.is_object() {
            *next = Value::Object(Map::new());
        }
        match next.as_object_mut() {
            Some(next) => inner = next,
            None => return,
        }
    }
    match (inner.get_mut(*last), value) {
        (Some(Value::Array(old)), Value::Array(new)) => old.extend(new),
        (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
        (_, value) => {
            inner.insert((*last).to_string(), value);
        }
    }
}

/// The same for every key of an object, to any depth.
fn merge(old: &mut Map<String, Value>, new: Map<String, Value>) {
    for (key, value) in new {
        put(old, &[&key], value);
    }
}
