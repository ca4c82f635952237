//! What holds for each field without its flag: one engine is found out for all of them.

use std::sync::Arc;

use leptos::prelude::*;
use sim_core::config::ResolvedEngine;
use sim_core::scenario::{Flag, Part, Scenario};

use crate::engine_values::{Told, default_of};
use crate::state::{AppState, ProfileChoice};

/// An engine, if vLLM would start one.
type Started = Memo<Option<Result<Arc<ResolvedEngine>, String>>>;

/// Engines that tell what holds. A context.
#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults {
    state: AppState,
    /// Of the form as it stands.
    as_given: Started,
    /// Of a form that gives nothing.
    bare: Started,
}

impl Defaults {
    pub(super) fn new(state: AppState) -> Self {
        let started = move |scenario: &Scenario| {
            state.profile.with(|choice| Some(choice.as_ref()?.resolve(scenario).map(Arc::new)))
        };
        Self {
            state,
            as_given: Memo::new(move |_| state.scenario.with(started)),
            bare: Memo::new(move |_| started(&Scenario::default())),
        }
    }

    /// What holds without `flag`.
    pub(super) fn of(self, flag: &Flag) -> Told {
        if flag.part != Part::Engine {
            return Told { value: flag.default.to_owned(), why: String::new() };
        }
        let state = self.state;
        let is_given = state.scenario.with(|scenario| scenario.value_of(flag.name).is_some());
        state.profile.with(|choice| {
            let Some(choice) = choice else { return Told::default() };
            let own = if is_given {
                // Only a flag that is given needs an engine of its own: that of the form without it.
                state.scenario.with(|scenario| default_of(flag.name, scenario, choice))
            } else {
                told_by(self.as_given, flag, choice)
            };
            // While vLLM would not start, what it has when nothing is given.
            own.or_else(|| told_by(self.bare, flag, choice)).unwrap_or_default()
        })
    }
}

fn told_by(engine: Started, flag: &Flag, choice: &ProfileChoice) -> Option<Told> {
    engine.with(|engine| Some(choice.told(flag.name, engine.as_ref()?.as_ref().ok()?)))
}
