//! Profiles for setups that do not stand in the form: composed in a worker of their own, one after another.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Function, Promise};
use sim_core::answers::recommend::Exclusion;
use sim_core::answers::recommend::exclusion::Kind;
use sim_core::operators::gpu_table;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{ErrorEvent, MessageEvent, Worker};

use crate::composer::{Composed, Question, member, new_composer, object};
use crate::files;
use crate::worker_handle::fault_of;

/// Why a profile cannot be composed.
const KINDS: [Kind; 4] = [Kind::DoesNotFit, Kind::NoOperator, Kind::Indivisible, Kind::Refused];

type Asked = Rc<RefCell<BTreeMap<u32, Function>>>;

/// A composer, and what it has not answered yet.
pub(super) struct Composing {
    worker: Worker,
    asked: Asked,
    last_id: Cell<u32>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(ErrorEvent)>,
}

impl Composing {
    /// Starts one.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub(super) fn new() -> Result<Self, String> {
        let worker = new_composer().map_err(|error| files::message(&error))?;
        let asked = Asked::default();
        let hearing = asked.clone();
        let on_message = Closure::new(move |event: MessageEvent| {
            let data = event.data();
            let id = member(&data, "id").as_f64().map(sim_core::math::f64_to_u32).unwrap_or_default();
            let resolve = hearing.borrow_mut().remove(&id);
            answer(resolve, &data);
        });
        let failing = asked.clone();
        let on_error = Closure::new(move |event: ErrorEvent| {
            let error = format!("the part of the page that composes profiles stopped: {}", fault_of(&event));
            for resolve in std::mem::take(&mut *failing.borrow_mut()).into_values() {
                answer(Some(resolve), &object(&[("error", error.as_str().into())]));
            }
        });
        worker.set_onmessage(Some(AsRef::<JsValue>::as_ref(&on_message).unchecked_ref()));
        worker.set_onerror(Some(AsRef::<JsValue>::as_ref(&on_error).unchecked_ref()));
        Ok(Self { worker, asked, last_id: Cell::new(0), _on_message: on_message, _on_error: on_error })
    }

    /// Fetches the operators of the GPU called `key`, and keeps them here.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) async fn keep(&self, key: &str) -> Result<(), String> {
        let measured = gpu_table::measured(key).ok_or_else(|| format!("--gpu {key}: no such GPU is known"))?;
        let content = files::fetch(&format!("packs/{measured}.json")).await?;
        self.ask(&Question::Keep(key.to_owned(), content)).await.map(drop)
    }

    /// What the composer is `asked` for: a profile.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn compose(&self, asked: &Question) -> Result<Composed, Exclusion> {
        let data = self.post(asked).await.map_err(refused)?;
        if let Some(why) = member(&data, "error").as_string() {
            let words = member(&data, "kind").as_string().unwrap_or_default();
            let kind = KINDS.into_iter().find(|kind| kind.words() == words).unwrap_or(Kind::Refused);
            return Err(Exclusion { kind, why });
        }
        Ok(Composed::of(&data))
    }

    async fn ask(&self, question: &Question) -> Result<JsValue, String> {
        let data = self.post(question).await?;
        member(&data, "error").as_string().map_or(Ok(data), Err)
    }

    async fn post(&self, question: &Question) -> Result<JsValue, String> {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let promise = Promise::new(&mut |resolve, _| {
            self.asked.borrow_mut().insert(id, resolve);
        });
        self.worker.post_message(&question.message(id)).map_err(|error| files::message(&error))?;
        JsFuture::from(promise).await.map_err(|error| files::message(&error))
    }
}

/// What is no fault of the setup.
fn refused(why: String) -> Exclusion {
    Exclusion { kind: Kind::Refused, why }
}

fn answer(resolve: Option<Function>, data: &JsValue) {
    if let Some(resolve) = resolve {
        // Whoever asked may be gone.
        resolve.call1(&JsValue::NULL, data).ok();
    }
}

impl Drop for Composing {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}
