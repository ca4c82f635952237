//! The worker's side of the messages: JavaScript values in and out, and the browser's clock.

use core::cell::{Cell, RefCell};

use js_sys::{Array, Function, Reflect, Uint8Array};
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};

use super::session::{Host, Session};
use crate::parcel::Parcel;
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
                    send(post, fault);
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
        let parcel = serde_wasm_bindgen::from_value::<Parcel>(message);
        let reply = match parcel.ok().and_then(Parcel::open::<Request>) {
            Some(request) => {
                CURRENT_ID.set(request.id());
                let id = request.id();
                let mut host = Page { id, post: &self.post, last_progress_ms: now_ms() };
                self.session.handle(request, &mut host)
            }
            None => Reply::Fault { id: 0, message: "the page's message is not understood".to_owned() },
        };
        send(&self.post, reply);
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

    fn wall_clock_ms(&self) -> u64 {
        let now = js_sys::Date::new_0();
        sim_core::math::f64_to_u64(now.get_time() - 60_000.0 * now.get_timezone_offset())
    }

    fn progress(&mut self, done: u32, total: u32, sim_time: f64) {
        let now = now_ms();
        if now - self.last_progress_ms >= PROGRESS_INTERVAL_MS {
            self.last_progress_ms = now;
            send(self.post, Reply::Progress { id: self.id, done, total, sim_time });
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

/// Posts `reply`; the bytes of files change hands instead of being copied.
fn send(post: &Function, reply: Reply) {
    let Ok(value) = serde_wasm_bindgen::to_value(&Parcel::of(reply)) else { return };
    let transfer = Array::new();
    let files = Reflect::get(&value, &"files".into()).unwrap_or_default();
    for file in Array::from(&files) {
        if let Ok(bytes) = file.dyn_into::<Uint8Array>() {
            transfer.push(&bytes.buffer());
        }
    }
    // A page that is gone cannot be told.
    drop(post.call2(&JsValue::NULL, &value, &transfer));
}
