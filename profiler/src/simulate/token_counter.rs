//! Counts tokens with the model's own tokenizer.

use std::path::Path;

use anyhow::{Result, anyhow};
use tokenizers::Tokenizer;

/// A function from a text to its number of tokens, special tokens included, as the client of `vllm bench serve` counts.
pub(crate) fn load_token_counter(path: &Path) -> Result<impl Fn(&str) -> usize> {
    let tokenizer = Tokenizer::from_file(path)
        .map_err(|error| anyhow!("--tokenizer {}: not a tokenizer.json: {error}", path.display()))?;
    // A text that cannot be encoded counts as empty and is then left out as too short.
    Ok(move |text: &str| tokenizer.encode(text, true).map_or(0, |encoding| encoding.len()))
}
