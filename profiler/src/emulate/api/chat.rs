//! `POST /v1/chat/completions`: its messages as one prompt.
//!
//! There is no chat template: each message is its role between two marks, its text, and a mark behind it, as `ChatML` has
//! it, one token each. A dialogue that goes on begins with the tokens that it had.
//!
//! Source: `vllm/entrypoints/openai/chat_completion/protocol.py`.

use std::time::Instant;

use serde_json::{Map, Value};
use sim_core::config::EntryPoint;

use super::super::state::Served;
use super::super::tokens::{Part, Sequence};
use super::answer::{Asked, check_model};
use super::body::object;
use super::errors::ApiError;
use super::fields::{Fields, summary};
use super::generation::Generation;

/// Reads a body that came at `arrival`.
///
/// # Errors
/// See [`ApiError`].
pub(super) fn read(served: &Served, body: &[u8], arrival: Instant) -> Result<Asked, ApiError> {
    let object = object(body)?;
    let fields = Fields::new(&object, "body");
    let generation = Generation::read(&fields, &["max_completion_tokens", "max_tokens"])?;
    check_model(served, generation.model.as_deref())?;
    let prompts = vec![prompt(served, &fields, true)?];
    let entry_point = EntryPoint::ChatCompletions;
    Ok(Asked { entry_point, max_tokens_field: "max_completion_tokens", generation, prompts, arrival })
}

/// The prompt of a body's `messages` and `tools`.
///
/// # Errors
/// HTTP 400 for what is no message, or holds more than text.
pub(super) fn prompt(
    served: &Served,
    fields: &Fields<'_, '_>,
    adds_generation_prompt: bool,
) -> Result<Sequence, ApiError> {
    let messages = fields.list("messages")?.ok_or_else(|| fields.error("messages", "missing", "Field required"))?;
    let tools = fields.list("tools")?.filter(|tools| !tools.is_empty()).map(text_of).transpose()?;
    let mut parts = Vec::new();
    if let Some(tools) = &tools {
        push_message(&mut parts, "tools", [tools.as_str()].into_iter());
    }
    let calls = messages.iter().map(|message| message.get("tool_calls").map(std::slice::from_ref).map(text_of));
    let calls: Vec<Option<String>> = calls.map(Option::transpose).collect::<Result<_, _>>()?;
    for (place, (message, calls)) in messages.iter().zip(&calls).enumerate() {
        let place = format!("body.messages.{place}");
        let unfit = || ApiError::invalid(&place, "dict_type", "Input should be a valid dictionary", &summary(message));
        let message = Fields::new(message.as_object().ok_or_else(unfit)?, &place);
        let role = message.text("role")?.ok_or_else(|| message.error("role", "missing", "Field required"))?;
        let content = content(&message, &place)?;
        push_message(&mut parts, role, content.into_iter().chain(calls.as_deref()));
    }
    if adds_generation_prompt {
        parts.extend([Part::Template("<begin>"), Part::Template("assistant"), Part::Template("<text>")]);
    }
    let sequence = served.tokens.sequence(&parts);
    sequence.map_err(|error| ApiError::bad_request(error, Some("messages")))
}

fn push_message<'a>(parts: &mut Vec<Part<'a>>, role: &'a str, texts: impl Iterator<Item = &'a str>) {
    parts.extend([Part::Template("<begin>"), Part::Template(role), Part::Template("<text>")]);
    parts.extend(texts.map(|text| Part::Text(text, false)));
    parts.push(Part::Template("<end>"));
}

/// The texts of a message.
fn content<'a>(message: &Fields<'a, '_>, place: &str) -> Result<Vec<&'a str>, ApiError> {
    match message.get("content") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(items)) => items.iter().enumerate().map(|(at, item)| part(item, place, at)).collect(),
        Some(_) => Err(message.error("content", "string_type", "Input should be a valid string or a list of parts")),
    }
}

fn part<'a>(item: &'a Value, place: &str, at: usize) -> Result<&'a str, ApiError> {
    let place = format!("{place}.content.{at}");
    let fields: Option<&Map<String, Value>> = item.as_object();
    let unfit = || ApiError::invalid(&place, "dict_type", "Input should be a valid dictionary", &summary(item));
    let fields = Fields::new(fields.ok_or_else(unfit)?, &place);
    match fields.text("type")? {
        Some("text") => fields.text("text")?.ok_or_else(|| fields.error("text", "missing", "Field required")),
        Some(kind) => Err(ApiError::not_emulated(&format!("{place}.{kind}"), "prompts are text")),
        None => Err(fields.error("type", "missing", "Field required")),
    }
}

/// Tools and calls of them count as their JSON.
fn text_of(values: &[Value]) -> Result<String, ApiError> {
    serde_json::to_string(values).map_err(|error| ApiError::bad_request(error.to_string(), Some("tools")))
}
