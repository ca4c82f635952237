//! Models by their names on Hugging Face: their facts, as `config.json` would say them.
//!
//! The list ships with the product as a file (`www/models.json`); this reads it and finds a name in it, whatever else a
//! name may say of dates, tuning and quantisation.

mod find;
mod names;
mod variant;
#[cfg(test)]
mod tests;

pub use find::{FoundModel, UnknownModel};
pub use variant::Variant;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use serde_json::{Map, Value};

use super::error::{MAX_BYTES, shortened};
use names::Name;

/// Most models of a list.
const MAX_MODELS: usize = 4096;

/// A list of models.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    entries: Vec<CatalogueEntry>,
}

/// A model of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogueEntry {
    /// Its name on Hugging Face, owner and all.
    pub name: String,
    /// Where its facts are from, in words.
    pub source: String,
    /// Other models with the same facts.
    pub aliases: Vec<String>,
    config: Map<String, Value>,
    names: Vec<Name>,
}

/// Why a list is not read. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatalogueError {
    /// More than [`MAX_BYTES`].
    TooLarge {
        /// Bytes of the file.
        num_bytes: usize,
    },
    /// Not JSON, or not an object with a list of models.
    Json {
        /// What, and where.
        message: String,
    },
    /// A model lacks a field, or the model that it is like stands not before it.
    Entry {
        /// Its place, from 0.
        index: usize,
        /// Its name, if it has one.
        name: String,
        /// What it needs.
        need: &'static str,
    },
}

impl fmt::Display for CatalogueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { num_bytes } => write!(f, "models.json: {num_bytes} bytes; the limit is {MAX_BYTES}"),
            Self::Json { message } => write!(f, "models.json: {message}"),
            Self::Entry { index, name, need } => write!(f, "models.json: model {index} {name:?} needs {need}"),
        }
    }
}

impl core::error::Error for CatalogueError {}

/// Whether two names are of one model with one quantisation, wherever it lies and however it was tuned.
#[must_use]
pub fn is_same_name(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(Name::parse);
    !one.words.is_empty() && one.words == other.words && one.variant == other.variant && one.refused == other.refused
}

/// What a name says of how the weights are quantised.
#[must_use]
pub fn variant(name: &str) -> Option<Variant> {
    Name::parse(name).variant
}

impl CatalogueEntry {
    /// Its facts as a `config.json`.
    #[must_use]
    pub fn config_json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.config).unwrap_or_default()
    }
}

impl Catalogue {
    /// Reads a list of at most [`MAX_BYTES`]. An entry has its facts in `config`, or names another before it as its `base`
    /// and says in `with` what differs.
    ///
    /// # Errors
    /// See [`CatalogueError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, CatalogueError> {
        if bytes.len() > MAX_BYTES {
            return Err(CatalogueError::TooLarge { num_bytes: bytes.len() });
        }
        let json = |message: String| CatalogueError::Json { message };
        let root: Map<String, Value> = serde_json::from_slice(bytes).map_err(|error| json(error.to_string()))?;
        let models = root.get("models").and_then(Value::as_array).ok_or_else(|| json("no list of models".into()))?;
        if models.len() > MAX_MODELS {
            return Err(json(alloc::format!("{} models; the limit is {MAX_MODELS}", models.len())));
        }
        let sources = root.get("sources").and_then(Value::as_object);
        let mut list = Self::default();
        for (index, model) in models.iter().enumerate() {
            let entry = list.entry(model, sources).map_err(|need| {
                let name = model.get("name").and_then(Value::as_str).map(shortened).unwrap_or_default();
                CatalogueError::Entry { index, name, need }
            })?;
            list.entries.push(entry);
        }
        Ok(list)
    }

    /// The models, in the file's order.
    #[must_use]
    pub fn entries(&self) -> &[CatalogueEntry] {
        &self.entries
    }

    fn entry(&self, model: &Value, sources: Option<&Map<String, Value>>) -> Result<CatalogueEntry, &'static str> {
        let text = |field: &str| model.get(field).and_then(Value::as_str);
        let name = text("name").ok_or("a name")?.to_string();
        let source = text("source").ok_or("a source")?;
        let source = sources.and_then(|sources| sources.get(source)).and_then(Value::as_str).unwrap_or(source);
        let config = match (model.get("config").and_then(Value::as_object), text("base")) {
            (Some(config), None) => config.clone(),
            (None, Some(base)) => {
                let base =
                    self.entries.iter().find(|entry| entry.name == base).ok_or("a base that stands before it")?;
                let mut config = base.config.clone();
                if let Some(with) = model.get("with").and_then(Value::as_object) {
                    config.extend(with.iter().map(|(field, value)| (field.clone(), value.clone())));
                }
                config
            }
            _ => return Err("either a config or a base"),
        };
        let aliases: Vec<String> = match model.get("aliases") {
            None => Vec::new(),
            Some(list) => list
                .as_array()
                .and_then(|list| list.iter().map(|alias| alias.as_str().map(String::from)).collect())
                .ok_or("aliases that are texts")?,
        };
        let names = core::iter::once(&name).chain(&aliases).map(|name| Name::parse(name)).collect();
        Ok(CatalogueEntry { name, source: source.into(), aliases, config, names })
    }
}
