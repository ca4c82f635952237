//! Which requests vLLM refuses before its scheduler sees them, and how many tokens the others may generate.

use core::fmt;

use super::EngineConfig;

/// How a request comes in; the checks and the default of `max_tokens` differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryPoint {
    /// Python's `LLM.generate`: without `max_tokens`, `SamplingParams` has 16.
    Llm,
    /// `POST /v1/completions`: without `max_tokens`, or with JSON `null`, the request has 16.
    Completions,
    /// `POST /v1/chat/completions`: without `max_tokens`, all that is left of `max_model_len`.
    ChatCompletions,
}

/// Default of `max_tokens` where it is not "all that is left".
const DEFAULT_MAX_TOKENS: u32 = 16;

/// Why a request does not reach the scheduler. All but the last are refusals of vLLM 0.32.0: HTTP 400 on the server,
/// an exception in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestRefusal {
    /// `num_prompt_tokens` is 0 (`input_processor.py::_validate_prompt_len`).
    EmptyPrompt,
    /// `num_prompt_tokens > max_model_len` (same function; on the server `renderers/params.py::_token_len_check`).
    PromptAboveMaxModelLen {
        /// Tokens of the prompt.
        num_prompt_tokens: u32,
        /// The limit.
        max_model_len: u32,
    },
    /// `num_prompt_tokens == max_model_len`: no room for one generated token.
    PromptFillsMaxModelLen {
        /// Tokens of the prompt, and the limit.
        max_model_len: u32,
    },
    /// `max_tokens` is 0 (`sampling_params.py::_verify_args`).
    MaxTokensBelowOne,
    /// On the server, `max_tokens > max_model_len` (`renderers/params.py::TokenizeParams`). Python's `LLM` accepts it.
    MaxTokensAboveMaxModelLen {
        /// What was asked for.
        max_tokens: u32,
        /// The limit.
        max_model_len: u32,
    },
    /// The simulator's own: chunked prefill is off and `num_prompt_tokens` is above the smaller of
    /// `max_num_scheduled_tokens` and `max_num_batched_tokens`. vLLM 0.32.0 accepts the request, leaves it at the head
    /// of the waiting queue and so runs nothing behind it either, for ever and without a message, unless a prefix-cache
    /// hit covers the excess.
    NeverScheduled {
        /// Tokens of the prompt.
        num_prompt_tokens: u32,
        /// The most a pass takes of one prompt.
        token_budget: u32,
    },
}

impl fmt::Display for RequestRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPrompt => f.write_str("the prompt has no tokens: vLLM needs at least 1"),
            Self::PromptAboveMaxModelLen { num_prompt_tokens, max_model_len } => write!(
                f,
                "the prompt has {num_prompt_tokens} tokens, more than max_model_len = {max_model_len} even without \
                 output: shorten it or raise max_model_len"
            ),
            Self::PromptFillsMaxModelLen { max_model_len } => write!(
                f,
                "the prompt has {max_model_len} tokens, all of max_model_len = {max_model_len}, and at least 1 must be \
                 left for output: shorten it or raise max_model_len"
            ),
            Self::MaxTokensBelowOne => f.write_str("max_tokens = 0: a request must generate at least 1 token"),
            Self::MaxTokensAboveMaxModelLen { max_tokens, max_model_len } => write!(
                f,
                "max_tokens = {max_tokens} is above max_model_len = {max_model_len}: ask for fewer output tokens"
            ),
            Self::NeverScheduled { num_prompt_tokens, token_budget } => write!(
                f,
                "the prompt has {num_prompt_tokens} tokens, a pass takes at most {token_budget}, and \
                 enable_chunked_prefill = false forbids to split it: vLLM would wait for ever; raise \
                 max_num_scheduled_tokens or allow chunked prefill"
            ),
        }
    }
}

impl core::error::Error for RequestRefusal {}

/// Decides about one request as vLLM's front end does, in its order, and gives the `max_tokens` the engine gets.
///
/// The server cuts `max_tokens` to what is left of `max_model_len`; `LLM` does not, and the engine's own length stop
/// ends the request there. A priority under the fcfs policy is no reason to refuse: vLLM ignores it.
///
/// # Errors
/// The first [`RequestRefusal`] that applies.
pub fn admit(
    config: &EngineConfig,
    entry_point: EntryPoint,
    num_prompt_tokens: u32,
    max_tokens: Option<u32>,
) -> Result<u32, RequestRefusal> {
    let max_model_len = config.max_model_len;
    let too_long = RequestRefusal::PromptAboveMaxModelLen { num_prompt_tokens, max_model_len };
    let granted = if entry_point == EntryPoint::Llm {
        max_tokens.unwrap_or(DEFAULT_MAX_TOKENS)
    } else {
        if let Some(max_tokens) = max_tokens.filter(|asked| *asked > max_model_len) {
            return Err(RequestRefusal::MaxTokensAboveMaxModelLen { max_tokens, max_model_len });
        }
        let left = max_model_len.checked_sub(num_prompt_tokens).ok_or(too_long)?;
        let default = if entry_point == EntryPoint::Completions { DEFAULT_MAX_TOKENS } else { left };
        max_tokens.unwrap_or(default).min(left)
    };
    if max_tokens == Some(0) {
        return Err(RequestRefusal::MaxTokensBelowOne);
    }
    if num_prompt_tokens == 0 {
        return Err(RequestRefusal::EmptyPrompt);
    }
    if num_prompt_tokens > max_model_len {
        return Err(too_long);
    }
    if num_prompt_tokens == max_model_len {
        return Err(RequestRefusal::PromptFillsMaxModelLen { max_model_len });
    }
    let token_budget = config.max_num_scheduled_tokens.min(config.max_num_batched_tokens);
    if !config.enable_chunked_prefill && num_prompt_tokens > token_budget {
        return Err(RequestRefusal::NeverScheduled { num_prompt_tokens, token_budget });
    }
    Ok(granted)
}
