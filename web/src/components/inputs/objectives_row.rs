//! The objectives: three numbers of milliseconds.

use leptos::prelude::*;

use super::field::Refill;
use super::objectives::Objective;
use crate::components::live::live;
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
                {errors.map(|error| live(move || error.get().map(|error| view! {
                    <p class="field-error" data-testid="error-goodput">{error}</p>
                }))).collect_view()}
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
    // The bound that was typed, as the form has it.
    let own = StoredValue::new(String::new());
    Effect::new(move |_| {
        let bound = bound.get();
        let is_refilled = refill.get() != seen.get_value();
        seen.set_value(refill.get_untracked());
        let is_typed = own.with_value(|own| *own == bound) && error.with_untracked(Option::is_none);
        if is_refilled || !is_typed {
            text.set(bound.clone());
            own.set_value(bound);
            error.set(None);
        }
    });
    let typed = move |event: leptos::ev::Event| {
        let value = event_target_value(&event);
        text.set(value.clone());
        state.edit(move |editing| {
            let fault = (editing.set_bound)(state, objective.key(), &value).err();
            own.try_set_value(state.scenario.with_untracked(|scenario| objective.bound(&scenario.report().goodput())));
            error.try_set(fault);
        });
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
