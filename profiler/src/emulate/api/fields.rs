//! Fields of a request, read as vLLM's models (pydantic) read them, with its words for what does not fit.

use serde_json::{Map, Value};

use super::errors::ApiError;

/// An object within a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a, 'p> {
    fields: &'a Map<String, Value>,
    /// Where it is, such as `body`.
    place: &'p str,
}

impl<'a, 'p> Fields<'a, 'p> {
    /// The object at `place`.
    pub(super) const fn new(fields: &'a Map<String, Value>, place: &'p str) -> Self {
        Self { fields, place }
    }

    /// A field that is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// An error at a field.
    pub(super) fn error(&self, name: &str, kind: &str, message: &str) -> ApiError {
        let found = self.fields.get(name).map_or_else(|| "{}".to_owned(), summary);
        ApiError::invalid(&format!("{}.{name}", self.place), kind, message, &found)
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.error(name, "string_type", "Input should be a valid string"))
    }

    /// A whole number; a text or a number without fraction will do.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        #[expect(clippy::cast_possible_truncation, reason = "a whole number that an i64 holds")]
        let whole = |number: f64| (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64);
        let read = match value {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        read.map(Some).ok_or_else(|| self.error(name, "int_parsing", "Input should be a valid integer"))
    }

    /// True or false; false if it is not there.
    pub(super) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::Number(number)) if number.as_u64().is_some_and(|number| number < 2) => {
                Ok(number.as_u64() == Some(1))
            }
            Some(_) => Err(self.error(name, "bool_parsing", "Input should be a valid boolean")),
        }
    }

    /// An object.
    pub(super) fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let error = || self.error(name, "model_attributes_type", "Input should be a valid dictionary");
        value.as_object().map(Some).ok_or_else(error)
    }

    /// A list.
    pub(super) fn list(&self, name: &str) -> Result<Option<&'a [Value]>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let error = || self.error(name, "list_type", "Input should be a valid list");
        value.as_array().map(|list| Some(list.as_slice())).ok_or_else(error)
    }
}

/// A value in an error: containers by their size (`validation.py::_summarize_error_input`).
pub(super) fn summary(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("<list of {} items>", items.len()),
        Value::Object(items) => format!("<dict of {} items>", items.len()),
        Value::String(text) => format!("'{}'", text.chars().take(200).collect::<String>()),
        other => other.to_string(),
    }
}
