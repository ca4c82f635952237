//! A Dockerfile's command: the last `ENTRYPOINT` with the last `CMD`, in the image that `FROM` names.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::calls::{self, Call};
use super::yaml::Node;
use super::{shell, variables, yaml_flow};

/// What a container is to run.
#[derive(Debug, Default)]
struct Start {
    words: Vec<String>,
    /// A shell's line, if it is one.
    line: Option<String>,
}

/// What a Dockerfile runs, with the variables that it sets; `None` if the text is no Dockerfile.
pub(super) fn call(text: &str) -> Option<(Option<Call>, BTreeMap<String, String>)> {
    let lines = instructions(text);
    let is_first = |name: &str| matches!(name, "FROM" | "ARG");
    let begins_so = lines.first().is_some_and(|(name, _)| is_first(name));
    let has = |names: &[&str]| lines.iter().any(|(name, _)| names.contains(&name.as_str()));
    let is_known = |name: &str| INSTRUCTIONS.contains(&name);
    let is_part = has(&["CMD", "ENTRYPOINT"]) && lines.iter().all(|(name, _)| is_known(name));
    if !(begins_so && has(&["FROM"]) || is_part) {
        return None;
    }
    let (mut image, mut entrypoint, mut command) = (None, Start::default(), Start::default());
    let mut set = BTreeMap::new();
    for (name, rest) in &lines {
        let rest = variables::filled(rest, &set);
        match name.as_str() {
            "FROM" => {
                let image_word = rest.split_whitespace().find(|word| !word.starts_with("--"));
                image = image_word.map(ToString::to_string);
                (entrypoint, command) = (Start::default(), Start::default());
            }
            "ENV" | "ARG" => {
                let mut words = alloc::vec![name.clone()];
                words.extend(shell::words(&rest).unwrap_or_default());
                set.extend(variables::set_by(&words).unwrap_or_default());
            }
            "ENTRYPOINT" => (entrypoint, command) = (start(&rest), Start::default()),
            "CMD" => command = start(&rest),
            _ => {}
        }
    }
    if let Some(line) = entrypoint.line.or(command.line.filter(|_| entrypoint.words.is_empty())) {
        return Some((Some(Call::Script(line)), set));
    }
    let words: Vec<String> = entrypoint.words.into_iter().chain(command.words).collect();
    Some((calls::of_container(&words, image.as_deref()), set))
}

/// What may begin a line of a Dockerfile.
const INSTRUCTIONS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// The instructions, each with what follows; lines that go on are joined, comments left out.
fn instructions(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut goes_on = false;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (part, ends_open) = line.strip_suffix('\\').map_or((line, false), |line| (line.trim_end(), true));
        match found.last_mut().filter(|_| goes_on) {
            Some((_, rest)) => {
                rest.push(' ');
                rest.push_str(part);
            }
            None => {
                let (name, rest) = part.split_once([' ', '\t']).unwrap_or((part, ""));
                found.push((name.to_string(), rest.trim().to_string()));
            }
        }
        goes_on = ends_open;
    }
    found
}

/// A list of words in JSON, or a shell's line.
fn start(rest: &str) -> Start {
    let list = rest.starts_with('[').then(|| yaml_flow::read(rest).ok()).flatten();
    match list {
        Some(Node::List(items)) => {
            Start { words: items.iter().filter_map(Node::text).map(ToString::to_string).collect(), line: None }
        }
        _ => Start { words: Vec::new(), line: Some(rest.to_string()) },
    }
}
