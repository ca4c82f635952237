//! The share link of what stands in the form.

use leptos::prelude::{Get, With};
use sim_core::scenario::DatasetName;
use sim_core::scenario::link::{COMFORTABLE_BYTES, Link, MAX_FRAGMENT_BYTES, MAX_INFLATED_BYTES, fingerprint};

use crate::gallery::DEFAULT_PROFILE;
use crate::state::{AppState, Origin, Source};

/// How a file travels with a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Carried {
    /// There is none.
    Nothing,
    /// In the link.
    Inside,
    /// The site has it, by this name.
    ByName(String),
    /// It does not fit: who opens the link needs the file of this name.
    TooLarge(String),
}

/// A link and what it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShareLink {
    /// The whole address.
    pub(crate) url: String,
    /// The fragment, with `#`.
    pub(crate) fragment: String,
    /// Its length in bytes.
    pub(crate) length: usize,
    /// How the profile travels.
    pub(crate) profile: Carried,
    /// How the dataset's file travels.
    pub(crate) dataset: Carried,
}

impl ShareLink {
    /// Whether chats and mail programs may cut it off.
    pub(crate) const fn is_long(&self) -> bool {
        self.length > COMFORTABLE_BYTES
    }
}

/// Largest file of a dataset that is tried: deflating a large one to find that it does not fit would take long.
const MAX_DATASET_BYTES: usize = MAX_INFLATED_BYTES / 4;

/// The link of the state, tracked.
pub(crate) fn link_of(state: AppState) -> ShareLink {
    let scenario = state.scenario.with(Clone::clone);
    let needs_file = scenario.workload().dataset_name().needs_file();
    let made_by = Some(env!("CARGO_PKG_VERSION").to_owned());
    let mut link = Link { scenario, asking: state.asking.get(), made_by, ..Link::default() };
    let mut profile = Carried::Nothing;
    state.profile.with(|choice| {
        // Until the first profile is there, or while another is made, the form says what it will be.
        let whole = choice.as_ref().filter(|_| state.source.get() != Source::Form);
        let Some(choice) = whole else {
            let is_first = choice.as_ref().filter(|choice| choice.name == DEFAULT_PROFILE);
            profile = put_recipe(state, &mut link);
            // Said of nothing but the profile that is there without a flag: composed ones follow from their flags.
            link.profile_hash = is_first.filter(|_| state.is_made.get()).map(|choice| fingerprint(&choice.file));
            return;
        };
        link.profile_hash = Some(fingerprint(&choice.file));
        match choice.origin {
            Origin::Gallery | Origin::Composed(_) => {
                link.profile = Some(choice.name.clone());
                profile = Carried::ByName(choice.name.clone());
            }
            Origin::Dropped(_) | Origin::Link => {
                link.profile = Some(choice.name.clone());
                let with_file = Link { profile_file: Some(choice.file.to_vec()), ..link.clone() };
                let fits =
                    choice.file.len() <= MAX_INFLATED_BYTES && with_file.to_fragment().len() <= MAX_FRAGMENT_BYTES;
                profile = if fits { Carried::Inside } else { Carried::TooLarge(choice.name.clone()) };
                if fits {
                    link = with_file;
                }
            }
        }
    });
    let mut dataset = Carried::Nothing;
    state.dataset.with(|file| {
        let Some(file) = file.as_ref().filter(|_| needs_file) else {
            if link.scenario.workload().dataset_name() == DatasetName::Azure {
                dataset = Carried::ByName("azure_llm_2023_conv_first_1000".to_owned());
            }
            return;
        };
        link.dataset_hash = Some(fingerprint(&file.content));
        let is_small = file.content.len() <= MAX_DATASET_BYTES;
        let with_file = is_small.then(|| Link { dataset_file: Some(file.content.to_vec()), ..link.clone() });
        match with_file.filter(|link| link.to_fragment().len() <= MAX_FRAGMENT_BYTES) {
            Some(with_file) => (link, dataset) = (with_file, Carried::Inside),
            None => dataset = Carried::TooLarge(file.name.clone()),
        }
    });
    let fragment = link.to_fragment();
    let url = format!("{}{fragment}", crate::files::page_address());
    ShareLink { length: fragment.len(), fragment, url, profile, dataset }
}

/// Puts the user's own model and GPU into the link, and says how they travel.
fn put_recipe(state: AppState, link: &mut Link) -> Carried {
    let recipe = state.recipe.get();
    let mut carried = Carried::Nothing;
    if let Some(own) = &recipe.model {
        link.config_hash = Some(fingerprint(&own.content));
        let with_file = Link { config_file: Some(own.content.to_vec()), ..link.clone() };
        carried = if own.content.len() <= MAX_INFLATED_BYTES && with_file.to_fragment().len() <= MAX_FRAGMENT_BYTES {
            *link = with_file;
            Carried::Inside
        } else {
            Carried::TooLarge(own.file_name.clone())
        };
    }
    if let Some(own) = &recipe.gpu {
        // A pack is too large for every link.
        link.pack_hash = Some(fingerprint(&own.content));
        carried = Carried::TooLarge(own.file_name.clone());
    }
    carried
}
