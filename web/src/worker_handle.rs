//! The page's side of a worker: start, ask, listen, and stop what takes too long.

use js_sys::{Object, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

use crate::parcel::Parcel;
use crate::protocol::{Reply, Request};

/// What happens when a worker speaks.
type Listener = Closure<dyn FnMut(MessageEvent)>;

/// A worker with the module loaded, and what listens to it.
pub(crate) struct WorkerHandle {
    /// The compiled module: a new worker need not fetch it.
    module: JsValue,
    worker: Worker,
    on_message: Listener,
    on_error: Closure<dyn FnMut(ErrorEvent)>,
}

impl WorkerHandle {
    /// Listens to `worker`, which has the module already, or to a new one. `on_fault` hears of a worker that died.
    pub(crate) fn new(
        module: JsValue,
        worker: Option<Worker>,
        on_reply: impl Fn(Reply) + 'static,
        on_fault: impl Fn(String) + Clone + 'static,
    ) -> Result<Self, JsValue> {
        let fault = on_fault.clone();
        let on_message = Closure::new(move |event: MessageEvent| {
            let parcel = serde_wasm_bindgen::from_value::<Parcel>(event.data());
            match parcel.ok().and_then(Parcel::open::<Reply>) {
                Some(reply) => on_reply(reply),
                None => fault("the worker's answer cannot be read".to_owned()),
            }
        });
        let on_error = Closure::new(move |event: ErrorEvent| on_fault(fault_of(&event)));
        let worker = worker.map_or_else(|| started(&module), Ok)?;
        let handle = Self { module, worker, on_message, on_error };
        handle.listen();
        Ok(handle)
    }

    /// Asks something.
    pub(crate) fn post(&self, request: Request) -> Result<(), JsValue> {
        self.worker.post_message(&serde_wasm_bindgen::to_value(&Parcel::of(request))?)
    }

    /// Ends the worker, whatever it does, and starts another. What it knew is gone.
    pub(crate) fn restart(&mut self) -> Result<(), JsValue> {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
        self.worker = started(&self.module)?;
        self.listen();
        Ok(())
    }

    fn listen(&self) {
        self.worker.set_onmessage(Some(self.on_message.as_ref().unchecked_ref()));
        self.worker.set_onerror(Some(self.on_error.as_ref().unchecked_ref()));
    }
}

/// What a worker died of. The event of a script that could not be loaded has no message.
pub(crate) fn fault_of(event: &ErrorEvent) -> String {
    let message = Reflect::get(event, &"message".into()).ok().and_then(|message| message.as_string());
    message.unwrap_or_else(|| "its script could not be loaded".to_owned())
}

/// A new worker that was given the module, which is its first message.
fn started(module: &JsValue) -> Result<Worker, JsValue> {
    let options = WorkerOptions::new();
    options.set_type(WorkerType::Module);
    let worker = Worker::new_with_options("./worker.js", &options)?;
    let message = Object::new();
    Reflect::set(&message, &"module".into(), module)?;
    worker.post_message(&message)?;
    Ok(worker)
}
