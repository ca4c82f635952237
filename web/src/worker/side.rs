//! The worker's side of the messages: JavaScript values in and out, and the browser's clock.

use core::cell::{Cell, RefCell};

use js_sys::{Array, Function, Reflect, Uint8Array};
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};

use super::session::{self, Host, Session};
use super::warm_up as warm;
use crate::parcel::Parcel;
use crate::parts::{Missing, part};
use crate::protocol::{Part, Reply, Request};

/// Milliseconds between two messages of progress.
const PROGRESS_INTERVAL_MS: f64 = 50.0;

thread_local! {
    /// What is kept between messages.
    static SESSION: RefCell<Session> = RefCell::default();
    /// Where messages go and whose they are, for the panic hook, which has nothing of its own.
    static POST: RefCell<Option<Function>> = const { RefCell::new(None) };
    static CURRENT_ID: Cell<u32> = const { Cell::new(0) };
}

/// Answers a message.
type Answering = fn(&Function, JsValue);

part! {
    /// Runs of one engine, and what is asked about them.
    fn simulator() -> Answering { |post, message| answer_by(post, message, session::simulate) } in simulator
}
part! {
    /// Runs of several engines.
    fn fleets() -> Answering { |post, message| answer_by(post, message, session::simulate_fleet) } in fleets
}
part! {
    /// A run that nobody asks for.
    fn warming() -> fn() -> Result<(), String> { warm::warm_up } in simulator
}
part! {
    /// Files that were dropped or pasted.
    fn reader() -> Answering { |post, message| answer_by(post, message, session::read_file) } in reader
}
part! {
    /// Files of a run.
    fn files() -> Answering { |post, message| answer_by(post, message, session::export_file) } in files
}

/// Answers a [`Request`] inside the page's worker: `post(value, transfer)` sends a message to the page. `part` is what
/// [`Request::part`] says, and is fetched if it is not there.
///
/// A message that is no request is answered with a fault of number 0. After a panic the fault is sent and the module
/// must not be used again.
///
/// # Errors
/// A text, if the part did not load.
#[wasm_bindgen]
#[expect(unreachable_pub, reason = "JavaScript calls it")]
pub async fn answer(part: u32, post: Function, message: JsValue) -> Result<(), JsValue> {
    let answering = match part {
        Part::READER => reader().await,
        Part::FILES => files().await,
        Part::FLEETS => fleets().await,
        _ => simulator().await,
    };
    let answering = answering.map_err(|missing: Missing| JsValue::from(missing.to_string()))?;
    answering(&post, message);
    Ok(())
}

/// Lets the browser compile what simulates, while nobody waits for it.
///
/// # Errors
/// A text, if the part did not load or the run could not be made. Later requests say the same, if it matters to them.
#[wasm_bindgen(js_name = warmUp)]
#[expect(unreachable_pub, reason = "JavaScript calls it")]
pub async fn warm_up() -> Result<(), JsValue> {
    let warm_up = warming().await.map_err(|missing: Missing| JsValue::from(missing.to_string()))?;
    warm_up().map_err(JsValue::from)
}

/// What answers one kind of request.
type Handling = fn(&mut Session, Request, &mut dyn Host) -> Result<Reply, String>;

fn answer_by(post: &Function, message: JsValue, handle: Handling) {
    remember(post);
    let parcel = serde_wasm_bindgen::from_value::<Parcel>(message);
    let reply = match parcel.ok().and_then(Parcel::open::<Request>) {
        Some(request) => {
            let id = request.id();
            CURRENT_ID.set(id);
            let mut host = Page { id, post, last_progress_ms: now_ms() };
            let reply = SESSION.with_borrow_mut(|session| handle(session, request, &mut host));
            reply.unwrap_or_else(|message| Reply::Fault { id, message })
        }
        None => Reply::Fault { id: 0, message: "the page's message is not understood".to_owned() },
    };
    send(post, reply);
}

/// Lets a panic be told, too.
fn remember(post: &Function) {
    let is_first = POST.with_borrow_mut(|place| place.replace(post.clone()).is_none());
    if !is_first {
        return;
    }
    std::panic::set_hook(Box::new(|info| {
        let fault = Reply::Fault { id: CURRENT_ID.get(), message: format!("internal error: {info}") };
        POST.with_borrow(|post| {
            if let Some(post) = post {
                send(post, fault);
            }
        });
    }));
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
