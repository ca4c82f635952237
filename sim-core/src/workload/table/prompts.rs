//! What the prompts of a table's requests are, as far as the table tells.
//!
//! Hashes, token ids and the name of a shared beginning say what prompts have in common; the rest is private text.
//! Where only sessions are told, a turn whose prompt has room for them begins with the prompt and the answer before, token
//! for token. If there is room for that prompt but not for the answer (a client that leaves out what the model thought),
//! it begins with that prompt alone; a shorter one has lost its beginning and shares nothing.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::super::dataset::RequestBuilder;
use super::super::error::WorkloadError;
use super::super::timed_trace::Chunks;
use super::entries::{Entry, Text};
use crate::request::{RequestId, TokenRun};

/// Builds prompts.
#[derive(Debug)]
pub(super) struct Prompts {
    pub(super) builder: RequestBuilder,
    chunks: Chunks,
    prefixes: BTreeMap<(u32, u32), TokenRun>,
    /// All token ids that a table can name.
    vocabulary: Option<TokenRun>,
    prompt: Vec<TokenRun>,
}

impl Prompts {
    /// No prompts yet; a hash stands for `hash_size` tokens.
    pub(super) fn new(hash_size: u32) -> Self {
        Self {
            builder: RequestBuilder::with_capacity(0),
            chunks: Chunks::new(hash_size),
            prefixes: BTreeMap::new(),
            vocabulary: None,
            prompt: Vec::new(),
        }
    }

    /// Appends the request of `entry`, which goes on from `before`; true if its prompt has lost its beginning.
    pub(super) fn push(
        &mut self,
        entry: &Entry,
        lists: &[i128],
        before: Option<RequestId>,
    ) -> Result<bool, WorkloadError> {
        self.prompt.clear();
        let mut is_restart = false;
        match &entry.text {
            Text::Hashes(range) => {
                self.chunks.push_prompt(&mut self.prompt, &lists[range.clone()], entry.prompt, &mut self.builder);
            }
            Text::Tokens(range) => self.push_tokens(&lists[range.clone()], entry.prompt)?,
            Text::Prefix(prefix, len) => {
                let len = (*len).min(entry.prompt);
                let builder = &mut self.builder;
                self.prompt.push(*self.prefixes.entry((*prefix, len)).or_insert_with(|| builder.fresh(len)));
            }
            Text::Private => {
                if let Some(before) = before {
                    let (num_prompt_tokens, num_output_tokens) = self.builder.lengths(before);
                    let whole = num_prompt_tokens.saturating_add(num_output_tokens);
                    let shared = if entry.prompt >= whole { whole } else { num_prompt_tokens };
                    is_restart = entry.prompt < num_prompt_tokens;
                    if !is_restart {
                        self.builder.push_beginning(&mut self.prompt, before, shared);
                    }
                }
            }
        }
        let known: u32 = self.prompt.iter().map(|run| run.len).sum();
        self.prompt.push(self.builder.fresh(entry.prompt.saturating_sub(known)));
        let prompt = core::mem::take(&mut self.prompt);
        self.builder.push_with_priority(&prompt, entry.output, entry.priority)?;
        self.prompt = prompt;
        Ok(is_restart)
    }

    /// Appends the first `len` of `tokens`.
    fn push_tokens(&mut self, tokens: &[i128], len: u32) -> Result<(), WorkloadError> {
        const MOST: u32 = 1 << 31;
        let builder = &mut self.builder;
        let first = self.vocabulary.get_or_insert_with(|| builder.fresh(MOST)).start;
        for &token in tokens.iter().take(crate::math::u32_to_usize(len)) {
            let Some(token) = u64::try_from(token).ok().filter(|&token| token < u64::from(MOST)) else {
                return Err(WorkloadError::option("tokens", token, "ids from 0 to 2147483647"));
            };
            match self.prompt.last_mut() {
                Some(last) if last.start + u64::from(last.len) == first + token => last.len += 1,
                _ => self.prompt.push(TokenRun { start: first + token, len: 1 }),
            }
        }
        Ok(())
    }
}

/// Tokens that one hash stands for: the smallest power of two with which every prompt has as many chunks as hashes, a last
/// one that is not full left out or not.
pub(super) fn hash_size(list: &[Entry]) -> Result<u32, WorkloadError> {
    const LARGEST: u32 = 1 << 16;
    let hashed = |entry: &Entry| match &entry.text {
        Text::Hashes(range) => Some((entry.prompt, u64::try_from(range.len()).unwrap_or(u64::MAX))),
        _ => None,
    };
    let fits = |size: &u32| {
        list.iter().filter_map(hashed).all(|(prompt, num_hashes)| {
            (u64::from(prompt / size)..=u64::from(prompt.div_ceil(*size))).contains(&num_hashes)
        })
    };
    let mut sizes = core::iter::successors(Some(1_u32), |size| Some(size * 2)).take_while(|&size| size <= LARGEST);
    sizes.find(fits).ok_or_else(|| {
        let need = "given: no power of two is the number of tokens that each hash of this dataset stands for";
        WorkloadError::option("timed_trace_chunk_hash_size", "absent", need)
    })
}
