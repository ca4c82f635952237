//! `POST /tokenize`: a prompt's tokens.
//!
//! Source: `vllm/entrypoints/serve/tokenize`.

use serde_json::json;

use super::super::state::State;
use super::answer::check_model;
use super::body::object;
use super::chat;
use super::errors::ApiError;
use super::fields::Fields;

/// The answer's JSON.
///
/// # Errors
/// See [`ApiError`].
pub(super) fn answer(state: &State, body: &[u8]) -> Result<String, ApiError> {
    let object = object(body)?;
    let fields = Fields::new(&object, "body");
    check_model(&state.served, fields.text("model")?)?;
    let flag = |name: &str| if fields.get(name).is_some() { fields.flag(name) } else { Ok(true) };
    let tokens: Vec<u64> = match fields.text("prompt")? {
        Some(text) => {
            let ids = state.served.tokens.ids(text, flag("add_special_tokens")?);
            ids.map_err(|error| ApiError::bad_request(error, Some("prompt")))?
        }
        None if fields.get("messages").is_some() => {
            let sequence = chat::prompt(&state.served, &fields, flag("add_generation_prompt")?)?;
            sequence.runs.iter().flat_map(|run| run.start..run.start + u64::from(run.len)).collect()
        }
        None => return Err(fields.error("prompt", "missing", "Field required")),
    };
    let max_model_len = state.config.max_model_len;
    let answer = json!({"count": tokens.len(), "max_model_len": max_model_len, "tokens": tokens, "token_strs": null});
    Ok(answer.to_string())
}
