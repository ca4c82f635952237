//! Counts tokens with the model's own tokenizer.

use std::path::Path;

use anyhow::Result;

/// A function from a text to its number of tokens, special tokens included, as the client of `vllm bench serve` counts.
#[cfg(feature = "full")]
pub(crate) fn load_token_counter(path: &Path) -> Result<impl Fn(&str) -> usize + Sync> {
    let tokenizer = tokenizers::Tokenizer::from_file(path)
        .map_err(|error| anyhow::anyhow!("--tokenizer {}: not a tokenizer.json: {error}", path.display()))?;
    // A text that cannot be encoded counts as empty and is then left out as too short.
    Ok(move |text: &str| tokenizer.encode(text, true).map_or(0, |encoding| encoding.len()))
}

/// Refuses: the tokenizer is not built in.
#[cfg(not(feature = "full"))]
pub(crate) fn load_token_counter(path: &Path) -> Result<fn(&str) -> usize> {
    let how = crate::HOW_TO_GET_ALL;
    anyhow::bail!("--tokenizer {}: no tokenizer is built in: {how}", path.display())
}
