//! `POST /v1/completions`: which prompts it asks for.
//!
//! Source: `vllm/entrypoints/openai/completion/protocol.py`.

use std::time::Instant;

use serde_json::Value;
use sim_core::config::EntryPoint;

use super::super::state::Served;
use super::super::tokens::{Part, Sequence};
use super::answer::{Asked, check_model};
use super::body::object;
use super::errors::ApiError;
use super::fields::Fields;
use super::generation::Generation;

/// Reads a body that came at `arrival`.
///
/// # Errors
/// See [`ApiError`].
pub(super) fn read(served: &Served, body: &[u8], arrival: Instant) -> Result<Asked, ApiError> {
    let object = object(body)?;
    let fields = Fields::new(&object, "body");
    let generation = Generation::read(&fields, &["max_tokens"])?;
    check_model(served, generation.model.as_deref())?;
    let adds_special_tokens = match fields.get("add_special_tokens") {
        Some(_) => fields.flag("add_special_tokens")?,
        None => true,
    };
    let prompts = Prompts { served, fields, adds_special_tokens }.read()?;
    Ok(Asked { entry_point: EntryPoint::Completions, max_tokens_field: "max_tokens", generation, prompts, arrival })
}

struct Prompts<'a> {
    served: &'a Served,
    fields: Fields<'a, 'a>,
    adds_special_tokens: bool,
}

impl Prompts<'_> {
    fn read(&self) -> Result<Vec<Sequence>, ApiError> {
        let missing =
            || ApiError::bad_request("Either prompt or prompt_embeds must be provided and non-empty.", Some("prompt"));
        match self.fields.get("prompt").ok_or_else(missing)? {
            Value::String(text) => Ok(vec![self.text(text)?]),
            Value::Array(items) => match items.first().ok_or_else(missing)? {
                Value::Number(_) => Ok(vec![self.ids(items)?]),
                _ => items.iter().map(|item| self.item(item)).collect(),
            },
            _ => Err(self.unfit()),
        }
    }

    fn item(&self, item: &Value) -> Result<Sequence, ApiError> {
        match item {
            Value::String(text) => self.text(text),
            Value::Array(ids) => self.ids(ids),
            _ => Err(self.unfit()),
        }
    }

    fn text(&self, text: &str) -> Result<Sequence, ApiError> {
        let parts = [Part::Text(text, self.adds_special_tokens)];
        self.served.tokens.sequence(&parts).map_err(|error| ApiError::bad_request(error, Some("prompt")))
    }

    fn ids(&self, ids: &[Value]) -> Result<Sequence, ApiError> {
        let known: Option<Vec<u64>> = ids.iter().map(|id| id.as_u64().filter(|id| *id < 1 << 32)).collect();
        let error =
            || self.fields.error("prompt", "int_type", "Input should be a list of token ids, from 0 to 4294967295");
        Ok(self.served.tokens.sequence_of_ids(known.ok_or_else(error)?.into_iter()))
    }

    fn unfit(&self) -> ApiError {
        let message = "Input should be a string, a list of strings, a list of token ids, or a list of these lists";
        self.fields.error("prompt", "string_type", message)
    }
}
