//! What is asked about a scenario, as far as a link says it: which question, and how.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A question of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AskedFor {
    /// How much load is carried.
    Load,
    /// Which flags carry more.
    Flags,
    /// Which GPU carries most.
    Gpu,
    /// What happens under one load: all that links before there were others could ask.
    #[default]
    WhatIf,
}

/// What is varied until the objectives are missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AskedBy {
    /// Requests per second.
    #[default]
    Rate,
    /// Requests at once.
    Concurrency,
    /// Users who read, think, and ask again.
    Users,
}

/// A question with its options, each `None` or the default where nothing was said.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Asking {
    /// Which.
    pub question: AskedFor,
    /// What its loads are counted in.
    pub by: AskedBy,
    /// Share of the requests that must meet every objective, 0.01 to 1.
    pub share: Option<f64>,
    /// Runs at each load, 1 to 100.
    pub num_seeds: Option<u32>,
    /// Whether GPUs are ranked by what each carries, and not by money.
    pub is_for_throughput: bool,
    /// GPUs of one kind that there are, 1 to 100000.
    pub num_gpus: Option<u32>,
}

/// Numbers of GPUs that can be asked for.
const NUM_GPUS: core::ops::RangeInclusive<u32> = 1..=100_000;

/// Shares that can be asked for.
const SHARES: core::ops::RangeInclusive<f64> = 0.01..=1.0;
/// Numbers of runs at each load that can be asked for.
const NUM_SEEDS: core::ops::RangeInclusive<u32> = 1..=100;

impl AskedFor {
    /// All, in the order in which the page offers them.
    pub const ALL: [Self; 4] = [Self::Load, Self::Flags, Self::Gpu, Self::WhatIf];

    /// Its name in a link.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Flags => "flags",
            Self::Gpu => "gpu",
            Self::WhatIf => "what-if",
        }
    }
}

impl AskedBy {
    /// All, in the order in which the page offers them.
    pub const ALL: [Self; 3] = [Self::Rate, Self::Concurrency, Self::Users];

    /// Its name in a link, and of `profiler capacity --by`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Concurrency => "concurrency",
            Self::Users => "users",
        }
    }
}

impl Asking {
    /// Keys and values of what is not the default.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        if self.question != AskedFor::default() {
            pairs.push(("ask", self.question.name().to_string()));
        }
        if self.by != AskedBy::default() {
            pairs.push(("ask-by", self.by.name().to_string()));
        }
        pairs.extend(self.share.map(|share| ("ask-share", share.to_string())));
        pairs.extend(self.num_seeds.map(|number| ("ask-seeds", number.to_string())));
        pairs.extend(self.num_gpus.map(|number| ("ask-gpus", number.to_string())));
        if self.is_for_throughput {
            pairs.push(("ask-for", "throughput".to_string()));
        }
        pairs
    }

    /// Takes `value` if `key` is one of a question: `Err` says what the value must be, `None` that the key is another's.
    pub(super) fn take(&mut self, key: &str, value: &str) -> Option<Result<(), (&'static str, &'static str)>> {
        let taken = match key {
            "ask" => {
                let question = AskedFor::ALL.into_iter().find(|question| question.name() == value);
                question.map(|question| self.question = question).ok_or(("ask", "load, flags, gpu or what-if"))
            }
            "ask-by" => {
                let by = AskedBy::ALL.into_iter().find(|by| by.name() == value);
                by.map(|by| self.by = by).ok_or(("ask-by", "rate, concurrency or users"))
            }
            "ask-for" => {
                self.is_for_throughput = value == "throughput";
                if matches!(value, "cost" | "throughput") { Ok(()) } else { Err(("ask-for", "cost or throughput")) }
            }
            "ask-share" => {
                self.share = value.parse().ok().filter(|share| SHARES.contains(share));
                self.share.map(drop).ok_or(("ask-share", "a share from 0.01 to 1"))
            }
            "ask-seeds" => {
                self.num_seeds = value.parse().ok().filter(|number| NUM_SEEDS.contains(number));
                self.num_seeds.map(drop).ok_or(("ask-seeds", "a whole number from 1 to 100"))
            }
            "ask-gpus" => {
                self.num_gpus = value.parse().ok().filter(|number| NUM_GPUS.contains(number));
                self.num_gpus.map(drop).ok_or(("ask-gpus", "a whole number from 1 to 100000"))
            }
            _ => return None,
        };
        Some(taken)
    }
}
