//! The endpoints.

pub(super) mod body;
mod answer;
mod chat;
mod chunks;
mod completions;
mod control;
mod errors;
mod fields;
mod generation;
mod stream;
mod tokenize;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State as Shared};
use axum::http::header::{HeaderValue, SERVER};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use super::state::{Served, State};
use answer::{Asked, submit};
use errors::ApiError;

/// Bodies from this size on are taken apart beside the thread that writes tokens.
const LARGE_BODY_BYTES: usize = 16 << 10;

/// All that is served, on connections of one thread.
pub(super) fn router(state: &Arc<State>, thread: usize) -> Router {
    let banner = HeaderValue::from_str(&state.banner()).unwrap_or(HeaderValue::from_static("profiler-emulate"));
    let name_server = move |mut response: Response| {
        response.headers_mut().insert(SERVER, banner.clone());
        async move { response }
    };
    let not_found = || async { ApiError::body(StatusCode::NOT_FOUND, "Not Found") };
    let not_allowed = || async { ApiError::body(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed") };
    Router::new()
        .route("/v1/completions", post(move |shared, request| completions(shared, thread, request)))
        .route("/v1/chat/completions", post(move |shared, request| chat_completions(shared, thread, request)))
        .route("/tokenize", post(tokenize))
        .merge(control::router())
        .route("/health", get(|| async { StatusCode::OK }))
        .route("/ping", get(|| async { StatusCode::OK }).post(|| async { StatusCode::OK }))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(map_response(name_server))
        .with_state(Arc::clone(state))
}

async fn completions(Shared(state): Shared<Arc<State>>, thread: usize, request: Request) -> Response {
    generate(state, thread, request, "cmpl", completions::read).await.unwrap_or_else(|error| error.into_response())
}

async fn chat_completions(Shared(state): Shared<Arc<State>>, thread: usize, request: Request) -> Response {
    generate(state, thread, request, "chatcmpl", chat::read).await.unwrap_or_else(|error| error.into_response())
}

async fn tokenize(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let answer = async {
        let body = state.bodies.read(request).await?;
        beside(&state, body.bytes.clone(), tokenize::answer).await
    };
    answer.await.map_or_else(ApiError::into_response, control::json_text)
}

/// How a body becomes what is asked.
type Read = fn(&Served, &[u8], Instant) -> Result<Asked, ApiError>;

async fn generate(
    state: Arc<State>,
    thread: usize,
    request: Request,
    kind: &str,
    read: Read,
) -> Result<Response, ApiError> {
    let given_id = header_id(request.headers());
    let body = state.bodies.read(request).await?;
    let arrival = Instant::now();
    let asked = beside(&state, body.bytes.clone(), move |state, bytes| read(&state.served, bytes, arrival)).await?;
    drop(body);
    let is_streamed = asked.generation.is_streamed;
    let id = given_id.or_else(|| asked.generation.request_id.clone()).unwrap_or_else(|| {
        let ticket = state.engine.ticket().0;
        format!("{ticket:016x}{:016x}", super::pieces::hash(&ticket.to_le_bytes()))
    });
    Ok(submit(&state, thread, asked, format!("{kind}-{id}"))?.respond(is_streamed).await)
}

/// Reads a body as either endpoint does, without an engine; the tokens of its prompts, as counted and as sequences.
#[must_use]
pub(super) fn read_alone(served: &Served, is_chat: bool, body: &[u8]) -> Option<(u64, u64)> {
    let read: Read = if is_chat { chat::read } else { completions::read };
    let prompts = read(served, body, Instant::now()).ok()?.prompts;
    let counted = prompts.iter().map(|prompt| u64::from(prompt.num_tokens)).sum();
    let in_runs = prompts.iter().flat_map(|prompt| &prompt.runs).map(|run| u64::from(run.len)).sum();
    Some((counted, in_runs))
}

/// `X-Request-Id`, which vLLM repeats.
fn header_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("x-request-id")?.to_str().ok()?;
    (!id.is_empty()).then(|| id.chars().take(200).collect())
}

/// Takes a body apart: a small one here, a large one, or one for a tokenizer, in another thread.
async fn beside<T: Send + 'static>(
    state: &Arc<State>,
    bytes: Bytes,
    read: impl FnOnce(&State, &[u8]) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    if bytes.len() < LARGE_BODY_BYTES && !state.served.tokens.is_slow() {
        return read(state, &bytes);
    }
    let state = Arc::clone(state);
    let task = tokio::task::spawn_blocking(move || read(&state, &bytes));
    task.await.unwrap_or_else(|_| Err(ApiError::unavailable("The request could not be read.")))
}
