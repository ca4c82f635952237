//! What is asked of the server itself.
//!
//! Source: `vllm/entrypoints/serve/{instrumentator,dev}`, `vllm/entrypoints/openai/models`.

use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::extract::{RawQuery, State as Shared};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::super::state::{State, unix_time};
use super::super::submission::Message;
use super::errors::ApiError;

/// The endpoints.
pub(super) fn router() -> Router<Arc<State>> {
    let no_sleep =
        || async { ApiError::not_implemented("Sleep mode is not emulated: /sleep and /wake_up do nothing.") };
    Router::new()
        .route("/v1/models", get(models))
        .route("/version", get(version))
        .route("/load", get(load))
        .route("/metrics", get(metrics))
        .route("/reset_prefix_cache", post(reset_prefix_cache))
        .route("/sleep", post(no_sleep))
        .route("/wake_up", post(no_sleep))
        .route("/is_sleeping", get(|| async { json_text(json!({"is_sleeping": false}).to_string()) }))
}

/// A text of JSON as an answer.
pub(super) fn json_text(text: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

async fn models(Shared(state): Shared<Arc<State>>) -> Response {
    let card = |name: &String| {
        json!({
            "id": name, "object": "model", "created": unix_time(), "owned_by": "vllm", "root": state.root,
            "parent": null, "max_model_len": state.config.max_model_len, "permission": [],
        })
    };
    let cards: Vec<Value> = state.served.names.iter().map(card).collect();
    json_text(json!({"object": "list", "data": cards}).to_string())
}

async fn version(Shared(state): Shared<Arc<State>>) -> Response {
    let answer = json!({
        "version": state.config.vllm_version.name(),
        "simulated": true,
        "simulated_by": concat!("profiler ", env!("CARGO_PKG_VERSION")),
        "tokens": state.served.tokens.described(),
        "time_scale": state.time_scale,
    });
    json_text(answer.to_string())
}

async fn load(Shared(state): Shared<Arc<State>>) -> Response {
    json_text(json!({"server_load": state.engine.held.num_requests()}).to_string())
}

async fn metrics(Shared(state): Shared<Arc<State>>) -> Response {
    let mut text = state.metrics.lock().unwrap_or_else(PoisonError::into_inner).exposition();
    text.push_str(&state.lateness.exposition());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn reset_prefix_cache(Shared(state): Shared<Arc<State>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    if is_true(&query, "reset_running_requests") {
        let message = "`reset_running_requests` is not emulated: requests that run keep what they have.";
        return ApiError::not_implemented(message).into_response();
    }
    // Without host memory there is nothing to reset, which vLLM calls a success.
    if is_true(&query, "reset_external") && state.config.kv_offloading.is_some() {
        let message = "`reset_external` is not emulated: host memory keeps what it has.";
        return ApiError::not_implemented(message).into_response();
    }
    let (answer, answered) = oneshot::channel();
    if state.engine.send(Message::ResetPrefixCache(answer)).is_err() {
        return ApiError::engine_dead().into_response();
    }
    let Ok(success) = answered.await else { return ApiError::engine_dead().into_response() };
    json_text(json!({"success": success}).to_string())
}

/// Whether a query says so, in one of the words that vLLM's framework takes for it.
fn is_true(query: &str, name: &str) -> bool {
    let words = ["1", "true", "t", "yes", "y", "on"];
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).any(|(_, value)| words.iter().any(|word| value.eq_ignore_ascii_case(word)))
}
