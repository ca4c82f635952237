//! The same requests by every router: the runs, over a pool of workers.

use std::rc::Rc;

use leptos::prelude::*;
use sim_core::answers::capacity::LoadKind;
use sim_core::fleet::router::Policy;
use sim_core::math;
use sim_core::scenario::Scenario;

use crate::fleet_answer::RouterRow;
use crate::pool::{Setup, Stopped, Wish, tried};
use crate::protocol::{Asked, RunInput, Tried, Trying};
use crate::simulation::last_input;
use crate::state::{AppState, ProfileChoice};

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    /// Nobody asked, or it is done.
    Idle,
    /// Runs are made.
    Running,
    /// The user stopped it.
    Cancelled,
    /// It cannot be done: why.
    Failed(String),
}

/// What rows are of: a run, whichever router it had.
#[derive(Debug, Clone, PartialEq)]
struct Of {
    scenario: Scenario,
    profile: ProfileChoice,
}

/// The comparison. A handle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comparison {
    /// One for each router, in the order of [`Policy::ALL`]; empty until they are there.
    pub(super) rows: RwSignal<Vec<RouterRow>>,
    pub(super) status: RwSignal<Status>,
    /// Runs that are done.
    pub(super) num_done: RwSignal<u32>,
    of: StoredValue<Option<Of>>,
    wish: StoredValue<Wish, LocalStorage>,
}

impl Comparison {
    /// Nothing is asked; what was found out goes with the run that it was of.
    pub(super) fn new(state: AppState) -> Self {
        let comparison = Self {
            rows: RwSignal::new(Vec::new()),
            status: RwSignal::new(Status::Idle),
            num_done: RwSignal::new(0),
            of: StoredValue::new(None),
            wish: StoredValue::new_local(Wish::default()),
        };
        Effect::new(move |_| {
            let now = of_run(state);
            if comparison.of.with_value(|of| of.is_some() && *of != now) {
                comparison.forget();
            }
        });
        // Nobody sees it any longer.
        on_cleanup(move || comparison.wish.try_with_value(Wish::give_up).unwrap_or_default());
        comparison
    }

    fn forget(self) {
        self.wish.with_value(Wish::give_up);
        self.of.set_value(None);
        self.rows.set(Vec::new());
        self.status.set(Status::Idle);
    }

    /// Stops what is under way.
    pub(super) fn cancel(self) {
        self.wish.with_value(Wish::give_up);
        self.status.set(Status::Cancelled);
    }

    /// Asks it of the run that is shown.
    pub(super) fn ask(self, state: AppState) {
        let (Some(of), Some(input)) = (untrack(|| of_run(state)), last_input()) else { return };
        let wish = Wish::default();
        self.wish.with_value(Wish::give_up);
        self.wish.set_value(wish.clone());
        self.of.set_value(Some(of));
        self.num_done.set(0);
        self.rows.set(Vec::new());
        self.status.set(Status::Running);
        leptos::task::spawn_local(async move { self.run(input, &wish).await });
    }

    async fn run(self, input: RunInput, wish: &Wish) {
        // Nothing is varied but the router.
        let setup = Setup::new(move || Asked { input: input.clone(), kind: LoadKind::Rate });
        let runs: Vec<Trying> =
            (0..math::usize_to_u32(Policy::ALL.len())).map(|place| Trying::Router { place }).collect();
        let heard = move |_: &Tried| self.num_done.update(|count| *count += 1);
        match tried(&setup, &runs, wish, Rc::new(heard)).await {
            Ok(found) => {
                let row = |tried| match tried {
                    Tried::Routed(row) => Some(*row),
                    Tried::Saturated(_) | Tried::Trial(_) => None,
                };
                self.rows.set(found.into_iter().filter_map(row).collect());
                self.status.set(Status::Idle);
            }
            Err(Stopped::Fault(why)) => self.status.set(Status::Failed(why)),
            Err(Stopped::GivenUp) => {}
        }
    }
}

/// The run that is shown, but for its router. Followed.
fn of_run(state: AppState) -> Option<Of> {
    state.current.with(|run| {
        let run = run.as_ref()?;
        let mut scenario = run.scenario.clone();
        scenario.unset("router");
        Some(Of { scenario, profile: run.profile.clone() })
    })
}
