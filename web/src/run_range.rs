//! How far the figures on the page may be off: the run that is shown, repeated at both ends of its profile's range. It is
//! asked for when the answer is there, in a worker of its own, so that it holds nothing up.

use std::cell::RefCell;
use std::sync::Arc;

use leptos::prelude::{GetUntracked, Set, With, window};
use sim_core::profile::uncertainty::{Grounds, StatedRange};

use crate::answer::RangeAnswer;
use crate::files;
use crate::protocol::{Reply, Request};
use crate::simulation::{last_input, next_id, wasm_module};
use crate::state::{AppState, NoticeKind, Run};
use crate::worker_handle::WorkerHandle;

/// Runs that took less wall-clock time than this are repeated unasked.
const CHEAP_RUN_MS: f64 = 300.0;

/// The user's wish in the browser's storage.
const STORED_AS: &str = "vllm-simulator.range";

/// What the page holds that is no signal.
#[derive(Default)]
struct Links {
    /// Started when the first range is asked for.
    worker: Option<WorkerHandle>,
    /// Number of the question under way.
    under_way: Option<u32>,
}

thread_local! {
    static LINKS: RefCell<Links> = RefCell::default();
}

/// What the user wished for last time: to see ranges or not; `None` if nothing, or if storage is forbidden.
pub(crate) fn stored_wish() -> Option<bool> {
    let storage = window().local_storage().ok().flatten()?;
    match storage.get_item(STORED_AS).ok().flatten()?.as_str() {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// How far the profile of a run is off; `None` where it does not say, and for several engines, which are not repeated.
fn stated(run: &Run) -> Option<StatedRange> {
    if run.answer.fleet.is_some() { None } else { run.profile.stated_range() }
}

impl AppState {
    /// Whether the profile of the run that is shown says how far it may be off.
    pub(crate) fn has_range(self) -> bool {
        self.current.with(|run| run.as_ref().is_some_and(|run| stated(run).is_some()))
    }

    /// Whether ranges are shown: as the user wishes; without a wish where they cost little, or the device was never
    /// measured.
    pub(crate) fn shows_range(self) -> bool {
        let wish = self.range_wish.with(|wish| *wish);
        self.current.with(|run| {
            let Some((run, stated)) = run.as_ref().and_then(|run| Some((run, stated(run)?))) else {
                return false;
            };
            wish.unwrap_or(stated.grounds == Grounds::Estimate || run.answer.wall_ms < CHEAP_RUN_MS)
        })
    }

    /// Shows ranges from now on, or hides them; one under way is given up then.
    pub(crate) fn show_range(self, is_wished: bool) {
        if let Some(storage) = window().local_storage().ok().flatten() {
            // Where storage is forbidden, the wish holds as long as the page.
            storage.set_item(STORED_AS, if is_wished { "on" } else { "off" }).ok();
        }
        self.range_wish.set(Some(is_wished));
        self.ask_range();
    }

    /// Lets the worker find the range, if it is to be shown and not known. A question under way is given up: it is of
    /// another run, or nobody wants its answer.
    pub(crate) fn ask_range(self) {
        let is_wanted = leptos::prelude::untrack(|| self.shows_range()) && self.range.get_untracked().is_none();
        let asked = LINKS.with_borrow_mut(|links| {
            if links.under_way.take().is_some()
                && let Some(worker) = &mut links.worker
            {
                worker.restart()?;
            }
            let Some(input) = is_wanted.then(last_input).flatten() else { return Ok(()) };
            if links.worker.is_none() {
                let on_fault = move |fault: String| self.range_failed(&fault);
                links.worker =
                    Some(WorkerHandle::new(wasm_module(), None, move |reply| self.hear_range(reply), on_fault)?);
            }
            let id = next_id();
            links.under_way = Some(id);
            links.worker.as_ref().map_or(Ok(()), |worker| worker.post(Request::Range { id, input }))
        });
        if let Err(error) = asked {
            self.range_failed(&files::message(&error));
        }
    }

    fn hear_range(self, reply: Reply) {
        let is_under_way = |id: u32| LINKS.with_borrow(|links| links.under_way == Some(id));
        match reply {
            Reply::Range { id, range } if is_under_way(id) => {
                LINKS.with_borrow_mut(|links| links.under_way = None);
                self.range.set(Some(Arc::new(*range)));
            }
            Reply::Fault { id, message } if is_under_way(id) => self.range_failed(&message),
            // Progress, or of a question that was given up.
            _ => {}
        }
    }

    fn range_failed(self, fault: &str) {
        LINKS.with_borrow_mut(|links| (links.under_way, links.worker) = (None, None));
        self.range_wish.set(Some(false));
        self.notify(NoticeKind::Error, &format!("how far the figures may be off cannot be found out: {fault}"));
    }

    /// What is known of how far the shown figures may be off, if that is shown.
    pub(crate) fn known_range(self) -> Option<Arc<RangeAnswer>> {
        self.range.get_untracked().filter(|_| leptos::prelude::untrack(|| self.shows_range()))
    }
}
