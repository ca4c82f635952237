//! `meta.yaml` of a profile folder: what was measured, with which vLLM.
//!
//! Only the form that LLMServingSim writes is read: `key: value` lines, one level of indented `key: value` lines under
//! a key without a value. Everything else in the file is skipped, since nothing depends on it.

use std::collections::BTreeMap;
use std::str;

use anyhow::{Context, Result, ensure};

/// Longest file that is read.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// Longest value that is kept.
const MAX_VALUE_BYTES: usize = 256;

/// What the folder says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) vllm_version: String,
    pub(crate) gpu: String,
    pub(crate) model: String,
    /// Number format: `bf16`, `fp8`.
    pub(crate) variant: String,
    /// Day of the measurement, `YYYY-MM-DD`.
    pub(crate) date: Option<String>,
    pub(crate) block_size: u32,
    /// Tokens of a pass and requests of a pass in the engine that was measured.
    pub(crate) max_num_batched_tokens: u32,
    pub(crate) max_num_seqs: u32,
    /// Runs behind each time.
    pub(crate) measurement_iterations: u32,
}

impl Meta {
    /// Reads the file.
    ///
    /// # Errors
    /// If a key is absent or its value is not of its kind.
    pub(crate) fn from_yaml(bytes: &[u8]) -> Result<Self> {
        ensure!(bytes.len() <= MAX_BYTES, "{} bytes; the limit is {MAX_BYTES}", bytes.len());
        let text = str::from_utf8(bytes).map_err(|error| anyhow::anyhow!("not text: {error}"))?;
        let values = scalars(text);
        let text = |key: &str| {
            let value = values.get(key).filter(|value| !value.is_empty() && value.len() <= MAX_VALUE_BYTES);
            value.cloned().with_context(|| format!("{key} is absent, empty or longer than {MAX_VALUE_BYTES} bytes"))
        };
        let count = |key: &str| {
            let value = text(key)?;
            let count = value.parse::<u32>().ok().filter(|count| (1..=1 << 26).contains(count));
            count.with_context(|| format!("{key} is {value:?}; it must be a whole number from 1 to {}", 1 << 26))
        };
        Ok(Self {
            vllm_version: text("vllm_version")?,
            gpu: text("gpu")?,
            model: text("model")?,
            variant: text("variant")?,
            date: text("profiled_at").ok().and_then(|date| date.get(..10).map(str::to_owned)),
            block_size: count("engine_effective.block_size")?,
            max_num_batched_tokens: count("engine_effective.max_num_batched_tokens")?,
            max_num_seqs: count("engine_effective.max_num_seqs")?,
            measurement_iterations: count("measurement_iterations")?,
        })
    }
}

/// Every `key: value` of the first two levels; the second level's keys with their parent's in front.
fn scalars(text: &str) -> BTreeMap<String, String> {
    let (mut values, mut parent) = (BTreeMap::new(), String::new());
    for line in text.lines() {
        let content = line.trim_start();
        let depth = line.len() - content.len();
        let Some((key, value)) = content.split_once(':').filter(|_| !content.starts_with(['#', '-'])) else { continue };
        let value = value.trim().trim_matches(['\'', '"']).to_owned();
        match depth {
            0 => {
                key.clone_into(&mut parent);
                values.insert(key.to_owned(), value);
            }
            2 => {
                values.insert(format!("{parent}.{key}"), value);
            }
            _ => {}
        }
    }
    values
}
