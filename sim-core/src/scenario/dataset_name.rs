//! The datasets by name.

use core::fmt;

/// A dataset of `--dataset-name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasetName {
    /// Random prompts of stated lengths.
    Random,
    /// Prompts that share prefixes.
    PrefixRepetition,
    /// A ShareGPT file; needs a tokenizer.
    ShareGpt,
    /// A JSONL file with a `prompt` per line; needs a tokenizer.
    Custom,
    /// Lengths of a BurstGPT CSV file.
    BurstGpt,
    /// Mooncake, Bailian and the like: JSONL with times, lengths and block hashes.
    TimedTrace,
    /// Azure's LLM inference traces: CSV with times and lengths. Not vLLM's.
    Azure,
    /// A BurstGPT CSV file with its times. Not vLLM's.
    BurstGptTimed,
    /// Any CSV or JSONL file of requests, with or without times. Not vLLM's.
    Table,
    /// Conversations and agents, whose turns wait for answers. Not vLLM's.
    Sessions,
    /// A JSON file of classes of requests. Not vLLM's.
    Mixture,
}

impl DatasetName {
    /// All, in the order of [`Self::NAMES`].
    pub const ALL: [Self; 11] = [
        Self::Random,
        Self::PrefixRepetition,
        Self::ShareGpt,
        Self::Custom,
        Self::BurstGpt,
        Self::TimedTrace,
        Self::Azure,
        Self::BurstGptTimed,
        Self::Table,
        Self::Sessions,
        Self::Mixture,
    ];

    /// Their names on the command line.
    pub const NAMES: &'static [&'static str] = &[
        "random",
        "prefix_repetition",
        "sharegpt",
        "custom",
        "burstgpt",
        "timed_trace",
        "azure",
        "burstgpt_timed",
        "table",
        "sessions",
        "mixture",
    ];

    /// The dataset of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let place = Self::NAMES.iter().position(|&known| known == name)?;
        Self::ALL.get(place).copied()
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().zip(Self::NAMES).find(|&(&dataset, _)| dataset == self).map_or("", |(_, &name)| name)
    }

    /// Whether its requests come with times of their own, or may do so.
    #[must_use]
    pub const fn has_times(self) -> bool {
        matches!(self, Self::Azure | Self::BurstGptTimed | Self::TimedTrace | Self::Table)
    }

    /// Whether its requests come from a file.
    #[must_use]
    pub const fn needs_file(self) -> bool {
        !matches!(self, Self::Random | Self::PrefixRepetition | Self::Sessions)
    }

    /// Whether its prompts are texts, so that only a tokenizer knows their lengths.
    #[must_use]
    pub const fn needs_tokenizer(self) -> bool {
        matches!(self, Self::ShareGpt | Self::Custom)
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
