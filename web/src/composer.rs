//! The page's side of the worker that composes profiles (`www/composer.js`): it is started by the first question.

use std::cell::RefCell;
use std::collections::BTreeMap;

use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

use crate::files;
use crate::recipe::Recipe;
use crate::state::AppState;
use crate::worker_handle::fault_of;

/// What the composer is asked.
pub(crate) enum Question {
    /// To keep a GPU's operators under this name.
    Keep(String, Vec<u8>),
    /// For a profile of this, with the model's `config.json`, where one engine is simulated.
    Compose(Recipe, Vec<u8>),
    /// The same where all data-parallel ranks are.
    ComposeRank(Recipe, Vec<u8>),
    /// Whether a number of GPUs is enough, with these flags.
    Fit(u32, Recipe, Vec<(String, Option<String>)>, Vec<u8>),
}

/// A profile that was composed.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) name: String,
    pub(crate) file: Vec<u8>,
    /// Whether it is of one of several data-parallel ranks that have experts in common, and so step together.
    pub(crate) is_of_lockstep: bool,
}

impl Composed {
    /// What the composer's answer says.
    pub(crate) fn of(data: &JsValue) -> Self {
        let file = member(data, "file").dyn_into::<Uint8Array>().map(|file| file.to_vec());
        Self {
            name: member(data, "name").as_string().unwrap_or_default(),
            file: file.unwrap_or_default(),
            is_of_lockstep: member(data, "isOfLockstep").is_truthy(),
        }
    }
}

/// What comes of a number of GPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fit {
    /// The number.
    pub(crate) num_gpus: u32,
    /// Why vLLM would not start; empty if it would.
    pub(crate) fault: String,
    /// Whether that is for want of memory.
    pub(crate) is_too_small: bool,
}

/// A started worker, and what listens to it.
struct Handle {
    worker: Worker,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(ErrorEvent)>,
}

/// The worker and what it has not answered yet.
#[derive(Default)]
struct Composer {
    handle: Option<Handle>,
    last_id: u32,
    asked: BTreeMap<u32, Question>,
}

thread_local! {
    static COMPOSER: RefCell<Composer> = RefCell::default();
}

/// A member of an object; undefined if there is none.
pub(crate) fn member(of: &JsValue, name: &str) -> JsValue {
    Reflect::get(of, &name.into()).unwrap_or_default()
}

/// An object of these members.
pub(crate) fn object(members: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in members {
        // An object that was just made takes every member.
        Reflect::set(&object, &(*name).into(), value).ok();
    }
    object.into()
}

fn bytes(content: &[u8]) -> JsValue {
    Uint8Array::from(content).into()
}

/// Names and values by turns; a switch has no value.
fn flags(flags: &[(String, Option<String>)]) -> JsValue {
    let all = Array::new();
    for (name, value) in flags {
        all.push(&name.into());
        all.push(&value.as_ref().map_or(JsValue::NULL, JsValue::from));
    }
    all.into()
}

fn recipe(
    what: &str,
    recipe: &Recipe,
    given: &[(String, Option<String>)],
    config: &[u8],
) -> Vec<(&'static str, JsValue)> {
    let model = recipe.model.as_ref().map(|own| own.name.as_str()).unwrap_or_default();
    vec![
        ("what", what.into()),
        ("flags", flags(given)),
        ("model", model.into()),
        ("config", bytes(config)),
        ("pack", recipe.pack_key().into()),
    ]
}

impl Question {
    /// As `www/composer.js` takes it.
    pub(crate) fn message(&self, id: u32) -> JsValue {
        let mut members = match self {
            Self::Keep(key, content) => vec![("what", "keep".into()), ("key", key.into()), ("content", bytes(content))],
            Self::Compose(made, config) => recipe("compose", made, &made.flags(), config),
            Self::ComposeRank(made, config) => recipe("composeRank", made, &made.flags(), config),
            Self::Fit(_, made, given, config) => recipe("fit", made, given, config),
        };
        members.push(("id", id.into()));
        object(&members)
    }
}

/// A new worker that composes.
pub(crate) fn new_composer() -> Result<Worker, JsValue> {
    let options = WorkerOptions::new();
    options.set_type(WorkerType::Module);
    Worker::new_with_options("./composer.js", &options)
}

impl AppState {
    /// Asks the composer; what comes of it goes to `making.rs` and `fitting.rs`.
    pub(crate) fn ask_composer(self, question: Question) {
        let posted = COMPOSER.with_borrow_mut(|composer| {
            if composer.handle.is_none() {
                composer.handle = Some(self.started()?);
            }
            composer.last_id = composer.last_id.wrapping_add(1);
            let id = composer.last_id;
            let message = question.message(id);
            composer.asked.insert(id, question);
            composer.handle.as_ref().map_or(Ok(()), |handle| handle.worker.post_message(&message))
        });
        if let Err(error) = posted {
            self.composing_failed(&format!("The worker cannot be asked: {}", files::message(&error)));
        }
    }

    fn started(self) -> Result<Handle, JsValue> {
        let worker = new_composer()?;
        let on_message = Closure::new(move |event: MessageEvent| self.hear_composer(&event.data()));
        let on_error = Closure::new(move |event: ErrorEvent| self.composer_died(&fault_of(&event)));
        worker.set_onmessage(Some(AsRef::<JsValue>::as_ref(&on_message).unchecked_ref()));
        worker.set_onerror(Some(AsRef::<JsValue>::as_ref(&on_error).unchecked_ref()));
        Ok(Handle { worker, _on_message: on_message, _on_error: on_error })
    }

    fn hear_composer(self, data: &JsValue) {
        let id = member(data, "id").as_f64().map(sim_core::math::f64_to_u32).unwrap_or_default();
        let Some(question) = COMPOSER.with_borrow_mut(|composer| composer.asked.remove(&id)) else { return };
        let text = |name| member(data, name).as_string();
        let error = text("error");
        match (question, error) {
            (Question::Keep(key, _), Some(error)) => self.pack_refused(&key, &error),
            (Question::Keep(key, _), None) => self.pack_kept(&key, &text("label").unwrap_or_default()),
            (Question::Compose(recipe, _) | Question::ComposeRank(recipe, _), Some(error)) => {
                self.not_composed(&recipe, error);
            }
            (Question::Compose(recipe, _) | Question::ComposeRank(recipe, _), None) => {
                let Composed { name, file, is_of_lockstep } = Composed::of(data);
                self.take_composed(&name, (file.into(), is_of_lockstep), recipe);
            }
            (Question::Fit(num_gpus, recipe, ..), error) => {
                let is_too_small = member(data, "isTooSmall").is_truthy();
                let fault = error.or_else(|| text("fault")).unwrap_or_default();
                self.hear_fit(&recipe, Fit { num_gpus, fault, is_too_small });
            }
        }
    }

    /// The next question starts another, which has no pack.
    fn composer_died(self, fault: &str) {
        COMPOSER.with_borrow_mut(|composer| {
            if let Some(handle) = &composer.handle {
                handle.worker.terminate();
            }
            composer.asked.clear();
            composer.handle = None;
        });
        self.forget_packs();
        self.composing_failed(&format!("The part of the page that composes profiles stopped: {fault}"));
    }
}
