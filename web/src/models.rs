//! What names and files of models mean: a part that comes with the list of models, or with a profile that is whole.

use sim_core::models::ModelConfig;
use sim_core::models::catalogue::{Catalogue, FoundModel, UnknownModel};
use sim_core::profile::Profile;
use sim_core::scenario::Scenario;

use crate::parts::part;

/// Most names that are offered at once.
const MAX_OFFERED: usize = 40;

/// The part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Models {
    list: fn(&[u8]) -> Result<Catalogue, String>,
    listed: fn(&Catalogue, &str) -> Result<Listed, NotListed>,
    offers: fn(&Catalogue, &str) -> Vec<Offer>,
    listed_name: fn(&Catalogue, &str) -> String,
    facts: fn(&[u8]) -> Option<ModelConfig>,
    check_profile: fn(&Scenario, &Profile, Option<&Catalogue>) -> Result<(), String>,
}

part! {
    /// What names and files of models mean.
    pub(crate) fn models() -> Models {
        Models { list, listed, offers, listed_name, facts, check_profile }
    } in models
}

/// The list of models, with what can be found in it.
#[derive(Debug)]
pub(crate) struct KnownModels {
    /// The list.
    pub(crate) list: Catalogue,
    models: Models,
}

/// A model of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Its name there.
    pub(crate) name: String,
    /// Whether the name that was asked for adds a quantisation to it.
    pub(crate) is_variant: bool,
    /// Its `config.json`.
    pub(crate) config: Vec<u8>,
}

/// Why a name is none of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotListed {
    /// In a sentence.
    pub(crate) message: String,
    /// Names that may be meant.
    pub(crate) suggestions: Vec<String>,
}

/// What is offered for a text: names of the list, or the text itself with what it is taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    /// What is taken.
    pub(crate) name: String,
    /// What it is taken for, if that is another.
    pub(crate) note: Option<String>,
}

impl Models {
    /// Reads the site's list.
    pub(crate) fn read_list(self, json: &[u8]) -> Result<KnownModels, String> {
        Ok(KnownModels { list: (self.list)(json)?, models: self })
    }

    /// Whether `scenario` can be run on a whole profile, as far as a list tells.
    pub(crate) fn check(
        self,
        scenario: &Scenario,
        profile: &Profile,
        list: Option<&KnownModels>,
    ) -> Result<(), String> {
        (self.check_profile)(scenario, profile, list.map(|known| &known.list))
    }
}

impl KnownModels {
    /// The model that a name is of.
    pub(crate) fn listed(&self, name: &str) -> Result<Listed, NotListed> {
        (self.models.listed)(&self.list, name)
    }

    /// What is offered for a text that is typed.
    pub(crate) fn offers(&self, typed: &str) -> Vec<Offer> {
        (self.models.offers)(&self.list, typed)
    }

    /// The name in the list that a text without an owner is taken for; otherwise the text.
    pub(crate) fn listed_name(&self, typed: &str) -> String {
        (self.models.listed_name)(&self.list, typed)
    }

    /// Facts of a `config.json`.
    pub(crate) fn facts(&self, config: &[u8]) -> Option<ModelConfig> {
        (self.models.facts)(config)
    }
}

/// A model's name without its owner.
pub(crate) fn short(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

fn list(json: &[u8]) -> Result<Catalogue, String> {
    Catalogue::from_json(json).map_err(|error| error.to_string())
}

fn listed(list: &Catalogue, name: &str) -> Result<Listed, NotListed> {
    match list.find(name) {
        Ok(found) => Ok(Listed {
            name: found.entry.name.clone(),
            is_variant: found.variant.is_some(),
            config: found.config_json(),
        }),
        Err(error) => {
            let message = error.to_string();
            let suggestions = match error {
                UnknownModel::Unknown { suggestions, .. } => suggestions,
                _ => Vec::new(),
            };
            Err(NotListed { message, suggestions })
        }
    }
}

fn facts(config: &[u8]) -> Option<ModelConfig> {
    ModelConfig::from_json(config).ok()
}

fn check_profile(scenario: &Scenario, profile: &Profile, list: Option<&Catalogue>) -> Result<(), String> {
    let checked = match list {
        Some(list) => scenario.check_profile_of_ranks(profile, list),
        // Which models have experts, only the list knows.
        None => scenario.check_agreement(profile, &Catalogue::default()),
    };
    checked.map_err(|error| error.to_string())
}

/// What was found for another name than it has: its own name, and the quantisation that the name asked for adds.
pub(crate) fn recognised(found: &FoundModel<'_>, asked: &str) -> Option<String> {
    let variant = found.variant.map(|variant| format!(", {variant}")).unwrap_or_default();
    let told = format!("{}{variant}", found.entry.name);
    (told != asked).then_some(told)
}

/// Names that have every word of `query`; those that begin with it first.
fn search(catalogue: &Catalogue, query: &str) -> Vec<String> {
    let query = query.trim().to_lowercase();
    let words: Vec<&str> = query.split([' ', '-', '_', '/']).filter(|word| !word.is_empty()).collect();
    let entries = catalogue.entries().iter();
    let mut found: Vec<(bool, &String)> = entries
        .flat_map(|entry| std::iter::once(&entry.name).chain(&entry.aliases))
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let has_all = words.iter().all(|word| lower.contains(word));
            has_all.then(|| (!short(&lower).starts_with(&query) && !lower.starts_with(&query), name))
        })
        .collect();
    // Stable: otherwise the list's own order, the newest of each maker first.
    found.sort_by_key(|(is_later, _)| *is_later);
    found.into_iter().map(|(_, name)| name.clone()).take(MAX_OFFERED).collect()
}

fn offers(catalogue: &Catalogue, query: &str) -> Vec<Offer> {
    let mut offers: Vec<Offer> = search(catalogue, query).into_iter().map(|name| Offer { name, note: None }).collect();
    let typed = query.trim();
    let name = listed_name(catalogue, typed);
    let listed = offers.iter().position(|offer| offer.name.eq_ignore_ascii_case(&name));
    match (listed, catalogue.find(typed)) {
        _ if typed.is_empty() => {}
        // What the text is taken for comes first.
        (Some(place), Ok(_)) => offers.get_mut(..=place).into_iter().for_each(|first| first.rotate_right(1)),
        (None, Ok(found)) => {
            let note = recognised(&found, &name).map(|other| format!("as {other}"));
            offers.insert(0, Offer { name, note });
        }
        (_, Err(_)) => {}
    }
    offers
}

fn listed_name(catalogue: &Catalogue, typed: &str) -> String {
    match catalogue.find(typed) {
        Ok(found) if found.variant.is_none() && !typed.contains('/') => found.entry.name.clone(),
        _ => typed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Catalogue {
        Catalogue::from_json(include_bytes!("../../www/models.json")).expect("the site's list")
    }

    #[track_caller]
    fn check(query: &str, first: &str) {
        let found = offers(&list(), query);
        assert_eq!(found.first().map(|offer| offer.name.as_str()), Some(first), "{query}: {found:?}");
    }

    #[test]
    fn words_in_any_order_find_a_model() {
        check("qwen3-32b", "Qwen/Qwen3-32B");
        check("70b llama 3.3", "meta-llama/Llama-3.3-70B-Instruct");
        check("mixtral", "mistralai/Mixtral-8x7B-v0.1");
        check("qwen3 8b", "Qwen/Qwen3-8B");
        check("llama-3.1-8b", "meta-llama/Llama-3.1-8B");
    }

    #[test]
    fn a_name_beyond_the_list_is_offered_as_what_it_is_taken_for() {
        let found = offers(&list(), "me/Qwen3-32B-AWQ");
        let first = found.first().expect("an offer");
        assert_eq!((first.name.as_str(), first.note.as_deref()), ("me/Qwen3-32B-AWQ", Some("as Qwen/Qwen3-32B, AWQ")));
        assert_eq!(offers(&list(), "nobody-knows-this"), []);
        assert_eq!(offers(&list(), "").len(), MAX_OFFERED, "all, up to a limit");
    }
}
