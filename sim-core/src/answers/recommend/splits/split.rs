//! The ways to divide GPUs among replicas.

use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::fmt;

use crate::scenario::{Scenario, ScenarioError};

/// Most splits that are searched: each takes dozens of runs of all engines.
pub const MAX_SPLITS: u32 = 64;

/// How GPUs are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// All replicas compute prompts and answer.
    Together {
        /// How many there are.
        replicas: u32,
    },
    /// Some compute prompts and others answer.
    Apart {
        /// Replicas that compute prompts.
        prefill: u32,
        /// Replicas that answer.
        decode: u32,
    },
}

/// There are more than [`MAX_SPLITS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManySplits {
    /// How many.
    pub count: u32,
}

impl fmt::Display for TooManySplits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "--num-gpus: there are {} ways to divide so many GPUs; the limit is {MAX_SPLITS}. Ask of fewer, and let several \
             such groups take turns",
            self.count
        )
    }
}

impl core::error::Error for TooManySplits {}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Together { replicas } => write!(f, "{replicas} together"),
            Self::Apart { prefill, decode } => write!(f, "{prefill} prefill + {decode} decode"),
        }
    }
}

impl Split {
    /// Every split of so many GPUs, where a replica that does everything has `together` of them, one of either role
    /// `prefill` and `decode`: as many as fit, and of both roles at least one. All together is the first.
    ///
    /// # Errors
    /// [`TooManySplits`].
    pub fn all(num_gpus: u32, together: u32, [prefill, decode]: [u32; 2]) -> Result<Vec<Self>, TooManySplits> {
        let count = num_gpus.saturating_sub(decode) / prefill.max(1);
        if count >= MAX_SPLITS {
            return Err(TooManySplits { count: count.saturating_add(1) });
        }
        let replicas = num_gpus / together.max(1);
        let first = (replicas > 0).then_some(Self::Together { replicas });
        let apart = (1..=count)
            .map(|number| Self::Apart { prefill: number, decode: (num_gpus - number * prefill) / decode.max(1) });
        Ok(first.into_iter().chain(apart).collect())
    }

    /// What of `scenario` does not depend on the split.
    #[must_use]
    pub fn without(scenario: &Scenario) -> Scenario {
        let mut scenario = scenario.clone();
        ["replicas", "prefill-replicas", "decode-replicas"].iter().for_each(|flag| scenario.unset(flag));
        scenario
    }

    /// The flags of `base` and those of this split.
    ///
    /// # Errors
    /// [`ScenarioError::Flag`] for more replicas than there can be.
    pub fn scenario(self, base: &Scenario) -> Result<Scenario, ScenarioError> {
        let mut scenario = Self::without(base);
        match self {
            Self::Together { replicas } => {
                // What is of roles has no meaning here.
                let of_roles = |name: &str| {
                    name.starts_with("kv-transfer-")
                        || ["kv-load-failure-policy", "prefill-args", "decode-args"].contains(&name)
                };
                let flags: Vec<_> = base.given().map(|(flag, _)| flag.name).filter(|name| of_roles(name)).collect();
                flags.iter().for_each(|flag| scenario.unset(flag));
                scenario.set("replicas", Some(&replicas.to_string()))?;
            }
            Self::Apart { prefill, decode } => {
                scenario.set("prefill-replicas", Some(&prefill.to_string()))?;
                scenario.set("decode-replicas", Some(&decode.to_string()))?;
            }
        }
        Ok(scenario)
    }

    /// Replicas in all.
    #[must_use]
    pub const fn num_replicas(self) -> u32 {
        match self {
            Self::Together { replicas } => replicas,
            Self::Apart { prefill, decode } => prefill + decode,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn check(num_gpus: u32, together: u32, roles: [u32; 2], expect: &str) {
        let found: Vec<_> =
            Split::all(num_gpus, together, roles).expect("few").iter().map(|split| format!("{split}")).collect();
        assert_eq!(found.join(", "), expect, "{num_gpus} GPUs");
    }

    #[test]
    fn all_gpus_are_divided_in_every_way() {
        check(1, 1, [1, 1], "1 together");
        check(3, 1, [1, 1], "3 together, 1 prefill + 2 decode, 2 prefill + 1 decode");
        check(8, 2, [2, 4], "4 together, 1 prefill + 1 decode, 2 prefill + 1 decode");
        check(2, 4, [1, 1], "1 prefill + 1 decode");
        check(3, 4, [4, 4], "");
        assert_eq!(Split::all(65, 1, [1, 1]), Err(TooManySplits { count: 65 }));
        assert!(format!("{}", TooManySplits { count: 65 }).contains("64"), "the limit is said");
    }

    #[test]
    fn a_split_is_flags_of_a_run() {
        let flags = [("kv-transfer-bandwidth", "25"), ("prefill-args", "--max-num-seqs 8"), ("max-num-seqs", "64")];
        let flags = flags.into_iter().map(|(flag, value)| (flag, Some(value)));
        let base = Scenario::from_flags(flags.chain([("prefill-replicas", Some("9")), ("decode-replicas", Some("9"))]));
        let base = base.expect("flags");
        let of = |split: Split| split.scenario(&base).expect("a split");
        let given = |scenario: &Scenario| {
            scenario.given().map(|(flag, value)| format!("{} {value}", flag.name)).collect::<Vec<_>>()
        };
        assert_eq!(given(&of(Split::Together { replicas: 3 })), ["max-num-seqs 64", "replicas 3"]);
        let apart = of(Split::Apart { prefill: 1, decode: 2 });
        assert_eq!((apart.get("prefill-replicas"), apart.get("decode-replicas")), (Some("1"), Some("2")));
        assert_eq!((apart.get("kv-transfer-bandwidth"), apart.get("replicas")), (Some("25"), None));
        assert!(Split::Together { replicas: 2_000 }.scenario(&base).is_err(), "more than there can be");
    }
}
