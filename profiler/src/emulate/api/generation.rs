//! What a request for an answer asks, the same for both endpoints; and what of it cannot be emulated.
//!
//! Source: `vllm/entrypoints/openai/{completion,chat_completion}/protocol.py`.

use serde_json::Value;

use super::super::pieces::hash;
use super::errors::ApiError;
use super::fields::Fields;

/// Fields that both endpoints have, of those that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Generation {
    pub(super) model: Option<String>,
    pub(super) max_tokens: Option<u32>,
    pub(super) min_tokens: u32,
    pub(super) ignore_eos: bool,
    pub(super) is_streamed: bool,
    pub(super) include_usage: bool,
    pub(super) continuous_usage: bool,
    pub(super) priority: i32,
    pub(super) cache_salt: u32,
    pub(super) request_id: Option<String>,
}

/// Longest id that is repeated in answers.
const MAX_ID_CHARS: usize = 200;

impl Generation {
    /// Reads them. `max_tokens` are the names of the limit on tokens, the first that is given counts.
    ///
    /// # Errors
    /// HTTP 400 for what does not fit, or is not emulated.
    pub(super) fn read(fields: &Fields<'_, '_>, max_tokens: &[&str]) -> Result<Self, ApiError> {
        check_emulated(fields)?;
        let mut limit = None;
        for name in max_tokens {
            let given = fields.integer(name)?;
            limit = limit.or(given);
        }
        let max_tokens = limit.map(at_least_one).transpose()?;
        let Ok(min_tokens) = u32::try_from(fields.integer("min_tokens")?.unwrap_or(0)) else {
            let message = "min_tokens must be greater than or equal to 0.";
            return Err(ApiError::bad_request(message, Some("min_tokens")));
        };
        if let Some(max_tokens) = max_tokens.filter(|most| min_tokens > *most) {
            let message =
                format!("min_tokens must be less than or equal to max_tokens={max_tokens}, got {min_tokens}.");
            return Err(ApiError::bad_request(message, Some("min_tokens")));
        }
        let is_streamed = fields.flag("stream")?;
        let (mut include_usage, mut continuous_usage) = (false, false);
        if let Some(options) = fields.object("stream_options")? {
            if !is_streamed {
                let message = "Stream options can only be defined when `stream=True`.";
                return Err(ApiError::bad_request(message, Some("stream_options")));
            }
            let options = Fields::new(options, "body.stream_options");
            include_usage = options.flag("include_usage")?;
            continuous_usage = include_usage && options.flag("continuous_usage_stats")?;
        }
        let salt = fields.text("cache_salt")?;
        if salt == Some("") {
            let message = "Parameter 'cache_salt' must be a non-empty string if provided.";
            return Err(ApiError::bad_request(message, Some("cache_salt")));
        }
        Ok(Self {
            model: fields.text("model")?.map(ToOwned::to_owned),
            max_tokens,
            min_tokens,
            ignore_eos: fields.flag("ignore_eos")?,
            is_streamed,
            include_usage,
            continuous_usage,
            priority: clamped(fields.integer("priority")?.unwrap_or(0)),
            // Zero is none.
            cache_salt: salt.map_or(0, |salt| u32::try_from(hash(salt.as_bytes()) >> 33).unwrap_or(0) | 1),
            request_id: fields.text("request_id")?.map(|id| id.chars().take(MAX_ID_CHARS).collect()),
        })
    }
}

fn at_least_one(max_tokens: i64) -> Result<u32, ApiError> {
    if max_tokens < 1 {
        let message = format!("max_tokens must be at least 1, got {max_tokens}.");
        return Err(ApiError::bad_request(message, Some("max_tokens")));
    }
    // Above every model's length all are alike.
    Ok(u32::try_from(max_tokens).unwrap_or(u32::MAX))
}

fn clamped(priority: i64) -> i32 {
    let (least, most) = (i64::from(i32::MIN), i64::from(i32::MAX));
    i32::try_from(priority.clamp(least, most)).unwrap_or(0)
}

/// Refuses by name what would need a model, or a part of vLLM that is not simulated.
fn check_emulated(fields: &Fields<'_, '_>) -> Result<(), ApiError> {
    const NEEDS_MODEL: &str = "the text is filler of the right length, no model writes it";
    for name in ["n", "best_of"] {
        if fields.integer(name)?.is_some_and(|count| count != 1) {
            return Err(ApiError::not_emulated(name, "only one answer for each prompt is"));
        }
    }
    let is_set = |value: &&Value| !matches!(value, Value::Bool(false)) && value.as_u64() != Some(0);
    for name in [
        "logprobs",
        "top_logprobs",
        "prompt_logprobs",
        "logprob_token_ids",
        "echo",
        "suffix",
        "use_beam_search",
        "structured_outputs",
        "prompt_embeds",
        "return_token_ids",
        "kv_transfer_params",
        "truncate_prompt_tokens",
    ] {
        // `logprobs: 0` of a completion asks for some.
        let is_asked = fields.get(name).filter(is_set).is_some()
            || name == "logprobs" && fields.get(name).is_some_and(Value::is_number);
        if is_asked {
            return Err(ApiError::not_emulated(name, NEEDS_MODEL));
        }
    }
    if let Some(format) = fields.object("response_format")?
        && format.get("type").and_then(Value::as_str) != Some("text")
    {
        return Err(ApiError::not_emulated("response_format", NEEDS_MODEL));
    }
    if fields.get("tool_choice").is_some_and(|choice| !matches!(choice.as_str(), Some("none" | "auto"))) {
        return Err(ApiError::not_emulated("tool_choice", NEEDS_MODEL));
    }
    Ok(())
}
