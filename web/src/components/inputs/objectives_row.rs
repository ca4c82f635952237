//! The objectives: three numbers of milliseconds.

use leptos::prelude::*;

use super::field::Refill;
use super::objectives::{Objective, with_bound};
use crate::state::AppState;

/// The row with its explanation.
#[component]
pub(super) fn ObjectivesRow() -> impl IntoView {
    let errors = Objective::ALL.map(|_| RwSignal::new(None::<String>));
    view! {
        <fieldset class="objectives" data-testid="objectives">
            <legend class="field-label">
                <span>"Objectives (SLO), ms"</span>
                <span class="field-flag">"--goodput"</span>
            </legend>
            <div class="objectives-row">
                {Objective::ALL.into_iter().zip(errors).map(|(objective, error)| view! { <Bound objective error/> }).collect_view()}
            </div>
            <p class="field-help" id="objectives-help">
                "A request counts as good if it meets every bound that is given: the same request TTFT and TPOT both."
            </p>
            <div aria-live="polite">
                {errors.map(|error| move || error.get().map(|error| view! {
                    <p class="field-error" data-testid="error-goodput">{error}</p>
                })).collect_view()}
            </div>
        </fieldset>
    }
}

#[component]
fn Bound(objective: Objective, error: RwSignal<Option<String>>) -> impl IntoView {
    let state = expect_context::<AppState>();
    let Refill(refill) = expect_context();
    let text = RwSignal::new(String::new());
    let bound = Memo::new(move |_| state.scenario.with(|scenario| objective.bound(&scenario.report().goodput())));
    let seen = StoredValue::new(0_u32);
    Effect::new(move |_| {
        let bound = bound.get();
        let is_refilled = refill.get() != seen.get_value();
        seen.set_value(refill.get_untracked());
        let reads_same = text.with_untracked(|text| text.trim().parse::<f64>().ok() == bound.parse::<f64>().ok());
        if is_refilled || !reads_same {
            text.set(bound);
            error.set(None);
        }
    });
    let typed = move |event: leptos::ev::Event| {
        let value = event_target_value(&event);
        text.set(value.clone());
        let goodput = state.scenario.with_untracked(|scenario| scenario.report().goodput());
        error.set(with_bound(&goodput, objective, &value).and_then(|flag| state.set_flag("goodput", &flag)).err());
    };
    let id = format!("objective-{}", objective.key());
    view! {
        <div class="field">
            <label class="field-label" for=id.clone()>{objective.name()}</label>
            <input
                type="text" id=id.clone() data-testid=id inputmode="decimal" autocomplete="off" placeholder="none"
                prop:value=text aria-describedby="objectives-help"
                aria-invalid=move || error.with(Option::is_some).then_some("true") on:input=typed
            />
        </div>
    }
}
