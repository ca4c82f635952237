//! How much load: asked again whenever something changes that the answer depends on.

use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::*;
use sim_core::scenario::AskedFor;

use crate::components::questions::inquiry::{DEFAULT_SEEDS, Inquiry, Status};
use crate::pool::{Stopped, Wish};
use crate::searching::{Found, search};
use crate::state::AppState;

/// Pause after an edit: others may follow.
const PAUSE: Duration = Duration::from_millis(200);

/// The question, its answer, and what is under way. A handle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) found: RwSignal<Option<Arc<Found>>>,
    /// What [`Self::found`] is of.
    pub(super) answered: RwSignal<Option<Inquiry>>,
    pub(super) status: RwSignal<Status>,
    asked: StoredValue<Option<Inquiry>>,
    wish: StoredValue<Wish, LocalStorage>,
}

impl Load {
    /// Nothing is asked yet; from now on it follows the form.
    pub(super) fn new(state: AppState) -> Self {
        let load = Self {
            found: RwSignal::new(None),
            answered: RwSignal::new(None),
            status: RwSignal::new(Status::Idle),
            asked: StoredValue::new(None),
            wish: StoredValue::new_local(Wish::default()),
        };
        let pending = StoredValue::new(None::<TimeoutHandle>);
        Effect::new(move |_| {
            let inquiry = Inquiry::of(state, AskedFor::Load, DEFAULT_SEEDS);
            if let Some(handle) = pending.get_value() {
                handle.clear();
            }
            let Some(inquiry) = inquiry else { return };
            if load.asked.with_value(|asked| asked.as_ref() == Some(&inquiry)) {
                return;
            }
            // What is under way is of something else; what is shown stays until there is more.
            load.give_up();
            let begin = move || load.begin(inquiry);
            pending.set_value(set_timeout_with_handle(begin, PAUSE).ok());
        });
        load
    }

    fn give_up(self) {
        self.asked.set_value(None);
        self.wish.with_value(Wish::give_up);
    }

    /// Stops what is under way; what is known stays.
    pub(super) fn cancel(self) {
        self.wish.with_value(Wish::give_up);
        self.status.set(Status::Cancelled);
    }

    /// Asks again what was stopped or failed.
    pub(super) fn again(self) {
        if let Some(inquiry) = self.asked.get_value() {
            self.begin(inquiry);
        }
    }

    fn begin(self, inquiry: Inquiry) {
        let wish = Wish::default();
        self.asked.set_value(Some(inquiry.clone()));
        self.wish.set_value(wish.clone());
        if let Err(why) = inquiry.check() {
            return self.status.set(Status::Failed(why));
        }
        self.status.set(Status::Running);
        leptos::task::spawn_local(async move {
            let outcome = self.searched(&inquiry, &wish).await;
            // The view may be gone, and another question may have been asked.
            if wish.is_given_up() {
                return;
            }
            match outcome {
                Ok(found) => {
                    self.show(&inquiry, found);
                    self.status.set(Status::Idle);
                }
                Err(Stopped::Fault(why)) => self.status.set(Status::Failed(why)),
                Err(Stopped::GivenUp) => {}
            }
        });
    }

    async fn searched(self, inquiry: &Inquiry, wish: &Wish) -> Result<Found, Stopped> {
        let Inquiry { scenario, question, .. } = inquiry;
        let asked = inquiry.asked(scenario).await.map_err(Stopped::Fault)?;
        let (heard_of, heard_wish) = (inquiry.clone(), wish.clone());
        let heard = move |found: Found| {
            if !heard_wish.is_given_up() && found.answer.curve.len() > 1 {
                self.show(&heard_of, found);
            }
        };
        search(asked, *question, scenario.workload().seed(), wish, heard).await
    }

    fn show(self, inquiry: &Inquiry, found: Found) {
        if self.answered.with_untracked(|answered| answered.as_ref() != Some(inquiry)) {
            self.answered.set(Some(inquiry.clone()));
        }
        self.found.set(Some(Arc::new(found)));
    }
}
