//! How many GPUs are enough: the composer tries each number that is offered.

use std::cell::RefCell;
use std::time::Duration;

use leptos::prelude::*;
use sim_core::scenario::Part;

use crate::composer::{Fit, Question};
use crate::editing::edit_unasked;
use crate::recipe::Recipe;
use crate::state::{AppState, Source};

/// Numbers of GPUs that are offered.
pub(crate) const NUM_GPUS: [u32; 4] = [1, 2, 4, 8];

/// Pause after a change: the answer comes first, and others may follow.
const PAUSE: Duration = Duration::from_millis(400);

thread_local! {
    static FITS: RefCell<Vec<Fit>> = const { RefCell::new(Vec::new()) };
}

/// Which numbers of GPUs are enough, as far as that is known; [`AppState::num_loaded`] tells of more.
pub(crate) fn fits() -> Vec<Fit> {
    FITS.with_borrow(Clone::clone)
}

fn set_fits(fits: Vec<Fit>) {
    FITS.set(fits);
}

impl AppState {
    /// Finds out again whenever something changes that it depends on.
    pub(crate) fn follow_fits(self) {
        let pending = StoredValue::new(None::<TimeoutHandle>);
        Effect::new(move |before: Option<String>| {
            let (_, _) = (self.num_loaded.track(), self.source.get());
            let mut now = String::new();
            self.scenario.with(|scenario| {
                let is_of_engine = |part| part == Part::Engine || part == Part::Model;
                for (flag, value) in scenario.given().filter(|(flag, _)| is_of_engine(flag.part)) {
                    if flag.name != "tensor-parallel-size" {
                        now.push_str(&format!("{} {value}\n", flag.name));
                    }
                }
            });
            for own in [self.own_model, self.own_gpu] {
                own.with(|own| {
                    // Another file is another place in memory.
                    if let Some(own) = own {
                        now.push_str(&format!("{:p}\n", own.content));
                    }
                });
            }
            if before.as_ref() == Some(&now) && fits().len() == NUM_GPUS.len() {
                return now;
            }
            if before.is_some_and(|before| before != now) {
                // What was known is of something else.
                set_fits(Vec::new());
                self.tell_loaded();
            }
            if let Some(handle) = pending.get_value() {
                handle.clear();
            }
            pending.set_value(
                set_timeout_with_handle(move || edit_unasked(move |editing| (editing.ask_fits)(self)), PAUSE).ok(),
            );
            now
        });
    }

    /// Asks about the first number of which nothing is known.
    pub(crate) fn ask_fits(self) {
        if fits().len() < NUM_GPUS.len() {
            self.ask_fit(0);
        }
    }

    /// One number after another, so that a choice need not wait for all.
    fn ask_fit(self, place: usize) {
        let recipe = self.recipe.get_untracked();
        let is_known = self.source.get_untracked() == Source::Form && self.has_pack(&recipe);
        let Some(num_gpus) = NUM_GPUS.get(place).filter(|_| is_known) else { return };
        let Ok(Some(config)) = self.config_of(&recipe) else { return };
        let mut scenario = self.scenario.get_untracked();
        if scenario.set("tensor-parallel-size", Some(&num_gpus.to_string())).is_err() {
            return;
        }
        self.ask_composer(Question::Fit(*num_gpus, recipe, scenario.flags(), config));
    }

    /// The composer has tried a number of GPUs.
    pub(crate) fn hear_fit(self, recipe: &Recipe, fit: Fit) {
        let now = self.recipe.get_untracked();
        let next = NUM_GPUS.iter().position(|number| *number > fit.num_gpus);
        // How many it is has changed nothing of how many are enough.
        if now.is_but_for_number(recipe) {
            let mut known = fits();
            known.retain(|other| other.num_gpus != fit.num_gpus);
            known.push(fit);
            known.sort_by_key(|fit| fit.num_gpus);
            set_fits(known);
            self.tell_loaded();
            if let Some(next) = next {
                self.ask_fit(next);
            }
        }
    }
}
