//! Where the documents of a compose file, a manifest, a values file or a JSON text have a command of vLLM's.
//!
//! Looked at are, in every map: `entrypoint`, `command` and `args` (and keys that end in `Args`), one after the other,
//! as a list of words or as a text, beside the `image` or `repository` of the same map, with the variables of its
//! `environment` or `env`; `vllmConfig` of vLLM's production stack and `engine_kwargs` of Ray Serve, whose keys are
//! flags; and any text, which may be a script.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::calls::{self, Call};
use super::variables::{self, assignment};
use super::yaml::Node;
use super::{Program, shell};

/// Keys whose words make up a command, in the order in which a container puts them together.
const PARTS: [&str; 5] = ["entrypoint", "Entrypoint", "command", "Cmd", "args"];

/// Keys whose maps have flags as keys.
const CONFIGS: [&str; 3] = ["vllmConfig", "engine_kwargs", "engineKwargs"];

/// Keys whose texts are for readers, or for other programs.
const ABOUT: [&str; 6] = ["annotations", "description", "env", "environment", "healthcheck", "labels"];

/// A call with the variables of its container.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) call: Call,
    pub(super) variables: BTreeMap<String, String>,
}

impl Start {
    const fn new(call: Call, variables: BTreeMap<String, String>) -> Self {
        Self { call, variables }
    }
}

/// The calls in a document, in the order of the text.
pub(super) fn starts_in(node: &Node) -> Vec<Start> {
    let mut found = Vec::new();
    if let Node::List(_) = node {
        // A list of arguments alone.
        let words = words_of(node, &BTreeMap::new());
        let call = words.and_then(|words| calls::of_container(&words, None));
        found.extend(call.map(|call| Start::new(call, BTreeMap::new())));
    }
    if found.is_empty() {
        collect(node, &mut found);
    }
    found
}

fn collect(node: &Node, found: &mut Vec<Start>) {
    match node {
        Node::Empty => {}
        // Steps of a pipeline, files of a config map: scripts under any key.
        Node::Text(text) if text.contains("vllm") || text.contains("profiler") => {
            found.push(Start::new(Call::Script(text.clone()), BTreeMap::new()));
        }
        Node::Text(_) => {}
        Node::List(items) => items.iter().for_each(|item| collect(item, found)),
        Node::Map(entries) => {
            let is_part = |key: &str| PARTS.contains(&key) || key.ends_with("Args");
            let variables = variables_of(node);
            let parts = PARTS.iter().filter_map(|part| node.get(part));
            let others = entries.iter().filter(|(key, _)| key.ends_with("Args")).map(|(_, value)| value);
            let words = parts.chain(others).filter_map(|part| words_of(part, &variables));
            let words: Vec<String> = words.flatten().collect();
            let config =
                CONFIGS.iter().find_map(|key| node.get(key).map(|config| flags_of(config, *key != "vllmConfig")));
            let config = config.unwrap_or_default();
            let call = if config.is_empty() {
                calls::of_container(&words, image_of(node))
            } else {
                let model = model_beside(node).map(|model| ["--model", model]);
                let model = model.into_iter().flatten().map(ToString::to_string);
                Some(Call::Program(Program::Serve, model.chain(config).collect()))
            };
            let is_called = call.is_some();
            found.extend(call.map(|call| Start::new(call, variables)));
            let is_done = |key: &str| CONFIGS.contains(&key) || ABOUT.contains(&key) || is_called && is_part(key);
            entries.iter().filter(|(key, _)| !is_done(key)).for_each(|(_, value)| collect(value, found));
        }
    }
}

/// The variables of a container: `environment` of compose, `env` of Kubernetes.
fn variables_of(node: &Node) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for block in ["environment", "env", "Env"].iter().filter_map(|key| node.get(key)) {
        match block {
            Node::Map(entries) => {
                found
                    .extend(entries.iter().filter_map(|(name, value)| Some((name.clone(), value.text()?.to_string()))));
            }
            Node::List(items) => found.extend(items.iter().filter_map(|item| match item {
                Node::Text(text) => assignment(text).map(|(name, value)| (name.to_string(), value.to_string())),
                _ => Some((item.get("name")?.text()?.to_string(), item.get("value")?.text()?.to_string())),
            })),
            _ => {}
        }
    }
    let none = BTreeMap::new();
    found.values_mut().for_each(|value| *value = variables::filled(value, &none));
    found
}

/// The model of a configuration whose flags stand in a map of their own.
fn model_beside(node: &Node) -> Option<&str> {
    let loading = node.get("model_loading_config");
    let own = ["modelURL", "model_source", "model", "model_id"];
    let in_loading = loading.and_then(|node| own.iter().find_map(|key| node.get(key).and_then(Node::text)));
    in_loading.or_else(|| own.iter().find_map(|key| node.get(key).and_then(Node::text)))
}

/// The image that a map names.
fn image_of(node: &Node) -> Option<&str> {
    match node.get("image").or_else(|| node.get("Image")) {
        Some(Node::Text(image)) => Some(image),
        Some(image @ Node::Map(_)) => image.get("repository").and_then(Node::text),
        _ => node.get("repository").and_then(Node::text),
    }
}

/// The words of a list of texts or of one text; nothing of anything else.
fn words_of(node: &Node, variables: &BTreeMap<String, String>) -> Option<Vec<String>> {
    match node {
        Node::Text(text) => shell::words(&variables::filled(text, variables)).ok(),
        Node::List(items) => {
            items.iter().map(|item| item.text().map(|text| variables::filled(text, variables))).collect()
        }
        _ => None,
    }
}

/// The flags that the keys of a configuration are: `maxModelLen: 4096` is `--max-model-len 4096`.
/// What is nested in it is a flag's JSON, or else (`is_json` is off) the chart's own.
fn flags_of(config: &Node, is_json: bool) -> Vec<String> {
    let Node::Map(entries) = config else {
        return Vec::new();
    };
    let mut words = Vec::new();
    for (key, value) in entries {
        match value {
            value if key.ends_with("Args") => words.extend(words_of(value, &BTreeMap::new()).unwrap_or_default()),
            Node::Text(text) if text == "true" => words.push(dashed("--", key)),
            Node::Text(text) if text == "false" => words.push(dashed("--no-", key)),
            Node::Text(text) if !text.is_empty() => {
                words.push(alloc::format!("{}={text}", dashed("--", key)));
            }
            // An empty value leaves vLLM's default.
            Node::Text(_) | Node::Empty => {}
            Node::Map(_) | Node::List(_) if !is_json => {}
            Node::Map(_) | Node::List(_) => words.push(alloc::format!("{}={}", dashed("--", key), json(value))),
        }
    }
    words
}

/// A value that is nested, as the flag takes it.
fn json(node: &Node) -> String {
    let quoted = |text: &str| alloc::format!("{text:?}");
    match node {
        Node::Empty => "null".to_string(),
        Node::Text(text) if text.parse::<f64>().is_ok() || matches!(text.as_str(), "true" | "false" | "null") => {
            text.clone()
        }
        Node::Text(text) => quoted(text),
        Node::List(items) => alloc::format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", ")),
        Node::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| alloc::format!("{}: {}", quoted(key), json(value)));
            alloc::format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// `maxModelLen` or `max_model_len` as `max-model-len`.
fn dashed(start: &str, key: &str) -> String {
    let mut flag = start.to_string();
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            flag.push('-');
        }
        flag.push(if c == '_' { '-' } else { c.to_ascii_lowercase() });
    }
    flag
}

/// A key of a configuration that only vLLM has, with its value: vLLM's own file of arguments, or a map of a program's.
pub(super) fn argument_in(node: &Node) -> Option<String> {
    match node {
        Node::Empty | Node::Text(_) => None,
        Node::List(items) => items.iter().find_map(argument_in),
        Node::Map(entries) => entries.iter().find_map(|(key, value)| match value {
            Node::Text(value) if calls::is_flag_of_vllm_alone(&dashed("--", key)) => {
                Some(alloc::format!("{key}: {value}"))
            }
            value => argument_in(value),
        }),
    }
}
