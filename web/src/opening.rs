//! What comes in: files, pasted text, links, profiles of the gallery.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use leptos::prelude::*;
use sim_core::scenario::link::{Link, fingerprint, is_profile_name};
use sim_core::scenario::{AskedFor, Asking, Part};
use web_sys::File;

use crate::components::questions::FIRST;
use crate::files;
use crate::gallery::DEFAULT_PROFILE;
use crate::making::fetch_models;
use crate::presets::example;
use crate::profiles::profiles;
use crate::protocol::Found;
use crate::state::{AppState, DatasetFile, NoticeKind, Origin, OwnFile, ProfileChoice, Source};

/// What is asked until the address is read: what it says if that can be seen, so that nothing else begins.
pub(crate) fn first_question() -> AskedFor {
    let fragment = files::page_fragment();
    if fragment.len() <= 1 {
        return FIRST;
    }
    let mut asked = fragment.split(['#', '&']).filter_map(|pair| pair.strip_prefix("ask="));
    let named = asked.next().and_then(|name| AskedFor::ALL.into_iter().find(|question| question.name() == name));
    named.unwrap_or_default()
}

impl AppState {
    /// Loads what the address asks for, or the example, and then lets the gallery be loaded.
    pub(crate) async fn open_first(self) {
        let fragment = files::page_fragment();
        let is_opened = fragment.len() > 1 && self.load_link(&fragment).await;
        if !is_opened {
            self.scenario.set(example());
            self.source.set(Source::Form);
            self.is_example.set(true);
            self.asking.set(Asking { question: FIRST, ..Asking::default() });
        }
        self.edit(move |editing| (editing.load_gallery)(self));
    }

    /// Loads the index of the site's profiles that are whole.
    pub(crate) fn load_gallery(self) {
        leptos::task::spawn_local(async move {
            let read = match files::fetch("profiles/index.json").await {
                Ok(json) => self.read_index(&json).await,
                Err(fault) => Err(fault),
            };
            if let Err(fault) = read {
                self.notify(NoticeKind::Error, &fault);
            }
        });
    }

    /// Takes a profile of the site that is whole.
    pub(crate) fn choose_profile(self, name: &str) {
        let name = name.to_owned();
        leptos::task::spawn_local(async move {
            if self.load_profile(&name, None).await {
                self.put_setup_aside();
                self.is_example.set(false);
            }
        });
    }

    /// Takes any file that the user gives; what it is, its content says.
    pub(crate) fn open_file(self, file: File) {
        leptos::task::spawn_local(async move {
            match files::content(&file).await {
                Ok(content) => self.read(file.name(), content),
                Err(fault) => self.notify(NoticeKind::Error, &fault),
            }
        });
    }

    /// As [`Self::open_file`], of a pasted text.
    pub(crate) fn open_text(self, name: &str, text: &str) {
        self.read(name.to_owned(), text.as_bytes().to_vec());
    }

    /// Lets the reader see a file of the user's; what it is, its content says.
    fn read(self, name: String, content: Vec<u8>) {
        self.edit(move |editing| (editing.ask_reader)(self, name, content));
    }

    /// Takes what the reader made of a file.
    fn take_found(self, name: String, found: Found, content: Vec<u8>) {
        match found {
            Found::Profile { card } => {
                let told = format!("Read {name} as a profile: {} on {}, {}.", card.model, card.hardware, card.kind);
                leptos::task::spawn_local(async move {
                    if self.take_profile(profile_name(&name), content, Origin::Dropped(name)).await {
                        self.put_setup_aside();
                        self.is_example.set(false);
                        self.notify(NoticeKind::Info, &told);
                    }
                });
            }
            Found::Trace { flags, summary } => self.open_trace(name, &flags, summary, content),
            Found::Measured(run) => {
                let told = format!(
                    "Read {name} as a result of vllm bench serve: {} requests, laid over the prediction as \"measured\".",
                    run.completed
                );
                self.measured.set(Some(Arc::new(*run)));
                self.notify(NoticeKind::Info, &told);
            }
            Found::ModelConfig { model, name: own } => self.open_model_config(name, &own, &model, content),
            Found::QuantConfig => self.open_quant_config(&name, content),
            Found::Pack => self.open_pack(name, content),
            Found::Command { text } => leptos::task::spawn_local(async move {
                match self.apply_command(&text).await {
                    Ok(taken) => self.notify_taken(&name, taken),
                    Err(fault) => {
                        let told = format!("Read {name} as a command; nothing was changed.\n{fault}");
                        self.notify(NoticeKind::Error, &told);
                    }
                }
            }),
            Found::Link { fragment } => leptos::task::spawn_local(async move {
                if self.load_link(&fragment).await {
                    self.notify(NoticeKind::Info, &format!("Read {name} as a scenario."));
                }
            }),
        }
    }

    /// Takes a dataset, in place of the one there is.
    fn open_trace(self, name: String, flags: &[(String, Option<String>)], summary: String, content: Vec<u8>) {
        let mut scenario = self.scenario.get_untracked();
        let old: Vec<&str> = scenario
            .given()
            .filter(|(flag, _)| flag.part == Part::Workload && flag.name != "max-concurrency")
            .map(|(flag, _)| flag.name)
            .collect();
        old.into_iter().for_each(|flag| scenario.unset(flag));
        let path = [("dataset-path".to_owned(), Some(name.clone()))];
        for (flag, value) in flags.iter().chain(&path) {
            if let Err(error) = scenario.set(flag, value.as_deref()) {
                return self.notify(NoticeKind::Error, &format!("{name}: {error}"));
            }
        }
        self.notify(NoticeKind::Info, &format!("Read {name} as {summary}."));
        self.dataset.set(Some(DatasetFile { name, content: Arc::new(content), summary }));
        self.set_scenario(scenario);
    }

    /// Gives the dataset's file up, and the flags that need it.
    pub(crate) fn clear_dataset(self) {
        self.dataset.set(None);
        let mut scenario = self.scenario.get_untracked();
        for flag in ["dataset-path", "dataset-name"] {
            scenario.unset(flag);
        }
        self.set_scenario(scenario);
    }

    async fn take_link(self, fragment: &str) -> bool {
        let link = match Link::from_fragment(fragment) {
            Ok(link) => link,
            Err(error) => {
                self.notify(NoticeKind::Error, &format!("{error}. What was there before stays."));
                return false;
            }
        };
        let is_loaded = match (&link.profile_file, &link.profile) {
            (Some(file), name) => {
                let name = name.clone().unwrap_or_else(|| "profile".to_owned());
                self.take_profile(name, file.clone(), Origin::Link).await
            }
            (None, Some(name)) if name != DEFAULT_PROFILE => self.load_profile(name, link.profile_hash).await,
            (None, _) => self.load_link_recipe(&link).await,
        };
        if !is_loaded {
            return false;
        }
        self.load_link_dataset(&link);
        if link.made_by.as_deref().is_some_and(|version| version != env!("CARGO_PKG_VERSION")) {
            let told = format!(
                "The link was made by version {}, this is {}: results may differ.",
                link.made_by.as_deref().unwrap_or_default(),
                env!("CARGO_PKG_VERSION")
            );
            self.notify(NoticeKind::Warn, &told);
        }
        self.set_aside.set(Vec::new());
        self.is_example.set(false);
        self.asking.set(link.asking);
        self.scenario.set(link.scenario);
        true
    }

    /// Takes over the model and the GPU that a link carries; what its flags say of them is composed afterwards.
    async fn load_link_recipe(self, link: &Link) -> bool {
        if let Some(hash) = link.profile_hash {
            match self.default_file().await {
                Ok(file) if fingerprint(&file) != hash => self.warn_of_other_version(DEFAULT_PROFILE),
                Ok(_) => {}
                Err(fault) => {
                    self.notify(NoticeKind::Error, &format!("{fault}. What was there before stays."));
                    return false;
                }
            }
        }
        let named = |flag: &str| link.scenario.get(flag).unwrap_or("the link's own").to_owned();
        let own = |name, content: &Vec<u8>| OwnFile {
            file_name: "the link".to_owned(),
            name,
            content: Arc::new(content.clone()),
        };
        let needs = |what: &str| {
            self.notify(
                NoticeKind::Warn,
                &format!("The link needs {what} of its maker's own, which it does not carry: drop it here."),
            );
        };
        match (&link.config_file, link.config_hash, self.own_model.get_untracked()) {
            (Some(content), ..) => self.own_model.set(Some(own(named("model"), content))),
            (None, Some(hash), Some(there)) if fingerprint(&there.content) == hash => {}
            (None, hash, _) => {
                self.own_model.set(None);
                hash.into_iter().for_each(|_| needs("a config.json"));
            }
        }
        match (&link.pack_file, link.pack_hash, self.own_gpu.get_untracked()) {
            (Some(content), ..) => self.set_own_gpu(Some(own(named("gpu"), content))),
            (None, Some(hash), Some(there)) if fingerprint(&there.content) == hash => {}
            (None, hash, _) => {
                self.set_own_gpu(None);
                hash.into_iter().for_each(|_| needs("a pack of operators"));
            }
        }
        self.source.set(Source::Form);
        true
    }

    fn warn_of_other_version(self, name: &str) {
        self.notify(
            NoticeKind::Warn,
            &format!("The link was made with another version of profile {name}: results differ."),
        );
    }

    fn load_link_dataset(self, link: &Link) {
        let named = link.scenario.workload().dataset_path.clone();
        let is_there = |file: &DatasetFile| link.dataset_hash.is_none_or(|hash| hash == fingerprint(&file.content));
        match (&link.dataset_file, named) {
            (Some(content), name) => self.dataset.set(Some(DatasetFile {
                name: name.unwrap_or_else(|| "dataset".to_owned()),
                content: Arc::new(content.clone()),
                summary: "the dataset that the link carries".to_owned(),
            })),
            (None, Some(name)) => {
                if !self.dataset.with_untracked(|file| file.as_ref().is_some_and(is_there)) {
                    self.dataset.set(None);
                    self.notify(
                        NoticeKind::Warn,
                        &format!("The link needs the file {name}, which it does not carry: drop it here."),
                    );
                }
            }
            (None, None) => self.dataset.set(None),
        }
    }

    /// Loads a profile of the site.
    async fn load_profile(self, name: &str, hash: Option<u64>) -> bool {
        let is_there = |choice: &ProfileChoice| choice.name == name && choice.origin == Origin::Gallery;
        if self.profile.with_untracked(|choice| choice.as_ref().is_some_and(is_there)) {
            self.source.set(Source::Whole);
            return true;
        }
        match files::fetch(&format!("profiles/{name}.json")).await {
            Ok(file) => {
                if hash.is_some_and(|hash| hash != fingerprint(&file)) {
                    self.warn_of_other_version(name);
                }
                self.take_profile(name.to_owned(), file, Origin::Gallery).await
            }
            Err(fault) => {
                self.notify(NoticeKind::Error, &format!("Profile {name}: {fault}. What was there before stays."));
                false
            }
        }
    }

    /// Takes a profile as a whole, with what tells whether a form's model is its own.
    async fn take_profile(self, name: String, file: Vec<u8>, origin: Origin) -> bool {
        let read = match (fetch_models().await, profiles().await) {
            (Ok(_), Ok(reader)) => reader.choice(name.clone(), Arc::new(file), origin),
            (Err(missing), _) | (_, Err(missing)) => Err(missing.to_string()),
        };
        match read {
            Ok(choice) => {
                self.profile.set(Some(choice));
                self.source.set(Source::Whole);
                true
            }
            Err(error) => {
                self.notify(NoticeKind::Error, &format!("Profile {name}: {error}. What was there before stays."));
                false
            }
        }
    }
}

/// A link on its way into the form.
pub(crate) type Loading = Pin<Box<dyn Future<Output = bool>>>;

/// Loads everything that a link carries or names; false if it cannot be read, and then nothing has changed.
pub(crate) fn loading(state: AppState, fragment: String) -> Loading {
    Box::pin(async move { state.take_link(&fragment).await })
}

/// Takes what the reader made of a file.
pub(crate) fn opening(state: AppState, name: String, found: Found, content: Vec<u8>) {
    state.take_found(name, found, content);
}

/// A file's name as a profile may have it.
fn profile_name(file_name: &str) -> String {
    let stem = file_name.strip_suffix(".json").unwrap_or(file_name);
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = stem.chars().map(|c| if is_allowed(c) { c } else { '-' }).take(80).collect();
    let name = name.trim_start_matches('.').to_owned();
    if is_profile_name(&name) { name } else { "profile".to_owned() }
}
