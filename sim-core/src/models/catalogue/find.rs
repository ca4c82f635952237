//! A name is found in the list, or the nearest names are.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use super::super::error::shortened;
use super::names::Name;
use super::variant::Variant;
use super::{Catalogue, CatalogueEntry};

/// Most names that are suggested.
const MAX_SUGGESTIONS: usize = 3;

/// A model that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoundModel<'a> {
    /// The model of the list.
    pub entry: &'a CatalogueEntry,
    /// The quantisation that the name adds to it; `None` if the entry is what was asked for.
    pub variant: Option<Variant>,
}

impl FoundModel<'_> {
    /// Its facts as a `config.json`, with the quantisation that the name adds.
    #[must_use]
    pub fn config_json(&self) -> Vec<u8> {
        let Some(variant) = self.variant else { return self.entry.config_json() };
        let mut config = self.entry.config.clone();
        variant.apply(&mut config);
        serde_json::to_vec(&config).unwrap_or_default()
    }
}

/// Why a name is not found. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownModel {
    /// No model of the list has these words in its name.
    Unknown {
        /// The name, shortened.
        name: String,
        /// The nearest names, best first.
        suggestions: Vec<String>,
    },
    /// The name says that the weights are of a kind that is not simulated.
    Refused {
        /// The name, shortened.
        name: String,
        /// Why not.
        why: &'static str,
    },
}

impl fmt::Display for UnknownModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, suggestions } => {
                write!(f, "model {name:?} is not known; give its config.json")?;
                for (place, suggestion) in suggestions.iter().enumerate() {
                    f.write_str(if place == 0 { ". Near it: " } else { ", " })?;
                    f.write_str(suggestion)?;
                }
                Ok(())
            }
            Self::Refused { name, why } => write!(f, "model {name:?}: {why}"),
        }
    }
}

impl core::error::Error for UnknownModel {}

impl Catalogue {
    /// The model of this name: as on Hugging Face, with any owner or none, in a folder or in Hugging Face's cache.
    ///
    /// # Errors
    /// See [`UnknownModel`].
    pub fn find(&self, name: &str) -> Result<FoundModel<'_>, UnknownModel> {
        let asked = Name::parse(name);
        if let Some(why) = asked.refused {
            return Err(UnknownModel::Refused { name: shortened(name), why });
        }
        let mut best: Option<(u32, FoundModel<'_>)> = None;
        for entry in &self.entries {
            for own in entry.names.iter().filter(|own| !own.words.is_empty() && own.words == asked.words) {
                let Some((cost, variant)) = distance(&asked, own) else { continue };
                if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, FoundModel { entry, variant }));
                }
            }
        }
        best.map(|(_, found)| found)
            .ok_or_else(|| UnknownModel::Unknown { name: shortened(name), suggestions: self.suggestions(&asked) })
    }

    /// The names nearest to one that is not there.
    fn suggestions(&self, asked: &Name) -> Vec<String> {
        let wanted = asked.joined();
        let mut near: Vec<(usize, &str)> = Vec::new();
        for entry in &self.entries {
            let cost = entry.names.iter().map(|own| edits(&wanted, &own.joined())).min();
            near.extend(cost.map(|cost| (cost, entry.name.as_str())));
        }
        near.sort();
        near.truncate(MAX_SUGGESTIONS);
        near.into_iter().map(|(_, name)| name.to_string()).collect()
    }
}

/// How far a name of the list is from the one asked for, if it can be that at all, and what is to be added to it.
fn distance(asked: &Name, own: &Name) -> Option<(u32, Option<Variant>)> {
    const QUANTISATION: u32 = 1000;
    const DATE: u32 = 2000;
    const TUNING: u32 = 10;
    let (cost, variant) = match (asked.variant, own.variant) {
        (None, None) => (0, None),
        // A list's `-BF16` is a model as it is.
        (None | Some(Variant::Unquantized), Some(Variant::Unquantized)) => (1, None),
        (Some(asked), Some(own)) if asked.is_like(own) => (u32::from(asked != own), None),
        (Some(variant), None | Some(Variant::Unquantized)) => (QUANTISATION, Some(variant)),
        _ => return None,
    };
    let missing = |from: &[String], other: &[String]| {
        let differing = from.iter().filter(|word| !other.contains(word));
        // A date is a model of its own, if the list has it.
        differing
            .map(|word| if word.starts_with(|letter: char| letter.is_ascii_digit()) { DATE } else { TUNING })
            .sum::<u32>()
    };
    // What the list has and was not asked for is a little worse than the other way round.
    let extra =
        u32::try_from(own.tuning.iter().filter(|word| !asked.tuning.contains(word)).count()).unwrap_or(u32::MAX);
    let tuning = missing(&asked.tuning, &own.tuning).saturating_add(missing(&own.tuning, &asked.tuning));
    Some((cost.saturating_add(tuning).saturating_add(extra), variant))
}

/// Letters to put in, take out or change to make one of the other.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, letter) in one.chars().enumerate() {
        let mut corner = place;
        let mut left = place + 1;
        let mut next = alloc::vec![left];
        for (&above, &wanted) in row.iter().skip(1).zip(&other) {
            let changed = corner + usize::from(letter != wanted);
            left = changed.min(left + 1).min(above + 1);
            next.push(left);
            corner = above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}
