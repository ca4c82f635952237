//! The page as a whole: its state, its frame, and what `www/boot.js` is told of it. What follows from the form: `form.rs`.

use std::sync::Arc;

use leptos::mount::mount_to;
use leptos::prelude::*;
use sim_core::scenario::{AskedFor, Asking, Scenario};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{HtmlElement, Worker};

use crate::components::inputs::{DropLayer, Header, Notices, provide_theme};
use crate::components::questions::{FIRST, QuestionBar, Questions, title_of};
use crate::components::results::Results;
use crate::form::panels;
use crate::making::check_whole;
use crate::opening::first_question;
use crate::parts::FormThere;
use crate::recipe::Recipe;
use crate::run_range::stored_wish;
use crate::simulation::keep_module;
use crate::state::{AppState, Origin, RunState, Source, SourceSignal};
use crate::telling::{tell_answered, tell_asked};

/// Shows the page in the element `app`.
pub(crate) fn mount(module: JsValue, worker: Worker) {
    let document = web_sys::window().and_then(|window| window.document());
    let root = document.and_then(|document| document.get_element_by_id("app"));
    let Some(root) = root.and_then(|root| root.dyn_into::<HtmlElement>().ok()) else { return };
    root.set_inner_html("");
    mount_to(root, move || view! { <App module=module worker=worker/> }).forget();
}

impl AppState {
    /// A page on which nothing has happened.
    fn new() -> Self {
        let scenario = RwSignal::new(Scenario::default());
        let profile = RwSignal::new(None::<crate::state::ProfileChoice>);
        let dataset = RwSignal::new(None);
        let current = RwSignal::new(None::<crate::state::Run>);
        let source = SourceSignal::new();
        let (own_model, own_gpu) = (RwSignal::new(None), RwSignal::new(None));
        let recipe = Memo::new(move |_| scenario.with(|flags| Recipe::new(flags, own_model.get(), own_gpu.get())));
        let is_made = Memo::new(move |_| {
            profile.with(|choice| match (source.get(), choice.as_ref().map(|choice| &choice.origin)) {
                (Source::Form, Some(Origin::Composed(made))) => recipe.with(|recipe| recipe == &**made),
                (Source::Form, _) | (_, None) => false,
                (Source::Unset | Source::Whole, Some(_)) => true,
            })
        });
        let engine = Memo::new(move |before: Option<&Option<Result<_, String>>>| {
            // A profile that is not the form's says nothing of it: what was known before holds until there is one.
            if !is_made.get() {
                return before.cloned().flatten();
            }
            profile.with(|choice| {
                let choice = choice.as_ref()?;
                let is_whole = source.get() == Source::Whole;
                let engine = scenario.with(|scenario| {
                    let agrees = if is_whole { check_whole(scenario, &choice.profile) } else { Ok(()) };
                    agrees.and_then(|()| choice.resolve(scenario))
                });
                Some(engine.map(Arc::new))
            })
        });
        let is_stale = Memo::new(move |_| {
            current.with(|run| {
                let Some(run) = run else { return true };
                let needs_file = run.scenario.workload().dataset_name().needs_file();
                !is_made.get()
                    || scenario.with(|scenario| *scenario != run.scenario)
                    || profile.with(|profile| profile.as_ref() != Some(&run.profile))
                    || (needs_file && dataset.with(|dataset| *dataset != run.dataset))
            })
        });
        Self {
            asking: RwSignal::new(Asking { question: first_question(), ..Asking::default() }),
            scenario,
            set_aside: RwSignal::default(),
            profile,
            source,
            own_model,
            own_gpu,
            recipe,
            is_made,
            making: RwSignal::default(),
            num_loaded: RwSignal::new(0),
            dataset,
            gallery: RwSignal::default(),
            engine,
            run_state: RwSignal::new(RunState::Idle),
            current,
            range: RwSignal::new(None),
            range_wish: RwSignal::new(stored_wish()),
            is_stale,
            pinned: RwSignal::new(None),
            measured: RwSignal::new(None),
            is_example: RwSignal::new(false),
            rows: RwSignal::default(),
            gantt: RwSignal::new(None),
            notices: RwSignal::default(),
        }
    }
}

#[component]
fn App(module: JsValue, worker: Worker) -> impl IntoView {
    let state = AppState::new();
    provide_context(state);
    provide_context(FormThere(RwSignal::new(false)));
    provide_theme();
    keep_module(module, worker);
    tell_of_run(state);
    tell_of_asking(state);
    view! {
        <a class="skip-link" href=move || format!("#{}", title_of(state.asking.get().question))>"Skip to the results"</a>
        <Header/>
        <Notices/>
        <QuestionBar/>
        <main class="app-main" data-question=move || state.asking.get().question.name()>
            {panels()}
            <Results/>
            <Questions/>
        </main>
        <DropLayer/>
    }
}

/// Tells `www/boot.js` of the run, where that is what is asked for, and of a run or profile that fails; other questions tell it
/// themselves.
fn tell_of_run(state: AppState) {
    Effect::new(move |was_told: Option<bool>| {
        let is_asked = state.asking.with(|asking| asking.question == AskedFor::WhatIf);
        let is_range_awaited = state.shows_range() && state.range.with(Option::is_none);
        let has_run = state.current.with(Option::is_some);
        let is_answered = if has_run { is_asked && !is_range_awaited } else { state.is_answered() };
        if is_answered && was_told != Some(true) {
            tell_answered();
        }
        is_answered || was_told == Some(true)
    });
}

/// Tells it that something else is asked than a visit asks that says nothing.
fn tell_of_asking(state: AppState) {
    Effect::new(move |was_first: Option<bool>| {
        let first = Asking { question: FIRST, ..Asking::default() };
        // Before the form is there nothing is opened, and only the question can be another.
        let is_example = state.is_example.get() || state.source.get() == Source::Unset;
        let is_first = is_example && state.asking.with(|asking| *asking == first);
        if was_first == Some(true) && !is_first {
            tell_asked();
        }
        is_first
    });
}
