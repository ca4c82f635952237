//! The fields of a `config.json`, read within limits.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::defaults;
use super::error::{MAX_BYTES, ModelConfigError, shortened};
use super::python_json::as_json;
use crate::json_message;

type Result<T> = core::result::Result<T, ModelConfigError>;

/// Most of anything that is counted, far above every model.
const MAX_COUNT: u32 = 1 << 26;
/// Most layers, and most entries of a list.
const MAX_LAYERS: u32 = 1024;
const MAX_ENTRIES: usize = 4096;
/// Most names of modules.
const MAX_NAMES: usize = 1 << 16;

/// A whole file.
#[derive(Debug)]
pub(super) struct ConfigFile {
    root: Map<String, Value>,
    left_out: Vec<String>,
}

/// An object of the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
}

impl ConfigFile {
    /// Reads a file of at most [`MAX_BYTES`].
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_BYTES {
            return Err(ModelConfigError::TooLarge { num_bytes: bytes.len() });
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut root = serde_json::from_slice(&as_json(bytes)).map_err(|error| {
            let message = error.to_string();
            let place = format!(" at line {} column {}", error.line(), error.column());
            let message = message.strip_suffix(&place).unwrap_or(&message);
            ModelConfigError::Json { message: format!("{}{place}", json_message::for_people(message)) }
        })?;
        let left_out = defaults::add(&mut root);
        Ok(Self { root, left_out })
    }

    /// Sizes that the file leaves out and the library has, each with its value.
    pub(super) fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The fields of the whole file.
    pub(super) const fn root(&self) -> Fields<'_> {
        Fields { object: &self.root }
    }

    /// The fields of the language model: `text_config` where there is one (`get_hf_text_config`).
    pub(super) fn text(&self) -> Result<Fields<'_>> {
        Ok(self.root().object("text_config")?.unwrap_or_else(|| self.root()))
    }

    /// The class of the model (`architectures[0]`), if the file names one.
    pub(super) fn architecture(&self) -> Result<Option<String>> {
        let field = "architectures";
        let Some(value) = self.root().value(field) else { return Ok(None) };
        let first = value.as_array().and_then(|list| list.first()).and_then(Value::as_str);
        first
            .map(|name| Some(shortened(name)))
            .ok_or_else(|| ModelConfigError::value(field, value, "a list that begins with a name"))
    }
}

impl<'a> Fields<'a> {
    /// The value of a field; null counts as absent.
    pub(super) fn value(self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Whether a field is there and null.
    pub(super) fn is_null(self, name: &str) -> bool {
        self.object.get(name).is_some_and(Value::is_null)
    }

    /// A whole number of at least 1.
    pub(super) fn count(self, field: &'static str) -> Result<u32> {
        self.optional_count(field)?.ok_or(ModelConfigError::missing(field))
    }

    /// A whole number of at least 1, or `default` where it is absent, null or 0.
    pub(super) fn count_or(self, field: &'static str, default: u32) -> Result<u32> {
        Ok(self.optional_count(field)?.unwrap_or(default))
    }

    /// A whole number; `None` where it is absent, null or 0, which vLLM takes for the same.
    pub(super) fn optional_count(self, field: &'static str) -> Result<Option<u32>> {
        Ok(self.number(field, MAX_COUNT)?.filter(|&count| count > 0))
    }

    /// A whole number from 0 to `limit`.
    pub(super) fn number(self, field: &'static str, limit: u32) -> Result<Option<u32>> {
        let Some(value) = self.value(field) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|&number| number <= limit);
        let need = || format!("a whole number from 0 to {limit}");
        number.map(Some).ok_or_else(|| ModelConfigError::value(field, value, need()))
    }

    /// `num_hidden_layers`, or as many as the list has in its place.
    pub(super) fn num_layers(self, list_in_its_place: &'static str) -> Result<u32> {
        let field = "num_hidden_layers";
        let Some(count) = self.number(field, MAX_LAYERS)?.filter(|&count| count > 0) else {
            let list = self.list(list_in_its_place)?.ok_or(ModelConfigError::missing(field))?;
            let count = u32::try_from(list.len()).ok().filter(|count| (1..=MAX_LAYERS).contains(count));
            let need = format!("a list of 1 to {MAX_LAYERS} entries");
            let value = || Value::Array(Vec::new());
            return count.ok_or_else(|| ModelConfigError::value(list_in_its_place, &value(), need));
        };
        Ok(count)
    }

    /// A switch, or `default`.
    pub(super) fn flag_or(self, field: &'static str, default: bool) -> Result<bool> {
        let Some(value) = self.value(field) else { return Ok(default) };
        value.as_bool().ok_or_else(|| ModelConfigError::value(field, value, "true or false"))
    }

    /// A text.
    pub(super) fn text(self, field: &'static str) -> Result<Option<&'a str>> {
        let Some(value) = self.value(field) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| ModelConfigError::value(field, value, "a text"))
    }

    /// An object.
    pub(super) fn object(self, field: &'static str) -> Result<Option<Self>> {
        let Some(value) = self.value(field) else { return Ok(None) };
        let object = value.as_object().ok_or_else(|| ModelConfigError::value(field, value, "an object"))?;
        Ok(Some(Self { object }))
    }

    /// The names of an object's entries, at most as many as are read.
    pub(super) fn names(self) -> impl Iterator<Item = &'a str> {
        self.object.keys().map(String::as_str).take(MAX_NAMES)
    }

    /// An entry of an object whose names are not known beforehand; `None` if it is no object.
    pub(super) fn object_named(self, name: &str) -> Option<Self> {
        self.value(name).and_then(Value::as_object).map(|object| Self { object })
    }

    /// A list of texts that may be longer than the model has layers; what is no text is left out.
    pub(super) fn many_texts(self, field: &'static str) -> Result<impl Iterator<Item = &'a str>> {
        let list = match self.value(field) {
            None => &[],
            Some(Value::Array(list)) => list.as_slice(),
            Some(value) => return Err(ModelConfigError::value(field, value, "a list of texts")),
        };
        Ok(list.iter().take(MAX_NAMES).filter_map(Value::as_str))
    }

    /// A list of objects.
    pub(super) fn objects(self, field: &'static str) -> Result<Vec<Self>> {
        let list = self.list(field)?.ok_or(ModelConfigError::missing(field))?;
        let object = |value: &'a Value| match value.as_object() {
            Some(object) => Ok(Self { object }),
            None => Err(ModelConfigError::value(field, value, "a list of objects")),
        };
        list.iter().map(object).collect()
    }

    /// A list of texts.
    pub(super) fn texts(self, field: &'static str) -> Result<Option<Vec<&'a str>>> {
        let Some(list) = self.list(field)? else { return Ok(None) };
        let text =
            |value: &'a Value| value.as_str().ok_or_else(|| ModelConfigError::value(field, value, "a list of texts"));
        list.iter().map(text).collect::<Result<_>>().map(Some)
    }

    /// A list of whole numbers.
    pub(super) fn numbers(self, field: &'static str) -> Result<Option<Vec<u64>>> {
        let Some(list) = self.list(field)? else { return Ok(None) };
        let need = "a list of whole numbers";
        let number = |value: &Value| value.as_u64().ok_or_else(|| ModelConfigError::value(field, value, need));
        list.iter().map(number).collect::<Result<_>>().map(Some)
    }

    /// The first `num_layers` entries of a list of texts, which must have as many; an empty list counts as absent.
    pub(super) fn texts_of_layers(self, field: &'static str, num_layers: u32) -> Result<Option<Vec<&'a str>>> {
        let Some(mut texts) = self.texts(field)?.filter(|texts| !texts.is_empty()) else { return Ok(None) };
        let wanted = usize::try_from(num_layers).unwrap_or(usize::MAX);
        if texts.len() < wanted {
            return Err(ModelConfigError::TooShort { field, entries: texts.len(), layers: num_layers });
        }
        texts.truncate(wanted);
        Ok(Some(texts))
    }

    fn list(self, field: &'static str) -> Result<Option<&'a Vec<Value>>> {
        let Some(value) = self.value(field) else { return Ok(None) };
        let list = value.as_array().filter(|list| list.len() <= MAX_ENTRIES);
        let need = || format!("a list of at most {MAX_ENTRIES} entries");
        list.map(Some).ok_or_else(|| ModelConfigError::value(field, value, need()))
    }
}
