//! From what the form says of model and GPU to a profile: what is missing is loaded, then the worker composes.
//!
//! Every step ends in [`AppState::make`], which looks again at what the form says by then. So a choice that was made
//! meanwhile is no special case, and nothing is made twice.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use leptos::prelude::*;
use sim_core::models::ModelConfig;
use sim_core::operators::gpu_table;
use sim_core::profile::Profile;
use sim_core::scenario::Scenario;
use web_sys::AbortController;

use crate::composer::Question;
use crate::files;
use crate::gallery::DEFAULT_PROFILE;
use crate::models::{KnownModels, Models, NotListed, models};
use crate::parts::Missing;
use crate::profiles::profiles;
use crate::recipe::{OWN_PACK, Recipe};
use crate::state::{AppState, Making, NoticeKind, Origin, OwnFile, ProfileChoice, RunState, Source};

/// What is under way, and what the worker has.
#[derive(Default)]
struct Kitchen {
    /// The profile of the first visit.
    default: Option<Arc<Vec<u8>>>,
    is_default_loading: bool,
    /// The list of models, as soon as somebody needs it.
    known: Option<Arc<KnownModels>>,
    /// What names and files of models mean; there before a profile is taken as a whole.
    models: Option<Models>,
    is_list_loading: bool,
    /// The pack on its way, by its key.
    loading: Option<(String, AbortController)>,
    /// The packs that the worker has.
    packs: BTreeSet<String>,
    /// What the composer works on.
    composing: Option<Recipe>,
}

thread_local! {
    static KITCHEN: RefCell<Kitchen> = RefCell::default();
}

/// The list of models, if it is there; [`AppState::num_loaded`] tells when.
pub(crate) fn known_models() -> Option<Arc<KnownModels>> {
    KITCHEN.with_borrow(|kitchen| kitchen.known.clone())
}

/// Whether `scenario` can be run on a profile that was taken as a whole.
pub(crate) fn check_whole(scenario: &Scenario, profile: &Profile) -> Result<(), String> {
    let (models, known) = KITCHEN.with_borrow(|kitchen| (kitchen.models, kitchen.known.clone()));
    models.map_or(Ok(()), |models| models.check(scenario, profile, known.as_deref()))
}

/// What names and files of models mean, if it is not there.
pub(crate) async fn fetch_models() -> Result<Models, Missing> {
    let models = models().await?;
    KITCHEN.with_borrow_mut(|kitchen| kitchen.models = Some(models));
    Ok(models)
}

impl AppState {
    /// A change of model or GPU makes another profile.
    pub(crate) fn follow_recipe(self) {
        Effect::new(move |_| {
            let (_, _) = (self.recipe.track(), self.source.get());
            untrack(|| self.make());
        });
    }

    /// Takes the next step towards the profile of what stands in the form, if it is not there.
    pub(crate) fn make(self) {
        if self.source.get_untracked() != Source::Form || self.is_made.get_untracked() {
            self.making.set(Making::Idle);
            return;
        }
        let recipe = self.recipe.get_untracked();
        if recipe.is_default() {
            return self.take_default(recipe);
        }
        self.edit(move |editing| (editing.compose)(self));
    }

    /// The same for a profile that nobody has made before.
    pub(crate) fn compose(self) {
        let recipe = self.recipe.get_untracked();
        if !self.is_wanted() || recipe.is_default() {
            return;
        }
        let config = match self.config_of(&recipe) {
            Ok(Some(config)) => config,
            Ok(None) => return self.load_models(),
            Err(error) => return self.cannot_make(error.message, error.suggestions, false),
        };
        let key = recipe.pack_key();
        if KITCHEN.with_borrow(|kitchen| !kitchen.packs.contains(&key)) {
            return self.load_pack(&key);
        }
        self.making.set(Making::Composing);
        let is_asked = KITCHEN.with_borrow_mut(|kitchen| kitchen.composing.replace(recipe.clone()));
        if is_asked.as_ref() != Some(&recipe) {
            self.ask_composer(Question::ComposeRank(recipe, config));
        }
    }

    /// What the model's `config.json` says; `None` while the list of models is not there.
    pub(crate) fn config_of(self, recipe: &Recipe) -> Result<Option<Vec<u8>>, NotListed> {
        if let Some(own) = &recipe.model {
            return Ok(Some(own.content.to_vec()));
        }
        let Some(known) = known_models() else { return Ok(None) };
        known.listed(&recipe.model_name()).map(|listed| Some(listed.config))
    }

    /// Facts of the model in the form; `None` if it is not known, or the list of models is not there.
    pub(crate) fn model_facts(self) -> Option<ModelConfig> {
        let recipe = self.recipe.get();
        self.num_loaded.track();
        let config = self.config_of(&recipe).ok().flatten()?;
        known_models()?.facts(&config)
    }

    fn take_default(self, recipe: Recipe) {
        if let Some(file) = KITCHEN.with_borrow(|kitchen| kitchen.default.clone()) {
            return self.take_composed(DEFAULT_PROFILE, (file, false), recipe);
        }
        // Whoever asked first looks again at what the form says by then.
        if KITCHEN.with_borrow_mut(|kitchen| std::mem::replace(&mut kitchen.is_default_loading, true)) {
            return;
        }
        leptos::task::spawn_local(async move {
            let file = self.default_file().await;
            KITCHEN.with_borrow_mut(|kitchen| kitchen.is_default_loading = false);
            match file {
                Ok(_) => self.make(),
                Err(fault) => self.cannot_make(fault, Vec::new(), true),
            }
        });
    }

    /// The profile of the first visit.
    pub(crate) async fn default_file(self) -> Result<Arc<Vec<u8>>, String> {
        if let Some(file) = KITCHEN.with_borrow(|kitchen| kitchen.default.clone()) {
            return Ok(file);
        }
        let file = Arc::new(files::fetch(&format!("profiles/{DEFAULT_PROFILE}.json")).await?);
        KITCHEN.with_borrow_mut(|kitchen| kitchen.default = Some(file.clone()));
        Ok(file)
    }

    /// The list of models is there soon, and then the next step is taken.
    pub(crate) fn load_models(self) {
        if known_models().is_some()
            || KITCHEN.with_borrow_mut(|kitchen| std::mem::replace(&mut kitchen.is_list_loading, true))
        {
            return;
        }
        leptos::task::spawn_local(async move {
            let loaded = self.fetch_list().await;
            KITCHEN.with_borrow_mut(|kitchen| kitchen.is_list_loading = false);
            match loaded {
                Ok(()) => self.make(),
                Err(fault) if self.is_wanted() => self.cannot_make(fault, Vec::new(), true),
                // Nobody waits for it: it is tried again when somebody does.
                Err(_) => {}
            }
        });
    }

    /// The list of models, if it is not there.
    pub(crate) async fn fetch_list(self) -> Result<(), String> {
        if known_models().is_some() {
            return Ok(());
        }
        let content = files::fetch("models.json").await?;
        let models = fetch_models().await.map_err(|missing| missing.to_string())?;
        let known = models.read_list(&content)?;
        KITCHEN.with_borrow_mut(|kitchen| kitchen.known = Some(Arc::new(known)));
        self.tell_loaded();
        Ok(())
    }

    /// What will be needed as soon as somebody chooses a model or GPU: there while they look for it.
    pub(crate) fn prepare(self) {
        // What has failed is tried again by whoever asks for it.
        let has_failed = self.making.with_untracked(|making| matches!(making, Making::Failed { .. }));
        if self.source.get_untracked() != Source::Form || has_failed {
            return;
        }
        self.load_models();
        let recipe = self.recipe.get_untracked();
        let key = recipe.pack_key();
        if KITCHEN.with_borrow(|kitchen| !kitchen.packs.contains(&key) && kitchen.loading.is_none()) {
            self.load_pack(&key);
        }
    }

    /// Something that was waited for is there.
    pub(crate) fn tell_loaded(self) {
        self.num_loaded.update(|count| *count = count.wrapping_add(1));
    }

    /// Whether the worker has the GPU of the form.
    pub(crate) fn has_pack(self, recipe: &Recipe) -> bool {
        KITCHEN.with_borrow(|kitchen| kitchen.packs.contains(&recipe.pack_key()))
    }

    /// Whether the form waits for a profile.
    fn is_wanted(self) -> bool {
        self.source.get_untracked() == Source::Form && !self.is_made.get_untracked()
    }

    /// The GPU's operators are in the composer soon, and then the next step is taken.
    pub(crate) fn load_pack(self, key: &str) {
        if let Some(own) = self.own_gpu.get_untracked().filter(|_| key == OWN_PACK) {
            return self.take_pack(key.to_owned(), own.content.to_vec());
        }
        let (Some(gpu), Some(measured)) = (gpu_table::find(key), gpu_table::measured(key)) else {
            let known: Vec<String> = gpu_table::known().into_iter().map(|gpu| gpu.key).collect();
            let fault = format!("--gpu {key}: no such GPU is known; there are {}", known.join(", "));
            return self.cannot_make(fault, Vec::new(), false);
        };
        let is_under_way = KITCHEN.with_borrow(|kitchen| kitchen.loading.as_ref().is_some_and(|(one, _)| one == key));
        if is_under_way {
            return self.tell_loading(&gpu.label, 0);
        }
        let Ok(controller) = AbortController::new() else { return };
        let signal = controller.signal();
        let before = KITCHEN.with_borrow_mut(|kitchen| kitchen.loading.replace((key.to_owned(), controller)));
        if let Some((_, other)) = before {
            other.abort();
        }
        self.tell_loading(&gpu.label, 0);
        let key = key.to_owned();
        leptos::task::spawn_local(async move {
            let told = |bytes| self.tell_loading(&gpu.label, bytes);
            let loaded = files::fetch_in_pieces(&format!("packs/{measured}.json"), &signal, told).await;
            if signal.aborted() {
                return;
            }
            KITCHEN.with_borrow_mut(|kitchen| kitchen.loading = None);
            match loaded {
                Ok(content) => self.take_pack(key, content),
                Err(fault) if self.is_wanted() => self.cannot_make(fault, Vec::new(), true),
                Err(_) => {}
            }
        });
    }

    fn tell_loading(self, label: &str, bytes: u32) {
        if self.is_wanted() {
            self.making.set(Making::Loading(format!("operator times of the {label}"), bytes));
        }
    }

    fn take_pack(self, key: String, content: Vec<u8>) {
        // Answers come in the order of the questions: what is asked next finds the pack there.
        KITCHEN.with_borrow_mut(|kitchen| kitchen.packs.insert(key.clone()));
        self.ask_composer(Question::Keep(key, content));
        self.tell_loaded();
        self.make();
    }

    /// The composer keeps a pack, of a GPU of this name.
    pub(crate) fn pack_kept(self, key: &str, label: &str) {
        let own = self.own_gpu.get_untracked().filter(|own| key == OWN_PACK && own.name != label);
        if let Some(own) = own {
            self.tell_of_own(&format!("Read {} as the operators of a GPU: {label}.", own.file_name));
            self.own_gpu.set(Some(OwnFile { name: label.to_owned(), ..own }));
        }
    }

    /// The composer cannot read a pack.
    pub(crate) fn pack_refused(self, key: &str, error: &str) {
        KITCHEN.with_borrow_mut(|kitchen| kitchen.packs.remove(key));
        match self.own_gpu.get_untracked().filter(|_| key == OWN_PACK) {
            Some(own) => {
                self.set_own_gpu(None);
                self.notify(NoticeKind::Error, &format!("{}: {error}", own.file_name));
            }
            None => self.composing_failed(&format!("packs/{key}.json: {error}")),
        }
    }

    /// Another GPU of the user's own, or none.
    pub(crate) fn set_own_gpu(self, gpu: Option<OwnFile>) {
        KITCHEN.with_borrow_mut(|kitchen| kitchen.packs.remove(OWN_PACK));
        self.tell_loaded();
        self.own_gpu.set(gpu);
    }

    /// The worker is another one: it has nothing.
    pub(crate) fn forget_packs(self) {
        KITCHEN.with_borrow_mut(|kitchen| {
            kitchen.packs.clear();
            kitchen.composing = None;
        });
    }

    /// The composer cannot do its work.
    pub(crate) fn composing_failed(self, fault: &str) {
        if self.is_wanted() {
            self.cannot_make(fault.to_owned(), Vec::new(), true);
        } else {
            self.notify(NoticeKind::Error, fault);
        }
    }

    /// Gives up what is loaded.
    pub(crate) fn cancel_making(self) {
        let under_way = KITCHEN.with_borrow_mut(|kitchen| kitchen.loading.take());
        if let Some((_, controller)) = under_way {
            controller.abort();
            self.cannot_make("Loading was cancelled".to_owned(), Vec::new(), true);
        }
    }

    fn cannot_make(self, message: String, suggestions: Vec<String>, can_retry: bool) {
        self.run_state.set(RunState::Failed(message.clone()));
        self.making.set(Making::Failed { message, suggestions, can_retry });
    }

    /// Takes a profile of `recipe`, and whether ranks of it step together, if that is what the form says by now.
    pub(crate) fn take_composed(self, name: &str, (file, is_of_lockstep): (Arc<Vec<u8>>, bool), recipe: Recipe) {
        KITCHEN.with_borrow_mut(|kitchen| kitchen.composing.take_if(|composing| *composing == recipe));
        let name = name.to_owned();
        leptos::task::spawn_local(async move {
            let reader = profiles().await;
            if self.source.get_untracked() != Source::Form || self.recipe.with_untracked(|now| *now != recipe) {
                return;
            }
            let reader = match reader {
                Ok(reader) => reader,
                Err(missing) => return self.cannot_make(missing.to_string(), Vec::new(), true),
            };
            match reader.choice(name, file, Origin::Composed(Box::new(recipe))) {
                Ok(choice) => {
                    self.profile.set(Some(ProfileChoice { is_of_lockstep, ..choice }));
                    self.making.set(Making::Idle);
                    if matches!(self.run_state.get_untracked(), RunState::Failed(_)) {
                        self.run_state.set(RunState::Idle);
                    }
                }
                Err(error) => self.cannot_make(error, Vec::new(), false),
            }
        });
    }

    /// No profile can be composed of `recipe`.
    pub(crate) fn not_composed(self, recipe: &Recipe, error: String) {
        KITCHEN.with_borrow_mut(|kitchen| kitchen.composing.take_if(|composing| composing == recipe));
        if self.is_wanted() && self.recipe.with_untracked(|now| now == recipe) {
            self.cannot_make(error, Vec::new(), false);
        }
    }
}
