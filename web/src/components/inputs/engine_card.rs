//! Engine: the arguments of `vllm serve`.

use leptos::prelude::*;
use sim_core::scenario::{FLAGS, Part};

use super::field::{Refill, fields_soon};
use super::fleet_flags::FLEET;
use super::follows::is_about_memory;
use super::panels::Card;
use crate::components::live::{When, live};
use crate::parts::{later, nothing, part};
use crate::state::{AppState, Source};

/// What is seen without asking.
const BASIC: [&str; 6] = [
    "max-num-seqs",
    "max-num-batched-tokens",
    "max-model-len",
    "gpu-memory-utilization",
    "enable-prefix-caching",
    "enable-chunked-prefill",
];

/// What is chosen with the model.
const ELSEWHERE: &str = "tensor-parallel-size";

/// The other engine arguments, in the order of [`FLAGS`].
fn rest() -> impl Iterator<Item = &'static str> {
    let has_field = |name| BASIC.contains(&name) || name == ELSEWHERE || FLEET.contains(&name);
    FLAGS.iter().filter(move |flag| flag.part == Part::Engine && !has_field(flag.name)).map(|flag| flag.name)
}

/// The card.
#[component]
pub(super) fn EngineCard() -> impl IntoView {
    let state = expect_context::<AppState>();
    // Those of the fleet are counted at its card.
    let is_own = |name: &str| !FLEET.contains(&name);
    let num_changed = Memo::new(move |_| {
        state.scenario.with(|scenario| {
            scenario.given().filter(|(flag, _)| flag.part == Part::Engine && is_own(flag.name)).count()
        })
    });
    let num_changed_rest = Memo::new(move |_| {
        state.scenario.with(|scenario| rest().filter(|name| scenario.value_of(name).is_some()).count())
    });
    let has_engine = Memo::new(move |_| state.engine.with(Option::is_some));
    let aside = move || view! { <Changed count=num_changed/> };
    view! {
        <Card title="Engine" testid="card-engine" aside>
            <When when=Signal::derive(move || has_engine.get())>{later(|| Box::pin(refusal()), nothing)}</When>
            {fields_soon(BASIC.into_iter())}
            <details class="more" data-testid="engine-more">
                <summary>"More engine arguments" <Changed count=num_changed_rest/></summary>
                <div class="settings">{fields_soon(rest())}</div>
            </details>
            <ResetAll part=Part::Engine count=num_changed/>
        </Card>
    }
}

/// How many flags are changed; nothing if none is.
#[component]
pub(super) fn Changed(count: Memo<usize>) -> impl IntoView {
    live(move || {
        let count = count.get();
        (count > 0).then(|| view! { <span class="chip chip-accent">{format!("{count} changed")}</span> })
    })
}

/// Takes everything of a part back.
#[component]
pub(super) fn ResetAll(part: Part, count: Memo<usize>) -> impl IntoView {
    let state = expect_context::<AppState>();
    let refill = expect_context::<Refill>();
    let testid = if part == Part::Engine { "reset-engine" } else { "reset-workload" };
    let reset = move |_| {
        state.edit(move |editing| {
            (editing.reset_part)(state, part);
            if part == Part::Workload {
                state.dataset.set(None);
                (editing.reset_part)(state, Part::Report);
            }
            refill.all();
        });
    };
    view! {
        <When when=Signal::derive(move || { count.get() > 0 })>
            <button type="button" class="btn btn-ghost reset-all" data-testid=testid on:click=reset>
                "Reset all to vLLM's defaults"
            </button>
        </When>
    }
}

part! {
    /// What is said of the engine: there is one when there is a profile.
    fn refusal() -> fn() -> AnyView { || view! { <Refusal/> }.into_any() } in profiles
}

/// Why vLLM would not start, or what it would warn of.
#[component]
fn Refusal() -> impl IntoView {
    let state = expect_context::<AppState>();
    let refusal = move || {
        let refusal = state.engine.with(|engine| engine.as_ref().and_then(|engine| engine.as_ref().err().cloned()));
        // That a model does not fit is told where it is chosen.
        refusal.filter(|refusal| state.source.get() != Source::Form || !is_about_memory(refusal))
    };
    let warnings = move || {
        state.engine.with(|engine| {
            let engine = engine.as_ref().and_then(|engine| engine.as_ref().ok());
            engine.map(|engine| engine.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap_or_default()
        })
    };
    view! {
        <div aria-live="polite" class="engine-said">
            {live(move || refusal().map(|refusal| view! {
                <p class="notice notice-error notice-text" data-testid="engine-refusal">{refusal}"."</p>
            }))}
            {live(move || warnings().into_iter().map(|warning| view! {
                <p class="notice notice-warn" data-testid="engine-warning">{warning}"."</p>
            }).collect_view())}
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_argument_has_a_field() {
        let num_flags = FLAGS.iter().filter(|flag| flag.part == Part::Engine).count();
        let num_of_fleet = FLAGS.iter().filter(|flag| flag.part == Part::Engine && FLEET.contains(&flag.name)).count();
        assert_eq!(BASIC.len() + rest().count() + 1 + num_of_fleet, num_flags, "a basic field is no engine argument");
    }
}
