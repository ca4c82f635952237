//! What is answered: the verdict and what it rests on, numbers, plots, tables, comparisons.

mod compare;
mod compare_data;
pub(crate) mod definitions;
mod distribution;
mod distribution_band;
mod distribution_data;
mod how_sure;
mod measured;
mod more;
mod over_time;
pub(crate) mod parts;
mod passes;
mod passes_data;
mod replicas;
mod replicas_over_time;
mod report;
mod requests;
mod routers;
mod routers_ask;
#[cfg(test)]
mod sample;
mod sentences;
mod split;
mod tiles;
mod verdict;

use leptos::prelude::*;
use sim_core::scenario::AskedFor;

use self::compare::PinButton;
use self::distribution::{Choice, DistributionCard, TABS};
use self::more::{comparisons, more};
use self::parts::Shown;
use self::tiles::Tiles;
use self::verdict::{Provenance, VerdictCard};
use crate::components::example::Example;
use crate::components::live::{Soon, When};
use crate::hearing::is_typing;
use crate::parts::{later, later_than_form, nothing, part};
use crate::state::{AppState, RunState};

part! {
    /// What happens under one load.
    fn what_happens() -> fn() -> AnyView { answer } in results
}

/// Everything that answers what happens under one load, from when that is asked for the first time.
#[component]
pub(crate) fn Results() -> impl IntoView {
    let state = expect_context::<AppState>();
    let is_asked = Memo::new(move |_| state.asking.get().question == AskedFor::WhatIf);
    let was_asked = Memo::new(move |was: Option<&bool>| was == Some(&true) || is_asked.get());
    view! {
        <section class="results" aria-labelledby="results-title" data-testid="results" hidden=move || !is_asked.get()>
            <When when=Signal::derive(move || was_asked.get())>
                {later_than_form(|| Box::pin(what_happens()), || view! { <Skeleton/> }.into_any())}
            </When>
        </section>
    }
}

fn answer() -> AnyView {
    let state = expect_context::<AppState>();
    let shown = Shown::new(state);
    let choice = Choice::new();
    listen(state, choice);
    provide_context(shown);
    let is_compared = Memo::new(move |_| state.pinned.with(Option::is_some) || state.measured.with(Option::is_some));
    let has_answer = Memo::new(move |_| state.current.with(Option::is_some));
    let is_old = Memo::new(move |_| has_answer.get() && state.is_stale.get());
    view! {
        <div class="results-head">
            <h2 id="results-title" tabindex="-1">"Results"</h2>
            <Example question=AskedFor::WhatIf/>
            <div class="toolbar">
                <When when=Signal::derive(move || has_answer.get())><PinButton/></When>
            </div>
        </div>
        <Stale is_old/>
        <When when=Signal::derive(move || has_answer.get()) fallback=|| view! { <Skeleton/> }>
            <div class="results-body" class:results-old=move || is_old.get() data-testid="results-body">
                <section class="card" aria-label="Verdict">
                    <div class="card-body answer">
                        <VerdictCard shown/>
                        <Provenance shown/>
                    </div>
                </section>
                <Soon><Tiles shown/></Soon>
                <When when=Signal::derive(move || is_compared.get())>{later(|| Box::pin(comparisons()), nothing)}</When>
                <Soon><DistributionCard shown choice/></Soon>
                {later(|| Box::pin(more()), nothing)}
            </div>
        </When>
    }
    .into_any()
}

/// That the results are of other settings than those in the form.
#[component]
fn Stale(is_old: Memo<bool>) -> impl IntoView {
    let state = expect_context::<AppState>();
    let said = move || {
        state.run_state.with(|run| match run {
            RunState::Running { .. } => {
                "Settings changed: the new run is under way, these results are of the run before."
            }
            RunState::Failed(_) => {
                "Settings changed, but the new run could not be made: these results are of the run before."
            }
            RunState::Idle | RunState::Cancelled => "Settings changed, press Run: these results are of the run before.",
        })
    };
    view! {
        <div role="status" class="results-status">
            <When when=Signal::derive(move || is_old.get())>
                <p class="notice notice-warn" data-testid="stale-line">{said}</p>
            </When>
        </div>
    }
}

/// What is seen before the first answer.
#[component]
fn Skeleton() -> impl IntoView {
    let state = expect_context::<AppState>();
    let said = move || {
        state.run_state.with(|run| match run {
            RunState::Failed(_) => {
                "No results: the run could not be made. What is wrong is said beside the Run button."
            }
            RunState::Cancelled => "No results: the run was cancelled.",
            RunState::Idle | RunState::Running { .. } => "Simulating…",
        })
    };
    let is_waiting = move || state.run_state.with(|run| matches!(run, RunState::Idle | RunState::Running { .. }));
    view! {
        <section class="card" aria-label="Results to come" data-testid="results-skeleton">
            <div class="card-body">
                <p class:skeleton-status=is_waiting role="status">{said}</p>
                <When when=Signal::derive(is_waiting)>
                    <div class="skeleton-tiles" aria-hidden="true">
                        {[(); 6].map(|()| view! { <i class="skeleton-tile"></i> }).collect_view()}
                    </div>
                    <div class="skeleton-plot" aria-hidden="true"></div>
                </When>
            </div>
        </section>
    }
}

/// Keys: 1 to 4 choose the latency, l the axis, c pins. Off while typing.
fn listen(state: AppState, choice: Choice) {
    let keys = window_event_listener(leptos::ev::keydown, move |event| {
        if event.ctrl_key() || event.alt_key() || event.meta_key() || event.default_prevented() || is_typing(&event) {
            return;
        }
        if state.current.with_untracked(Option::is_none) {
            return;
        }
        match event.key().as_str() {
            "l" => choice.toggle_log(),
            "c" => state.pin(),
            key => {
                let place = key.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
                if let Some(place) = place.filter(|place| *place < TABS.len()) {
                    choice.show(place);
                }
            }
        }
    });
    on_cleanup(move || keys.remove());
}
