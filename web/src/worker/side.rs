//! The worker's side of the messages: JavaScript values in and out, and the browser's clock.

use core::cell::{Cell, RefCell};

use js_sys::{Array, Function, Reflect, Uint8Array};
use serde::Serialize as _;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};

use super::session::{Host, Session};
use crate::protocol::{Reply, Request};

/// Milliseconds between two messages of progress.
const PROGRESS_INTERVAL_MS: f64 = 50.0;

thread_local! {
    /// Where messages go and whose they are, for the panic hook, which has nothing of its own.
    static POST: RefCell<Option<Function>> = const { RefCell::new(None) };
    static CURRENT_ID: Cell<u32> = const { Cell::new(0) };
}

/// Answers the page's messages inside its worker.
#[wasm_bindgen]
#[derive(Debug)]
pub struct WorkerSide {
    post: Function,
    session: Session,
}

#[wasm_bindgen]
impl WorkerSide {
    /// A worker without a run; `post(value, transfer)` sends a message to the page.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(post: Function) -> Self {
        POST.with_borrow_mut(|place| *place = Some(post.clone()));
        std::panic::set_hook(Box::new(|info| {
            let fault = Reply::Fault { id: CURRENT_ID.get(), message: format!("internal error: {info}") };
            POST.with_borrow(|post| {
                if let Some(post) = post {
                    send(post, &fault);
                }
            });
        }));
        Self { post, session: Session::default() }
    }

    /// Answers a [`Request`].
    ///
    /// A message that is none is answered with a fault of number 0. After a panic the fault is sent and this instance
    /// must not be used again.
    pub fn handle(&mut self, message: JsValue) {
        let reply = match serde_wasm_bindgen::from_value::<Request>(message) {
            Ok(request) => {
                CURRENT_ID.set(request.id());
                let id = request.id();
                let mut host = Page { id, post: &self.post, last_progress_ms: now_ms() };
                self.session.handle(request, &mut host)
            }
            Err(error) => Reply::Fault { id: 0, message: format!("the page's message is not understood: {error}") },
        };
        send(&self.post, &reply);
    }
}

/// The page, as a run sees it.
struct Page<'a> {
    id: u32,
    post: &'a Function,
    last_progress_ms: f64,
}

impl Host for Page<'_> {
    fn now_ms(&self) -> f64 {
        now_ms()
    }

    fn progress(&mut self, done: u32, total: u32, sim_time: f64) {
        let now = now_ms();
        if now - self.last_progress_ms >= PROGRESS_INTERVAL_MS {
            self.last_progress_ms = now;
            send(self.post, &Reply::Progress { id: self.id, done, total, sim_time });
        }
    }
}

/// `performance.now()`, which workers have without a window.
fn now_ms() -> f64 {
    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_namespace = performance)]
        fn now() -> f64;
    }
    now()
}

/// Posts `reply`; the bytes of a file change hands instead of being copied.
fn send(post: &Function, reply: &Reply) {
    let Ok(value) = reply.serialize(&Serializer::new()) else { return };
    let transfer = Array::new();
    let content = Reflect::get(&value, &"Export".into()).and_then(|export| Reflect::get(&export, &"content".into()));
    if let Some(bytes) = content.ok().and_then(|content| content.dyn_into::<Uint8Array>().ok()) {
        transfer.push(&bytes.buffer());
    }
    // A page that is gone cannot be told.
    drop(post.call2(&JsValue::NULL, &value, &transfer));
}
