//! Which flags: the capacity of the setup in the form and of each of its neighbours, one flag one step away.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::*;
use sim_core::answers::flags::{Change, Step, steps};
use sim_core::scenario::{AskedFor, Scenario};

use crate::components::questions::inquiry::{Inquiry, Status};
use crate::components::questions::lanes::lanes;
use crate::files::now_ms;
use crate::pool::{Stopped, Wish};
use crate::searching::{Found, search};
use crate::state::AppState;

/// Pause after an edit: others may follow.
const PAUSE: Duration = Duration::from_millis(300);

/// Runs at each load, unless somebody says otherwise: neighbours are compared over the same seeds, so two tell them apart.
pub(super) const FEW_SEEDS: u32 = 2;

/// A step and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) step: Arc<Step>,
    /// `None` until it is known; else what is carried, or why it cannot be run.
    pub(super) carried: Option<Result<Option<f64>, String>>,
}

/// The question, its answer, and what is under way. A handle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flags {
    /// What the setup itself carries, once that is known.
    pub(super) base: RwSignal<Option<Arc<Found>>>,
    /// In the order in which they are tried.
    pub(super) rows: RwSignal<Vec<Row>>,
    pub(super) status: RwSignal<Status>,
    /// How long the answer took, in milliseconds.
    pub(super) wall_ms: RwSignal<f64>,
    asked: StoredValue<Option<Inquiry>>,
    wish: StoredValue<Wish, LocalStorage>,
}

impl Flags {
    /// Nothing is asked yet; from now on it follows the form.
    pub(super) fn new(state: AppState) -> Self {
        let flags = Self {
            base: RwSignal::new(None),
            rows: RwSignal::new(Vec::new()),
            status: RwSignal::new(Status::Idle),
            wall_ms: RwSignal::new(0.0),
            asked: StoredValue::new(None),
            wish: StoredValue::new_local(Wish::default()),
        };
        let pending = StoredValue::new(None::<TimeoutHandle>);
        Effect::new(move |_| {
            let inquiry = Inquiry::of(state, AskedFor::Flags, FEW_SEEDS);
            if let Some(handle) = pending.get_value() {
                handle.clear();
            }
            let Some(inquiry) = inquiry else { return };
            if flags.asked.with_value(|asked| asked.as_ref() == Some(&inquiry)) {
                return;
            }
            flags.asked.set_value(None);
            flags.wish.with_value(Wish::give_up);
            let begin = move || flags.begin(inquiry);
            pending.set_value(set_timeout_with_handle(begin, PAUSE).ok());
        });
        flags
    }

    /// What `carried` of the setup itself a row is compared with.
    pub(super) fn effect(self, row: &Row) -> Option<Change> {
        let before =
            self.base.with(|base| base.as_ref().filter(|base| base.is_over).map(|base| base.answer.capacity))?;
        row.carried.as_ref()?.as_ref().ok().map(|after| Change::new(before, *after))
    }

    /// Stops what is under way; what is known stays.
    pub(super) fn cancel(self) {
        self.wish.with_value(Wish::give_up);
        self.status.set(Status::Cancelled);
    }

    /// Asks again what was stopped.
    pub(super) fn again(self) {
        if let Some(inquiry) = self.asked.get_value() {
            self.begin(inquiry);
        }
    }

    fn begin(self, inquiry: Inquiry) {
        let wish = Wish::default();
        self.asked.set_value(Some(inquiry.clone()));
        self.wish.set_value(wish.clone());
        let steps = match inquiry.check() {
            Ok(()) => steps(&inquiry.scenario, &inquiry.profile.profile).map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        let steps = match steps {
            Ok(steps) => steps,
            Err(why) => return self.status.set(Status::Failed(why)),
        };
        self.base.set(None);
        let row = |step: Step| {
            let carried = step.refused.clone().map(Err);
            Row { step: Arc::new(step), carried }
        };
        let rows: Vec<Row> = steps.into_iter().map(row).collect();
        self.rows.set(rows.clone());
        self.status.set(Status::Running);
        let began_ms = now_ms();
        let work = {
            let (inquiry, wish) = (Rc::new(inquiry), wish.clone());
            move |place: usize| {
                let (inquiry, wish) = (inquiry.clone(), wish.clone());
                let step = place.checked_sub(1).and_then(|place| rows.get(place)).map(|row| row.step.clone());
                async move { self.tried(&inquiry, place, step.as_deref(), &wish).await }
            }
        };
        let count = self.rows.with_untracked(Vec::len) + 1;
        lanes(count, &wish, work, move || {
            self.wall_ms.set(now_ms() - began_ms);
            if self.status.get_untracked() == Status::Running {
                self.status.set(Status::Idle);
            }
        });
    }

    /// Searches the capacity of the setup itself, at place 0, or with a step.
    async fn tried(self, inquiry: &Inquiry, place: usize, step: Option<&Step>, wish: &Wish) {
        if step.is_some_and(|step| step.refused.is_some()) {
            return;
        }
        let scenario = step.map_or(&inquiry.scenario, |step| &step.scenario);
        let outcome = Self::searched(inquiry, scenario, wish).await;
        if wish.is_given_up() {
            return;
        }
        match (place.checked_sub(1), outcome) {
            (_, Err(Stopped::GivenUp)) => {}
            (None, Ok(found)) => self.base.set(Some(Arc::new(found))),
            (None, Err(Stopped::Fault(why))) => {
                wish.give_up();
                self.status.set(Status::Failed(why));
            }
            (Some(place), outcome) => {
                let carried = match outcome {
                    Ok(found) => Ok(found.answer.capacity),
                    Err(Stopped::Fault(why)) => Err(why),
                    Err(Stopped::GivenUp) => return,
                };
                self.rows.update(|rows| {
                    if let Some(row) = rows.get_mut(place) {
                        row.carried = Some(carried);
                    }
                });
            }
        }
    }

    async fn searched(inquiry: &Inquiry, scenario: &Scenario, wish: &Wish) -> Result<Found, Stopped> {
        let asked = inquiry.asked(scenario).await.map_err(Stopped::Fault)?;
        search(asked, inquiry.question, scenario.workload().seed(), wish, |_| {}).await
    }
}
