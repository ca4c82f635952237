//! The page's side of a worker: start, ask, listen, and stop what takes too long.

use js_sys::{Array, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

use crate::parcel::Parcel;
use crate::protocol::{Reply, Request};

/// What happens when a worker speaks.
type Listener = Closure<dyn FnMut(MessageEvent)>;

/// A worker with the module loaded, and what listens to it.
pub(crate) struct WorkerHandle {
    /// The compiled module and parts of it, as `www/boot.js` has them: a new worker need not fetch them.
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
            let data = event.data();
            if let Some((id, message)) = part_missing(&data) {
                return on_reply(Reply::Fault { id, message });
            }
            let parcel = serde_wasm_bindgen::from_value::<Parcel>(data);
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
        let (id, part) = (request.id(), request.part() as u32);
        let parcel = serde_wasm_bindgen::to_value(&Parcel::of(request))?;
        self.worker.post_message(&Array::of3(&id.into(), &part.into(), &parcel))
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

/// That the part which answers a message did not load: the message's number, and what to say.
fn part_missing(data: &JsValue) -> Option<(u32, String)> {
    let data = data.dyn_ref::<Array>()?;
    let id = data.get(0).as_f64().map(sim_core::math::f64_to_u32)?;
    Some((id, data.get(1).as_string()?))
}

/// A new worker that was given the module, which is its first message.
fn started(module: &JsValue) -> Result<Worker, JsValue> {
    let options = WorkerOptions::new();
    options.set_type(WorkerType::Module);
    let worker = Worker::new_with_options("./worker.js", &options)?;
    worker.post_message(module)?;
    Ok(worker)
}
