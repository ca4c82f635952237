//! A request's body: read within limits of size, time and memory, then taken apart as JSON.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::errors::ApiError;
use super::fields::summary;

/// Most bytes of a body.
pub(crate) const MAX_BODY_BYTES: usize = 10 << 20;
/// Bytes of all bodies that are read or taken apart at once, in KiB.
const MAX_ALL_KIB: usize = 128 << 10;
/// Bytes of a body that take no room: small requests are served while others send large ones.
const FREE_BYTES: usize = 16 << 10;
/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Memory for bodies.
#[derive(Debug)]
pub(crate) struct Bodies {
    room: Semaphore,
}

/// A body, and the room that it takes until it is dropped.
#[derive(Debug)]
pub(crate) struct HeldBody<'a> {
    pub(crate) bytes: Bytes,
    _room: Option<SemaphorePermit<'a>>,
}

impl Bodies {
    /// Room for none yet.
    pub(crate) fn new() -> Self {
        Self { room: Semaphore::new(MAX_ALL_KIB) }
    }

    /// Reads a body of JSON.
    ///
    /// # Errors
    /// If it is said to be something else (400), is too large (413), or does not come in time (408).
    pub(crate) async fn read(&self, request: Request) -> Result<HeldBody<'_>, ApiError> {
        check_content_type(request.headers())?;
        let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: usize| length > MAX_BODY_BYTES) {
            return Err(too_large());
        }
        timeout(BODY_TIMEOUT, self.collect(request.into_body())).await.unwrap_or_else(|_| {
            let limit = BODY_TIMEOUT.as_secs();
            Err(ApiError::body(StatusCode::REQUEST_TIMEOUT, format!("The body did not come within {limit} s.")))
        })
    }

    /// Takes room as a body comes: what its head says it will be takes none, or who says much and sends nothing would hold
    /// everybody up.
    async fn collect(&self, mut body: Body) -> Result<HeldBody<'_>, ApiError> {
        let mut bytes = Vec::new();
        let mut room = None;
        while let Some(frame) = body.frame().await {
            let broken_off =
                |error| ApiError::body(StatusCode::BAD_REQUEST, format!("The body did not come to its end: {error}"));
            let Ok(data) = frame.map_err(broken_off)?.into_data() else { continue };
            if bytes.len() + data.len() > MAX_BODY_BYTES {
                return Err(too_large());
            }
            let kib = num_kib(bytes.len() + data.len()) - num_kib(bytes.len());
            if kib > 0 {
                let Ok(more) = self.room.acquire_many(kib).await else { return Err(ApiError::engine_dead()) };
                match &mut room {
                    None => room = Some(more),
                    Some(room) => SemaphorePermit::merge(room, more),
                }
            }
            bytes.extend_from_slice(&data);
        }
        Ok(HeldBody { bytes: bytes.into(), _room: room })
    }
}

/// KiB of room that so many bytes take.
fn num_kib(num_bytes: usize) -> u32 {
    u32::try_from(num_bytes.saturating_sub(FREE_BYTES).div_ceil(1024)).unwrap_or(u32::MAX)
}

fn too_large() -> ApiError {
    let message = format!("The body is larger than {MAX_BODY_BYTES} bytes, the most that the emulator reads.");
    ApiError::body(StatusCode::PAYLOAD_TOO_LARGE, message)
}

/// `vllm/entrypoints/serve/utils/api_utils.py::validate_json_request`.
fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ApiError::bad_request("Unsupported Media Type: Only 'application/json' is allowed", None))
}

/// The object that a body is.
///
/// # Errors
/// HTTP 400 with the place, if it is no JSON or no object.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(ApiError::invalid(
            "body",
            "model_attributes_type",
            "Input should be a valid dictionary or object to extract fields from",
            &summary(&other),
        )),
        Err(error) => {
            let place = format!("body.{}", offset(bytes, error.line(), error.column()));
            let message = format!("JSON decode error: {}", error.to_string().replace('\'', "`"));
            Err(ApiError::invalid(&place, "json_invalid", &message, "{}"))
        }
    }
}

/// The byte at a line and column, both from 1.
fn offset(bytes: &[u8], line: usize, column: usize) -> usize {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1));
    let before: usize = lines.map(<[u8]>::len).sum();
    before + column.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;

    #[track_caller]
    fn check(body: &str, expect: &str) {
        let error = object(body.as_bytes()).expect_err("no object");
        let text = format!("{error:?}");
        assert!(text.contains(expect), "{text}");
        assert_eq!(error.into_response().status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn what_is_no_object_is_told_with_its_place() {
        check("", "body.0");
        check("{\"a\": }", "body.6");
        check("{\n \"a\": 1,\n \"b\" 2}", "body.16");
        check("[1]", "valid dictionary");
        check("{\"a\": \u{1}}", "json_invalid");
        assert!(object(b"{\"a\": 1}").is_ok());
    }
}
