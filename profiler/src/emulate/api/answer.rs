//! From a request that was read to its answer, as a stream or at once.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use sim_core::config::{EntryPoint, admit};

use super::super::admission::QueueLimits;
use super::super::reply::{Progress, Reply};
use super::super::state::{Served, State};
use super::super::submission::{Message, Submission, Ticket};
use super::super::tokens::Sequence;
use super::chunks::{Chunks, finish_reason, usage};
use super::errors::ApiError;
use super::generation::Generation;
use super::stream::StreamBody;

/// What a client asks, read and counted.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) entry_point: EntryPoint,
    pub(super) max_tokens_field: &'static str,
    pub(super) generation: Generation,
    pub(super) prompts: Vec<Sequence>,
    pub(super) arrival: Instant,
}

/// A request with the engine. If it is dropped before its end, the client has gone, and the engine is told.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) state: Arc<State>,
    pub(super) reply: Arc<Reply>,
    pub(super) chunks: Chunks,
    tickets: Vec<Ticket>,
}

/// One prompt of a request, as its answer needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) num_prompt_tokens: u32,
    /// The word of the filler that its answer begins with.
    pub(super) first_word: usize,
}

/// Refuses a name under which nothing is served.
pub(super) fn check_model(served: &Served, name: Option<&str>) -> Result<(), ApiError> {
    match name {
        Some(name) if !name.is_empty() && !served.names.iter().any(|known| known == name) => {
            Err(ApiError::unknown_model(name))
        }
        _ => Ok(()),
    }
}

/// Gives the request, whose connection belongs to `thread`, to the engine.
///
/// # Errors
/// What vLLM refuses (400), what its queue or this program's memory does not hold (503).
pub(super) fn submit(
    state: &Arc<State>,
    thread: usize,
    asked: Asked,
    request_id: String,
) -> Result<UnderWay, ApiError> {
    let Asked { entry_point, max_tokens_field, generation, prompts, arrival } = asked;
    let held = &state.engine.held;
    // As vLLM, by `n`, not by the number of prompts.
    let room = held.check(1, state.limits).and_then(|()| held.check(prompts.len() as u64, QueueLimits::default()));
    room.inspect_err(|rejection| state.note_rejection(*rejection))?;
    let admitted = |prompt: &Sequence| {
        admit(&state.config, entry_point, prompt.num_tokens, generation.max_tokens)
            .map_err(|refusal| ApiError::refused(refusal, max_tokens_field))
    };
    let granted = prompts.iter().map(admitted).collect::<Result<Vec<u32>, ApiError>>()?;
    let reply = Arc::new(Reply::new(thread, prompts.len()));
    let (mut choices, mut submissions) = (Vec::new(), Vec::new());
    for (choice, (prompt, max_tokens)) in prompts.into_iter().zip(granted).enumerate() {
        let first_word = usize::try_from(prompt.hash() >> 32).unwrap_or(0);
        let range = (generation.min_tokens, max_tokens);
        let length = state.lengths.draw(prompt.hash(), generation.ignore_eos, range);
        choices.push(Choice { num_prompt_tokens: prompt.num_tokens, first_word });
        submissions.push(Submission {
            ticket: state.engine.ticket(),
            arrival,
            num_prompt_tokens: prompt.num_tokens,
            output: state.served.tokens.filler.runs(first_word, length.num_tokens),
            prompt: prompt.runs,
            max_tokens,
            stops: length.stops,
            priority: generation.priority,
            cache_salt: generation.cache_salt,
            reply: Arc::clone(&reply),
            choice,
            hold: held.hold(prompt.num_tokens),
        });
    }
    let tickets = submissions.iter().map(|submission| submission.ticket).collect();
    let chunks = Chunks::new(state, &generation, entry_point, request_id, choices);
    if state.engine.send(Message::Add(submissions)).is_err() {
        return Err(ApiError::engine_dead());
    }
    Ok(UnderWay { state: Arc::clone(state), reply, chunks, tickets })
}

impl UnderWay {
    /// All tokens have come.
    pub(super) fn end(&mut self) {
        self.tickets.clear();
    }

    /// The answer: at once a stream, or later all of it.
    pub(super) async fn respond(mut self, is_streamed: bool) -> Response {
        if is_streamed {
            let body = Body::new(StreamBody::new(self));
            return ([(CONTENT_TYPE, "text/event-stream; charset=utf-8")], body).into_response();
        }
        let mut told = vec![Progress::default(); self.chunks.choices.len()];
        while told.iter().any(|progress| progress.finished.is_none()) {
            poll_fn(|context| self.reply.poll_news(context, &mut told)).await;
        }
        self.end();
        ([(CONTENT_TYPE, "application/json")], self.whole(&told).to_string()).into_response()
    }

    fn whole(&self, told: &[Progress]) -> Value {
        let chunks = &self.chunks;
        let choices: Vec<Value> = (0..told.len()).map(|choice| self.whole_choice(choice, told[choice])).collect();
        json!({
            "id": chunks.id,
            "object": if chunks.is_chat() { "chat.completion" } else { "text_completion" },
            "created": chunks.created,
            "model": self.state.name(),
            "choices": choices,
            "service_tier": null,
            "system_fingerprint": null,
            "usage": usage(&chunks.choices, told, self.state.tells_cached_tokens),
            "prompt_logprobs": null,
            "kv_transfer_params": null,
        })
    }

    fn whole_choice(&self, choice: usize, progress: Progress) -> Value {
        let mut text = String::new();
        let first_word = self.chunks.choices[choice].first_word;
        self.state.served.tokens.filler.write(&mut text, first_word, (0, progress.num_tokens));
        let reason = progress.finished.map(finish_reason);
        if self.chunks.is_chat() {
            let message = json!({"role": "assistant", "content": text, "refusal": null, "reasoning": null});
            return json!({
                "index": choice, "message": message, "logprobs": null, "finish_reason": reason, "stop_reason": null,
                "token_ids": null,
            });
        }
        json!({
            "index": choice, "text": text, "logprobs": null, "finish_reason": reason, "stop_reason": null,
            "token_ids": null, "prompt_logprobs": null, "prompt_token_ids": null,
        })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.tickets.is_empty() {
            // An engine that has ended has nothing to abort.
            drop(self.state.engine.send(Message::Abort(std::mem::take(&mut self.tickets))));
        }
    }
}
