//! Variables in scripts and configurations: how they are set, and how they are written where they are used.
//!
//! Set by `NAME=value`, `NAME+=value`, `NAME=(words)` (with `export`, `set`, `ENV`, `ARG` in front), `NAME := value`, `NAME ?= value` and
//! `NAME = value` of a Makefile or justfile, `$name = "value"` and `$env:NAME = "value"` of PowerShell, `set -gx NAME
//! value` of fish. Used as `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME[@]}`, `$(NAME)` (Make, Kubernetes), `$$NAME` (compose),
//! `$env:NAME`, `%NAME%` and `{{ NAME }}`.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A variable in a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reference<'a> {
    /// Empty for what is no name, such as a substituted command.
    pub(super) name: &'a str,
    /// Bytes of it behind its first character.
    pub(super) num_bytes: usize,
    pub(super) default: Option<&'a str>,
    /// Whether all words of an array are meant, each by itself (`${NAME[@]}`).
    pub(super) is_array: bool,
}

impl<'a> Reference<'a> {
    const fn new(name: &'a str, num_bytes: usize) -> Self {
        Self { name, num_bytes, default: None, is_array: false }
    }
}

/// What a variable holds.
#[derive(Debug, Clone)]
pub(super) enum Stored {
    Text(String),
    Array(Vec<String>),
}

/// The variables of a script.
#[derive(Debug)]
pub(super) struct Variables {
    texts: BTreeMap<String, String>,
    arrays: BTreeMap<String, Vec<String>>,
    /// Bytes that may still come from them, for they can hold each other.
    num_bytes_left: usize,
}

impl Default for Variables {
    fn default() -> Self {
        Self { texts: BTreeMap::new(), arrays: BTreeMap::new(), num_bytes_left: super::MAX_COMMAND_BYTES }
    }
}

impl Variables {
    /// What a reference stands for, its own default included; `None` if that is not known.
    pub(super) fn value(&mut self, reference: Reference<'_>) -> Option<Stored> {
        let array = self.arrays.get(reference.name).filter(|_| reference.is_array).cloned();
        let text = || self.texts.get(reference.name).map(String::as_str).or(reference.default);
        let stored = array.map(Stored::Array).or_else(|| text().map(|text| Stored::Text(text.to_string())))?;
        let num_bytes = match &stored {
            Stored::Text(text) => text.len(),
            Stored::Array(words) => words.iter().map(|word| word.len() + 1).sum(),
        };
        self.num_bytes_left = self.num_bytes_left.checked_sub(num_bytes)?;
        Some(stored)
    }

    /// Sets what a command sets; false if it does something else.
    pub(super) fn take(&mut self, command: &[String]) -> bool {
        if let [word] = command
            && let Some((name, more)) = appending(word)
        {
            self.texts.entry(name.to_string()).or_default().push_str(more);
            return true;
        }
        let set = set_by(command);
        let is_set = set.is_some();
        self.texts.extend(set.into_iter().flatten());
        is_set
    }

    /// Sets an array, or puts more words behind those it has.
    pub(super) fn set_array(&mut self, name: String, is_more: bool, words: Vec<String>) {
        let array = self.arrays.entry(name).or_default();
        if !is_more {
            array.clear();
        }
        array.extend(words);
    }

    /// The variables that are no arrays.
    pub(super) fn into_texts(self) -> BTreeMap<String, String> {
        self.texts
    }
}

/// Whether a variable may be called so.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The name and value of `NAME=value`.
pub(super) fn assignment(word: &str) -> Option<(&str, &str)> {
    word.split_once('=').filter(|(name, _)| is_name(name))
}

/// The name and what is put behind its value, of `NAME+=more`.
fn appending(word: &str) -> Option<(&str, &str)> {
    word.split_once("+=").filter(|(name, _)| is_name(name))
}

/// What a command sets, if it does nothing else.
pub(super) fn set_by(command: &[String]) -> Option<Vec<(String, String)>> {
    let owned = |(name, value): (&str, &str)| (name.to_string(), value.to_string());
    let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
    // A unit of systemd.
    if let Some(first) = words.first_mut() {
        *first = first.strip_prefix("Environment=").unwrap_or(first);
    }
    let words = match words.as_slice() {
        ["export" | "ENV" | "ARG" | "set" | "env", rest @ ..] if !rest.is_empty() => rest,
        words => words,
    };
    if words.iter().all(|word| assignment(word).is_some()) {
        return Some(words.iter().filter_map(|word| assignment(word)).map(owned).collect());
    }
    let begins_with = |word: &str| command.first().is_some_and(|first| first == word);
    match words {
        // fish; `set -euo pipefail` of other shells has one word behind its options.
        [options @ .., name, value] if begins_with("set") && options.iter().all(|word| word.starts_with('-')) => {
            is_name(name).then(|| alloc::vec![owned((name, value))])
        }
        [name, value] if begins_with("ENV") => is_name(name).then(|| alloc::vec![owned((name, value))]),
        [name, "=" | ":=" | "?=" | "::=", value @ ..] => {
            let name = name.strip_prefix('$').unwrap_or(name);
            let name = name.strip_prefix("env:").unwrap_or(name);
            is_name(name).then(|| alloc::vec![(name.to_string(), value.join(" "))])
        }
        _ => None,
    }
}

/// The variable behind a `$`.
pub(super) fn at_dollar(rest: &str) -> Option<Reference<'_>> {
    if let Some(after) = rest.strip_prefix('{') {
        let (inside, _) = after.split_once('}').filter(|(inside, _)| !inside.contains(['\n', '$']))?;
        let is_array = inside.ends_with("[@]") || inside.ends_with("[*]");
        let named = Reference::new(name_at(inside), inside.len() + 2);
        return Some(Reference { default: default_of(inside), is_array, ..named });
    }
    if let Some(after) = rest.strip_prefix('(') {
        let end = closing(after).unwrap_or(after.len());
        let inside = after.get(..end).filter(|inside| is_name(inside)).unwrap_or_default();
        return Some(Reference::new(inside, (end + 2).min(rest.len())));
    }
    if let Some(name) = rest.strip_prefix('$').map(name_at).filter(|name| !name.is_empty()) {
        return Some(Reference::new(name, 1 + name.len()));
    }
    // What a script or function was given.
    if rest.starts_with(|c: char| c.is_ascii_digit() || c == '@' || c == '*') {
        return Some(Reference::new("", 1));
    }
    let begin = if rest.starts_with("env:") { "env:".len() } else { 0 };
    let name = name_at(rest.get(begin..)?);
    (!name.is_empty()).then(|| Reference::new(name, begin + name.len()))
}

/// The variable behind a `%`, up to the next one.
pub(super) fn at_percent(rest: &str) -> Option<Reference<'_>> {
    let (name, _) = rest.split_once('%').filter(|(name, _)| is_name(name))?;
    Some(Reference::new(name, name.len() + 1))
}

/// What stands in two braces, of which the first is taken.
pub(super) fn at_braces(rest: &str) -> Option<Reference<'_>> {
    let (inside, _) = rest.strip_prefix('{')?.split_once("}}").filter(|(inside, _)| !inside.contains('\n'))?;
    let name = Some(inside.trim()).filter(|name| is_name(name)).unwrap_or_default();
    Some(Reference::new(name, inside.len() + 3))
}

/// `text` with the values of `variables`, and with the defaults that it gives itself, in their places.
pub(super) fn filled(text: &str, variables: &BTreeMap<String, String>) -> String {
    let (mut out, mut rest) = (String::new(), text);
    let mut num_bytes_left = super::MAX_COMMAND_BYTES;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let found = at_dollar(after);
        let value = found.and_then(|found| variables.get(found.name).map(String::as_str).or(found.default));
        match (found, value.filter(|value| value.len() <= num_bytes_left)) {
            (Some(found), Some(value)) => {
                num_bytes_left -= value.len();
                out.push_str(value);
                rest = after.get(found.num_bytes..).unwrap_or_default();
            }
            _ => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Whether a word depends on something that is to be filled in: a variable, a substituted command, a placeholder.
pub(super) fn is_open(word: &str) -> bool {
    let behind = |mark| word.match_indices(mark).filter_map(|(at, _)| word.get(at + 1..));
    let is_placeholder = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic()) && rest.contains('>');
    behind('$').any(|rest| at_dollar(rest).is_some())
        || behind('%').any(|rest| at_percent(rest).is_some())
        || behind('{').any(|rest| at_braces(rest).is_some() && !rest.contains(['"', '\'']))
        || word.strip_prefix('<').is_some_and(is_placeholder)
        || word.strip_prefix('[').and_then(|word| word.strip_suffix(']')).is_some_and(is_name)
}

/// The name that a text begins with, or nothing.
fn name_at(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.get(..end).filter(|name| is_name(name)).unwrap_or_default()
}

/// The default in what stands between the braces of `${…}`.
fn default_of(inside: &str) -> Option<&str> {
    let operator = inside.strip_prefix(name_at(inside))?;
    operator.strip_prefix(":-").or_else(|| operator.strip_prefix('-'))
}

/// Where the parenthesis that is open ends.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1_usize;
    text.bytes().position(|byte| {
        depth = match byte {
            b'(' => depth + 1,
            b')' => depth - 1,
            _ => depth,
        };
        depth == 0
    })
}
