//! What a model's configuration class has where its `config.json` leaves it out.
//!
//! Published files leave out what transformers' class, or vLLM's own, has as default; `library_defaults.txt` is what
//! those classes have, as `tests/recorder/record_config_defaults.py` recorded it from transformers 5.19 and vLLM 0.32:
//!
//! - `CLASS TYPE TEXT_TYPE`: a class of vLLM's, the `model_type` of its files, and that of the language model in them;
//! - `type FIELD=VALUE … NAME<OTHER …`: what a language model of that type has, and which names mean one field.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};

const RECORDED: &str = include_str!("library_defaults.txt");

/// What is not filled in: another file may say it in the other of the two objects that it stands in.
const LOOKED_UP: [&str; 1] = ["tie_word_embeddings"];
/// Sizes of which a file must have one: a file with neither is no model's, though the library has defaults for both.
const SIZES: [&str; 4] = ["hidden_size", "num_hidden_layers", "layers_block_type", "hybrid_override_pattern"];

/// Sizes of which a reader must know that the file did not say them.
const TOLD: [&str; 13] = [
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "max_position_embeddings",
    "sliding_window",
    "moe_intermediate_size",
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
];

/// The class of files of this `model_type` that name none.
pub(super) fn class_of(model_type: &str) -> Option<&'static str> {
    classes().find(|[_, own, text]| *own == model_type || *text == model_type).map(|[class, ..]| class)
}

/// The `model_type` that files of this class have.
pub(super) fn type_of(class: &str) -> Option<&'static str> {
    classes().find(|[name, ..]| *name == class).map(|[_, own, _]| own)
}

/// Whether the logits use the embedding's matrix where a file of this class does not say.
pub(super) fn ties_word_embeddings(class: &str) -> bool {
    let text = classes().find(|[name, ..]| *name == class).map(|[.., text]| text);
    text.and_then(recorded).is_some_and(|mut words| words.any(|word| word == "tie_word_embeddings=true"))
}

/// Adds to the language model's fields of a file what its class has where the file leaves it out. What is null there stays
/// so: the library takes it for a value.
///
/// Returned are the sizes among what was added, as `vocab_size 262208`.
pub(super) fn add(root: &mut Map<String, Value>) -> Vec<String> {
    let own_type = |object: &Map<String, Value>| object.get("model_type").and_then(Value::as_str).map(String::from);
    let class = root.get("architectures").and_then(|list| list.get(0)).and_then(Value::as_str);
    let of_class = classes().find(|[name, ..]| Some(*name) == class).map(|[.., text]| text);
    let of_type = own_type(root).and_then(|own| classes().find(|[_, other, _]| *other == own)).map(|[.., text]| text);
    let model = match root.get_mut("text_config") {
        Some(Value::Object(model)) => model,
        _ => root,
    };
    // The language model's own type goes before what files of the class have mostly.
    let own = own_type(model).and_then(|own| recorded(&own));
    let words = own.or_else(|| of_class.or(of_type).and_then(recorded));
    let Some(words) = words.filter(|_| SIZES.iter().any(|field| model.contains_key(*field))) else { return Vec::new() };
    let added: Vec<_> = words.filter(|word| add_word(model, word)).filter_map(|word| word.split_once('=')).collect();
    // A window that no layer has says nothing.
    let has_window = model.get("use_sliding_window") != Some(&Value::Bool(false));
    let is_told = |field: &str| TOLD.contains(&field) && (has_window || field != "sliding_window");
    added.iter().filter(|(field, _)| is_told(field)).map(|(field, value)| alloc::format!("{field} {value}")).collect()
}

/// Whether anything was added.
fn add_word(model: &mut Map<String, Value>, word: &str) -> bool {
    if let Some((name, other)) = word.split_once('<') {
        for (from, to) in [(name, other), (other, name)] {
            if let Some(value) = model.get(from).filter(|_| !model.contains_key(to)).cloned() {
                model.insert(to.into(), value);
                return true;
            }
        }
        return false;
    }
    let Some((field, value)) = word.split_once('=') else { return false };
    if LOOKED_UP.contains(&field) || model.contains_key(field) {
        return false;
    }
    model.insert(field.into(), value.parse().unwrap_or_else(|_| Value::from(value)));
    true
}

/// The words of a type; other names come before what holds if none of them is there.
fn recorded(model_type: &str) -> Option<impl Iterator<Item = &'static str> + use<>> {
    let line = RECORDED.lines().find(|line| line.split(' ').next() == Some(model_type))?;
    let words = || line.split(' ').skip(1);
    Some(words().filter(|word| word.contains('<')).chain(words().filter(|word| word.contains('='))))
}

/// Classes with the type of their files and of the language model in them.
fn classes() -> impl Iterator<Item = [&'static str; 3]> {
    let lines = RECORDED.lines().take_while(|line| line.starts_with(|letter: char| letter.is_ascii_uppercase()));
    lines.filter_map(|line| line.split(' ').collect::<Vec<_>>().try_into().ok())
}
