//! Choosing a model and a GPU: in the form, by an example, by a file.

use std::cell::RefCell;
use std::sync::Arc;

use leptos::prelude::*;
use sim_core::models::ModelConfig;
use sim_core::scenario::examples::Example;
use sim_core::scenario::{DEFAULT_MODEL, Part, Scenario};

use crate::recipe::OWN_PACK;
use crate::state::{AppState, NoticeKind, OwnFile, Source};

thread_local! {
    /// An `hf_quant_config.json` that waits for its `config.json`.
    static QUANT: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
    /// What the form said of model and GPU before a whole profile took their place.
    static ASIDE: RefCell<Option<Scenario>> = const { RefCell::new(None) };
}

/// The flags that decide about the profile.
fn model_flags(scenario: &Scenario) -> Vec<(&'static str, String)> {
    let given = scenario.given().filter(|(flag, _)| flag.part == Part::Model || flag.name == "tensor-parallel-size");
    given.map(|(flag, value)| (flag.name, value.to_owned())).collect()
}

/// `scenario` with the model and GPU of `other`.
pub(crate) fn with_model_of(scenario: &Scenario, other: &Scenario) -> Scenario {
    let mut scenario = scenario.clone();
    for (flag, _) in model_flags(&scenario) {
        scenario.unset(flag);
    }
    for (flag, value) in model_flags(other) {
        // It was taken before.
        scenario.set(flag, Some(&value)).ok();
    }
    scenario
}

impl AppState {
    /// Takes a model by its name.
    pub(crate) fn choose_model(self, name: &str) -> Result<(), String> {
        let mut scenario = self.scenario.get_untracked();
        let written = (name != DEFAULT_MODEL).then_some(name);
        match written {
            Some(name) => scenario.set("model", Some(name)).map_err(|error| error.to_string())?,
            None => scenario.unset("model"),
        }
        self.own_model.set(None);
        self.is_example.set(false);
        self.set_scenario(scenario);
        self.make();
        Ok(())
    }

    /// Takes a setup of the list.
    pub(crate) fn choose_example(self, example: &Example) {
        let flags = example.flags();
        let given = flags.iter().map(|(flag, value)| (*flag, Some(value.as_str())));
        let Ok(setup) = Scenario::from_flags(given) else { return };
        let is_first = example.profile_name() == crate::gallery::DEFAULT_PROFILE;
        let setup = if is_first { Scenario::default() } else { setup };
        self.own_model.set(None);
        self.set_own_gpu(None);
        self.source.set(Source::Form);
        self.is_example.set(false);
        self.set_scenario(with_model_of(&self.scenario.get_untracked(), &setup));
    }

    /// A whole profile stands for what the form says of model and GPU, which is kept until it is given up.
    pub(crate) fn put_setup_aside(self) {
        let scenario = self.scenario.get_untracked();
        if !model_flags(&scenario).is_empty() {
            self.set_scenario(with_model_of(&scenario, &Scenario::default()));
            ASIDE.set(Some(scenario));
        }
    }

    /// Gives a whole profile up: what the form said of model and GPU before holds again.
    pub(crate) fn leave_whole(self) {
        self.is_example.set(false);
        if let Some(before) = ASIDE.take() {
            self.set_scenario(with_model_of(&self.scenario.get_untracked(), &before));
        }
        self.source.set(Source::Form);
    }

    /// Takes a `config.json` as the model.
    pub(crate) fn open_model_config(self, file_name: String, own: &str, model: &ModelConfig, content: Vec<u8>) {
        let stem = file_name.strip_suffix(".json").unwrap_or(&file_name);
        let name = match (own, stem) {
            ("", "config") => format!("{}, {} layers", model.architecture, model.num_hidden_layers),
            ("", stem) => stem.to_owned(),
            (own, ..) => own.to_owned(),
        };
        let content = match QUANT.take() {
            Some(quant) if model.quantization.is_none() => with_quantization(&content, &quant).unwrap_or(content),
            _ => content,
        };
        let told = format!("Read {file_name} as the model {name}: {}.", model.summary());
        let mut scenario = self.scenario.get_untracked();
        scenario.unset("model");
        self.own_model.set(Some(OwnFile { name, file_name, content: Arc::new(content) }));
        self.is_example.set(false);
        self.set_scenario(scenario);
        self.tell_of_own(&told);
    }

    /// Takes a checkpoint's `hf_quant_config.json`, for the `config.json` beside it.
    pub(crate) fn open_quant_config(self, file_name: &str, content: Vec<u8>) {
        let own = self.own_model.get_untracked();
        let joined = own.and_then(|own| with_quantization(&own.content, &content).map(|whole| (own, whole)));
        match joined {
            Some((own, whole)) => {
                let told = format!("Read {file_name} as how the weights of {} are quantised.", own.name);
                self.own_model.set(Some(OwnFile { content: Arc::new(whole), ..own }));
                self.tell_of_own(&told);
            }
            None => {
                QUANT.set(Some(content));
                let told = format!(
                    "Read {file_name} as how a checkpoint is quantised: it goes with the config.json beside it."
                );
                self.notify(NoticeKind::Info, &told);
            }
        }
    }

    /// Takes a pack of operators as the GPU, if the composer can read it.
    pub(crate) fn open_pack(self, file_name: String, content: Vec<u8>) {
        let mut scenario = self.scenario.get_untracked();
        scenario.unset("gpu");
        self.set_own_gpu(Some(OwnFile { name: file_name.clone(), file_name, content: Arc::new(content) }));
        self.is_example.set(false);
        self.set_scenario(scenario);
        self.load_pack(OWN_PACK);
    }

    /// What was read, and whether it is in use.
    pub(crate) fn tell_of_own(self, told: &str) {
        let whole = self.profile.get_untracked().filter(|_| self.source.get_untracked() == Source::Whole);
        match whole {
            Some(choice) => {
                let name = choice.name;
                self.notify(NoticeKind::Warn, &format!("{told} The profile {name} is in use: remove it to use this."));
            }
            None => self.notify(NoticeKind::Info, told),
        }
    }
}

/// A `config.json` with what `hf_quant_config.json` says; `None` if one of the two is no object.
fn with_quantization(config: &[u8], quant: &[u8]) -> Option<Vec<u8>> {
    let mut config: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(config).ok()?;
    let quant: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(quant).ok()?;
    config.insert("quantization_config".to_owned(), quant.into());
    serde_json::to_vec(&config).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoints_two_files_are_one_model() {
        let config = br#"{"model_type":"llama","num_hidden_layers":2}"#;
        let quant = br#"{"producer":{"name":"modelopt"},"quantization":{"quant_algo":"FP8"}}"#;
        let whole = with_quantization(config, quant).expect("two objects");
        let whole: serde_json::Value = serde_json::from_slice(&whole).expect("JSON");
        assert_eq!(whole["quantization_config"]["quantization"]["quant_algo"], "FP8");
        assert_eq!(with_quantization(config, b"[]"), None);
    }

    #[test]
    fn model_and_gpu_of_one_form_go_to_another() {
        let form = |flags: &[(&'static str, &'static str)]| {
            Scenario::from_flags(flags.iter().map(|&(flag, value)| (flag, Some(value)))).expect("known flags")
        };
        let here = form(&[("model", "a/b"), ("tp", "2"), ("max-num-seqs", "4")]);
        let there = form(&[("gpu", "l40s"), ("max-num-seqs", "9")]);
        assert_eq!(with_model_of(&here, &there), form(&[("gpu", "l40s"), ("max-num-seqs", "4")]));
    }
}
