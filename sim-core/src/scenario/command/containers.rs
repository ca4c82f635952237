//! Where the documents of a compose file, a manifest, a values file or a JSON text have a command of vLLM's.
//!
//! Looked at are, in every map: `entrypoint`, `command` and `args` (and keys that end in `Args`), one after the other,
//! as a list of words or as a text, beside the `image` or `repository` of the same map; and `vllmConfig` of vLLM's
//! production stack, whose keys are flags.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Program;
use super::calls::{self, Call};
use super::shell;
use super::yaml::Node;

/// Keys whose words make up a command, in the order in which a container puts them together.
const PARTS: [&str; 3] = ["entrypoint", "command", "args"];

/// The calls in a document, in the order of the text.
pub(super) fn calls_in(node: &Node) -> Vec<Call> {
    let mut found = Vec::new();
    if let Node::List(_) = node {
        // A list of arguments alone.
        found.extend(words_of(node).and_then(|words| calls::of_container(&words, None)));
    }
    if found.is_empty() {
        collect(node, &mut found);
    }
    found
}

fn collect(node: &Node, found: &mut Vec<Call>) {
    match node {
        Node::Empty | Node::Text(_) => {}
        Node::List(items) => items.iter().for_each(|item| collect(item, found)),
        Node::Map(entries) => {
            let parts = PARTS.iter().filter_map(|part| node.get(part));
            let others = entries.iter().filter(|(key, _)| key.ends_with("Args")).map(|(_, value)| value);
            let words: Vec<String> = parts.chain(others).filter_map(words_of).flatten().collect();
            let config = node.get("vllmConfig").map(flags_of).unwrap_or_default();
            if let Some(call) = calls::of_container(&words, image_of(node)) {
                found.push(call);
            } else if !config.is_empty() {
                let model = node.get("modelURL").and_then(Node::text).map(|model| ["--model", model]);
                let model = model.into_iter().flatten().map(ToString::to_string);
                found.push(Call::Program(Program::Serve, model.chain(config).collect()));
            }
            for (_, value) in entries.iter().filter(|(key, _)| key != "vllmConfig") {
                collect(value, found);
            }
        }
    }
}

/// The image that a map names.
fn image_of(node: &Node) -> Option<&str> {
    match node.get("image") {
        Some(Node::Text(image)) => Some(image),
        Some(image @ Node::Map(_)) => image.get("repository").and_then(Node::text),
        _ => node.get("repository").and_then(Node::text),
    }
}

/// The words of a list of texts or of one text; nothing of anything else.
fn words_of(node: &Node) -> Option<Vec<String>> {
    match node {
        Node::Text(text) => shell::words(&shell::with_defaults(text)).ok(),
        Node::List(items) => items.iter().map(|item| item.text().map(shell::with_defaults)).collect(),
        _ => None,
    }
}

/// The flags that the keys of a `vllmConfig` are: `maxModelLen: 4096` is `--max-model-len 4096`.
fn flags_of(config: &Node) -> Vec<String> {
    let Node::Map(entries) = config else {
        return Vec::new();
    };
    let mut words = Vec::new();
    for (key, value) in entries {
        match value {
            value if key.ends_with("Args") => words.extend(words_of(value).unwrap_or_default()),
            Node::Text(text) if text == "true" => words.push(dashed("--", key)),
            Node::Text(text) if text == "false" => words.push(dashed("--no-", key)),
            Node::Text(text) if !text.is_empty() => {
                words.push(alloc::format!("{}={text}", dashed("--", key)));
            }
            // An empty value leaves vLLM's default; what is nested belongs to the chart.
            _ => {}
        }
    }
    words
}

/// `maxModelLen` as `max-model-len`.
fn dashed(start: &str, key: &str) -> String {
    let mut flag = start.to_string();
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            flag.push('-');
        }
        flag.push(c.to_ascii_lowercase());
    }
    flag
}
