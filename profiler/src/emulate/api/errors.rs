//! Errors as vLLM's server answers them: `{"error": {"message", "type", "param", "code"}}`.
//!
//! Source: `vllm/entrypoints/serve/exception_handling`.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sim_core::config::RequestRefusal;

use super::super::admission::Rejection;

/// Why a request has no other answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
    param: Option<String>,
}

impl ApiError {
    /// HTTP 400 for a value that cannot be served.
    pub(crate) fn bad_request(message: impl Into<String>, param: Option<&str>) -> Self {
        let param = param.map(ToOwned::to_owned);
        Self { status: StatusCode::BAD_REQUEST, kind: "BadRequestError", message: message.into(), param }
    }

    /// HTTP 400 for a body that is not what it should be: at `place`, such as `body.max_tokens`.
    pub(crate) fn invalid(place: &str, kind: &str, message: &str, found: &str) -> Self {
        let found: String = found.chars().take(200).collect();
        let message = format!(
            "1 validation error:\n  {{'type': '{kind}', 'loc': '{place}', 'msg': '{message}', 'input': {found}}}"
        );
        Self { status: StatusCode::BAD_REQUEST, kind: "Bad Request", message, param: Some(place.to_owned()) }
    }

    /// HTTP 400 for what this program cannot do, by name.
    pub(crate) fn not_emulated(field: &str, why: &str) -> Self {
        Self::bad_request(format!("`{field}` is not emulated: {why}"), Some(field))
    }

    /// HTTP 404 for a model that is not served.
    pub(crate) fn unknown_model(name: &str) -> Self {
        let message = format!("The model `{name}` does not exist.");
        Self { status: StatusCode::NOT_FOUND, kind: "NotFoundError", message, param: Some("model".to_owned()) }
    }

    /// HTTP 413 for a body above the limit, and 408 for one that does not come.
    pub(crate) fn body(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, kind: "BadRequestError", message: message.into(), param: None }
    }

    /// HTTP 501.
    pub(crate) fn not_implemented(message: impl Into<String>) -> Self {
        let status = StatusCode::NOT_IMPLEMENTED;
        Self { status, kind: "NotImplementedError", message: message.into(), param: None }
    }

    /// HTTP 503: the engine's thread has ended.
    pub(crate) fn engine_dead() -> Self {
        Self::unavailable("The simulated engine has ended.")
    }

    /// HTTP 503.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { status, kind: "Service Unavailable", message: message.into(), param: None }
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        Self::unavailable(match rejection {
            Rejection::QueuedReqs => {
                "The engine is currently busy and cannot accept new requests. Please try again later or on a different \
                 instance."
            }
            Rejection::QueuedTokens => {
                "The engine has reached its prefill token backlog limit. Please try again later or on a different \
                 instance."
            }
            Rejection::Memory => {
                "The emulator holds as many requests or prompt tokens as it can. Please try again later or on a \
                 different instance."
            }
        })
    }
}

impl ApiError {
    /// vLLM's words for a request that its front end refuses; `max_tokens_field` is the name of that limit.
    pub(crate) fn refused(refusal: RequestRefusal, max_tokens_field: &str) -> Self {
        match refusal {
            RequestRefusal::EmptyPrompt => Self::bad_request("The decoder prompt cannot be empty", None),
            RequestRefusal::PromptAboveMaxModelLen { num_prompt_tokens, max_model_len } => Self::bad_request(
                format!(
                    "This model's maximum context length is {max_model_len} tokens. However, your prompt contains \
                     {num_prompt_tokens} input tokens, which exceeds this limit even without any output tokens. Please \
                     reduce the length of the input prompt."
                ),
                Some("input_tokens"),
            ),
            RequestRefusal::PromptFillsMaxModelLen { max_model_len } => Self::bad_request(
                format!(
                    "The decoder prompt (length {max_model_len}) plus the number of requested output tokens (at least 1) \
                     is longer than the maximum model length of {max_model_len}. Make sure that `max_model_len` is no \
                     smaller than the number of text tokens (prompt + requested output tokens)."
                ),
                None,
            ),
            RequestRefusal::MaxTokensBelowOne => {
                Self::bad_request("max_tokens must be at least 1, got 0.", Some("max_tokens"))
            }
            RequestRefusal::MaxTokensAboveMaxModelLen { max_tokens, max_model_len } => Self::bad_request(
                format!(
                    "{max_tokens_field}={max_tokens} cannot be greater than max_model_len={max_model_len}. Please \
                     request fewer output tokens."
                ),
                Some(max_tokens_field),
            ),
            other => Self::bad_request(other.to_string(), None),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, kind, message, param } = self;
        let body = json!({"error": {"message": message, "type": kind, "param": param, "code": status.as_u16()}});
        (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
    }
}
