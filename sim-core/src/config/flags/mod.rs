//! Every flag of `vllm serve` and `vllm bench serve`, and what giving it means here.
//!
//! No flag is dropped in silence: it is simulated, or known to change nothing that is simulated, or decided when the
//! profile was measured, or refused by name with the reason.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

mod bench;
mod dotted;
pub mod grammar;
mod removed;
mod rows;
mod serve;
mod serve_engine;
mod serve_front_end;
mod spec;
mod values;

use super::kv_transfer_key_error::KvTransferKeyError;
use super::speculative_args::SpeculativeKeyError;
use crate::vllm_version::VllmVersion;

pub use bench::BENCH_SERVE;
pub use removed::{REMOVED, RemovedFlags, removed};
pub use serve::SERVE;
pub use spec::{FlagSpec, Form, Takes};
pub use values::ValueKind;

/// What giving a flag means for the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagEffect {
    /// It does what it does in vLLM.
    Simulated,
    /// It acts where the profile is composed of operators ([`crate::scenario::Composition`]); a whole-pass profile holds
    /// for one value of it.
    Composed,
    /// It is accepted and ignored: nothing that is simulated depends on it.
    NoEffect,
    /// The step times or the memory in the profile hold for one value of it. Another value needs another profile.
    FixedByProfile,
    /// It changes results in a way that is not simulated.
    NotSimulated,
}

/// Flags with the same effect for the same reason.
#[derive(Debug, Clone, Copy)]
pub struct FlagGroup {
    /// What giving one of them means.
    pub effect: FlagEffect,
    /// Why, as a sentence that reads on after the flag's name and a colon.
    pub why: &'static str,
    /// The flags, as vLLM's parser has them.
    pub flags: &'static [FlagSpec<'static>],
}

/// Why a flag was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlagError {
    /// vLLM has no flag of that name.
    Unknown {
        /// The name as looked up.
        flag: String,
    },
    /// It is no flag, and the beginning of several.
    Ambiguous {
        /// The name as looked up.
        flag: String,
        /// Those that it begins.
        candidates: Vec<String>,
    },
    /// The flag's effect is [`FlagEffect::NotSimulated`] and the value is not its harmless one.
    NotSimulated {
        /// The name as looked up.
        flag: String,
        /// Why it is not.
        why: &'static str,
    },
    /// A setter was asked for a flag that has no field, its effect being [`FlagEffect::NoEffect`],
    /// [`FlagEffect::Composed`] or [`FlagEffect::FixedByProfile`], or a `--no-` form of something that is no switch.
    NotHere {
        /// The name as looked up.
        flag: String,
        /// What the flag means instead.
        why: &'static str,
    },
    /// `--speculative-config` holds something that is not taken.
    SpeculativeConfig(SpeculativeKeyError),
    /// `--kv-transfer-config` holds something that is not taken.
    KvTransferConfig(KvTransferKeyError),
    /// The value is none of the words that it may be.
    Choice {
        /// The name as looked up.
        flag: String,
        /// The value as given.
        value: String,
        /// The words.
        choices: Vec<String>,
    },
    /// The value is missing, superfluous or of the wrong type.
    Value {
        /// The name as looked up.
        flag: String,
        /// The value as given; empty if there was none.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
}

/// Most names that a message lists.
const MAX_CANDIDATES: usize = 8;

impl FlagError {
    pub(crate) fn value(flag: &str, value: &str, expected: &'static str) -> Self {
        Self::Value { flag: flag.to_string(), value: value.to_string(), expected }
    }
}

impl fmt::Display for FlagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { flag } => write!(f, "{flag}: vLLM {} has no such flag", VllmVersion::NEWEST),
            Self::Ambiguous { flag, candidates } => {
                let shown = candidates.get(..MAX_CANDIDATES).unwrap_or(candidates).join(", ");
                let more = candidates.len().saturating_sub(MAX_CANDIDATES);
                write!(f, "{flag} could be each of {shown}")?;
                if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
            }
            Self::SpeculativeConfig(error) => error.fmt(f),
            Self::KvTransferConfig(error) => error.fmt(f),
            Self::NotSimulated { flag, why } => write!(f, "{flag} is not simulated: {why}"),
            Self::NotHere { flag, why } => write!(f, "{flag} cannot be set here: {why}"),
            Self::Choice { flag, value, choices } => write!(f, "{flag} {value:?}: one of {}", choices.join(", ")),
            Self::Value { flag, value, expected } => write!(f, "{flag} {value:?}: {expected}"),
        }
    }
}

impl core::error::Error for FlagError {}

/// What a flag of `vllm serve` means here, and why. `flag` may be written with `_` for `-`, as `--no-...`, with a
/// dotted key (`--compilation-config.mode`) or with its value (`--flag=value`); `value` is its value if that stands
/// apart.
///
/// # Errors
/// [`FlagError::Unknown`], or [`FlagError::NotSimulated`] unless the value is vLLM's default.
pub fn serve_flag(flag: &str, value: Option<&str>) -> Result<(FlagEffect, &'static str), FlagError> {
    look_up(SERVE, flag, value)
}

/// As [`serve_flag`], for `vllm bench serve`.
///
/// # Errors
/// [`FlagError::Unknown`], or [`FlagError::NotSimulated`] unless the value is vLLM's default.
pub fn bench_serve_flag(flag: &str, value: Option<&str>) -> Result<(FlagEffect, &'static str), FlagError> {
    look_up(BENCH_SERVE, flag, value)
}

fn look_up(groups: &[FlagGroup], flag: &str, value: Option<&str>) -> Result<(FlagEffect, &'static str), FlagError> {
    let (written, value) = match flag.split_once('=') {
        Some((name, inline)) => (name, Some(inline)),
        None => (flag, value),
    };
    let name = normalised(written);
    let Some((group, spec, form)) = find(groups, &name) else {
        return Err(FlagError::Unknown { flag: name });
    };
    let on_or_off = if form.is_off { "false" } else { "true" };
    let value = value.or_else(|| (spec.takes == Takes::Nothing).then_some(on_or_off));
    let is_harmless = value.is_some_and(|value| spec.is_harmless(value));
    match group.effect {
        FlagEffect::NotSimulated if !is_harmless => Err(FlagError::NotSimulated { flag: name, why: group.why }),
        FlagEffect::NotSimulated | FlagEffect::FixedByProfile if is_harmless => {
            let is_default = value.is_some_and(|value| spec.is_default(value));
            Ok((FlagEffect::NoEffect, if is_default { "it is what vLLM does without it" } else { group.why }))
        }
        effect => Ok((effect, group.why)),
    }
}

/// The switch, without dashes, that `name` turns off if there is one: `--no-enable-x` and, since 0.33, `--disable-x` turn
/// `enable-x` off.
pub(crate) fn positive(name: &str) -> Option<String> {
    let name = name.trim_start_matches('-');
    if let Some(positive) = name.strip_prefix("no-") {
        return Some(positive.to_string());
    }
    let swapped = |from: &str, to: &str| name.strip_prefix(from).map(|rest| alloc::format!("{to}{rest}"));
    swapped("disable-", "enable-").or_else(|| swapped("enable-", "disable-"))
}

/// A flag by any of its names in full, and the group it is in.
fn find<'a>(groups: &'a [FlagGroup], name: &str) -> Option<(&'a FlagGroup, &'static FlagSpec<'static>, Form<'static>)> {
    groups.iter().find_map(|group| {
        group.flags.iter().find_map(|spec| Some((group, spec, spec.forms().find(|form| form.is(name))?)))
    })
}

/// A flag of `vllm serve`, or else of `vllm bench serve`, by any of its names in full, with the name.
#[must_use]
pub fn spec_of(name: &str) -> Option<(&'static FlagSpec<'static>, Form<'static>)> {
    [SERVE, BENCH_SERVE].iter().find_map(|groups| find(groups, name)).map(|(_, spec, form)| (spec, form))
}

/// The words for true and false, in any case, that older versions took after a switch.
pub(crate) fn truth(word: &str) -> Option<bool> {
    let is = |other: &str| word.eq_ignore_ascii_case(other);
    if is("true") { Some(true) } else { is("false").then_some(false) }
}

/// The name with `-` for `_`, without `=value` and without a dotted key.
pub(crate) fn normalised(flag: &str) -> String {
    let name = flag.split_once(['=', '.']).map_or(flag, |(name, _)| name);
    name.replace('_', "-")
}

/// Why `EngineArgs::set` has no field for `flag`.
pub(super) fn not_settable(flag: &str, value: Option<&str>) -> FlagError {
    match serve_flag(flag, value) {
        Err(error) => error,
        Ok((FlagEffect::Simulated, _)) => FlagError::value(flag, value.unwrap_or(""), "it is not a switch"),
        Ok((_, why)) => FlagError::NotHere { flag: flag.to_string(), why },
    }
}
