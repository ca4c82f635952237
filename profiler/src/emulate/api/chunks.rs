//! The messages of a stream, as vLLM writes them.
//!
//! Source: `completion_stream_generator`, `chat_completion_stream_generator` under `vllm/entrypoints/openai`.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sim_core::config::EntryPoint;
use sim_core::request::FinishReason;

use super::super::filler::Filler;
use super::super::reply::Progress;
use super::super::state::{State, unix_time};
use super::answer::Choice;
use super::generation::Generation;

/// What the messages of one answer share.
#[derive(Debug)]
pub(super) struct Chunks {
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) choices: Vec<Choice>,
    entry_point: EntryPoint,
    include_usage: bool,
    continuous_usage: bool,
    /// Everything up to the list of choices.
    head: String,
    /// For each choice, everything up to the text, and behind it while there is more to come: nearly all messages are
    /// these two around a word.
    opens: Vec<String>,
    close: &'static str,
}

impl Chunks {
    /// The messages of an answer with this id.
    pub(super) fn new(
        state: &State,
        generation: &Generation,
        entry_point: EntryPoint,
        id: String,
        choices: Vec<Choice>,
    ) -> Self {
        let created = unix_time();
        let is_chat = entry_point == EntryPoint::ChatCompletions;
        let object = if is_chat { "chat.completion.chunk" } else { "text_completion" };
        // Quoted and escaped.
        let (quoted_id, model) = (Value::from(id.as_str()), Value::from(state.name()));
        let head = format!(
            "data: {{\"id\":{quoted_id},\"object\":\"{object}\",\"created\":{created},\"model\":{model},\"choices\":["
        );
        let Generation { include_usage, continuous_usage, .. } = *generation;
        let text = if is_chat { "\"delta\":{\"content\":\"" } else { "\"text\":\"" };
        let opens = (0..choices.len()).map(|choice| format!("{head}{{\"index\":{choice},{text}")).collect();
        let close = if is_chat {
            "\"},\"logprobs\":null,\"finish_reason\":null,\"token_ids\":null}]"
        } else {
            "\",\"logprobs\":null,\"finish_reason\":null,\"stop_reason\":null,\"prompt_token_ids\":null,\
             \"token_ids\":null}]"
        };
        Self { id, created, choices, entry_point, include_usage, continuous_usage, head, opens, close }
    }

    /// Whether it is a chat's.
    pub(super) fn is_chat(&self) -> bool {
        self.entry_point == EntryPoint::ChatCompletions
    }

    /// Writes what is new of a choice. Writing into a string cannot fail.
    pub(super) fn write(&self, out: &mut String, filler: &Filler, choice: usize, (told, now): (Progress, Progress)) {
        let Some(&Choice { num_prompt_tokens, first_word }) = self.choices.get(choice) else { return };
        let is_first = told.num_tokens == 0;
        if self.is_chat() && is_first {
            let role = "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null";
            write!(out, "{}{{\"index\":{choice},{role}}}]", self.head).unwrap_or_default();
            self.end(out, num_prompt_tokens, 0);
        }
        out.push_str(self.opens.get(choice).map_or("", String::as_str));
        filler.write(out, first_word, (told.num_tokens, now.num_tokens));
        match now.finished {
            None => out.push_str(self.close),
            Some(reason) => {
                let (brace, ids) = if self.is_chat() { ("}", "") } else { ("", ",\"prompt_token_ids\":null") };
                let reason = finish_reason(reason);
                write!(
                    out,
                    "\"{brace},\"logprobs\":null,\"finish_reason\":\"{reason}\",\"stop_reason\":null{ids},\
                     \"token_ids\":null}}]"
                )
                .unwrap_or_default();
            }
        }
        self.end(out, num_prompt_tokens, now.num_tokens);
    }

    /// Writes what comes behind the last tokens.
    pub(super) fn write_end(&self, out: &mut String, told: &[Progress], tells_cached_tokens: bool) {
        if self.include_usage {
            let usage = usage(&self.choices, told, tells_cached_tokens);
            write!(out, "{}],\"usage\":{usage}}}\n\n", self.head).unwrap_or_default();
        }
        out.push_str("data: [DONE]\n\n");
    }

    fn end(&self, out: &mut String, num_prompt_tokens: u32, num_tokens: u32) {
        if self.continuous_usage {
            let total = u64::from(num_prompt_tokens) + u64::from(num_tokens);
            write!(
                out,
                ",\"usage\":{{\"prompt_tokens\":{num_prompt_tokens},\"total_tokens\":{total},\
                 \"completion_tokens\":{num_tokens}}}"
            )
            .unwrap_or_default();
        }
        out.push_str("}\n\n");
    }
}

/// vLLM's name of a reason.
pub(super) const fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::Abort => "abort",
        FinishReason::Error => "error",
    }
}

/// The usage of a whole request.
pub(super) fn usage(choices: &[Choice], told: &[Progress], tells_cached_tokens: bool) -> Value {
    let prompt: u64 = choices.iter().map(|choice| u64::from(choice.num_prompt_tokens)).sum();
    let generated: u64 = told.iter().map(|progress| u64::from(progress.num_tokens)).sum();
    let mut usage = json!({
        "prompt_tokens": prompt, "total_tokens": prompt + generated, "completion_tokens": generated,
    });
    if let Some(first) = told.first().filter(|_| tells_cached_tokens) {
        usage["prompt_tokens_details"] = json!({"cached_tokens": first.num_cached_tokens});
    }
    usage
}
