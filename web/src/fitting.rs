//! How many GPUs are enough: the composer tries each number that is offered.

use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::*;
use sim_core::scenario::Part;

use crate::composer::{Fit, Question};
use crate::recipe::Recipe;
use crate::state::{AppState, Source};

/// Numbers of GPUs that are offered.
pub(crate) const NUM_GPUS: [u32; 4] = [1, 2, 4, 8];

/// Pause after a change: the answer comes first, and others may follow.
const PAUSE: Duration = Duration::from_millis(400);

impl AppState {
    /// Finds out again whenever something changes that it depends on.
    pub(crate) fn follow_fits(self) {
        let engine = Memo::new(move |_| {
            let flags = |part| part == Part::Engine || part == Part::Model;
            self.scenario.with(|scenario| {
                let given = scenario.given().filter(|(flag, _)| flags(flag.part) && flag.name != "tensor-parallel-size");
                given.map(|(flag, value)| flag.written(value)).collect::<Vec<_>>()
            })
        });
        let pending = StoredValue::new(None::<TimeoutHandle>);
        Effect::new(move |before: Option<_>| {
            let (_, _, _) = (self.num_packs.track(), self.catalogue.track(), self.source.track());
            let now = (engine.get(), self.own_model.get(), self.own_gpu.get());
            if before.is_some_and(|before| before != now) {
                // What was known is of something else.
                self.fits.set(Arc::default());
            }
            if let Some(handle) = pending.get_value() {
                handle.clear();
            }
            pending.set_value(set_timeout_with_handle(move || self.ask_fit(0), PAUSE).ok());
            now
        });
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
            self.fits.update(|fits| {
                let fits = Arc::make_mut(fits);
                fits.retain(|other| other.num_gpus != fit.num_gpus);
                fits.push(fit);
                fits.sort_by_key(|fit| fit.num_gpus);
            });
            if let Some(next) = next {
                self.ask_fit(next);
            }
        }
    }
}
