//! What stands in the column of what is asked.

use leptos::prelude::*;

use super::command_box::command_box;
use super::defaults::Defaults;
use super::engine_card::EngineCard;
use super::faults::Faults;
use super::field::Refill;
use super::fleet_card::fleet_card;
use super::model_card::ModelCard;
use super::run_bar::RunBar;
use super::workload_card::WorkloadCard;
use crate::components::live::{Soon, When, live};
use crate::parts::{later, nothing};
use crate::state::AppState;

/// Below this width the cards are closed at first and the results stand above them: the same as in `base.css`.
const IS_WIDE: &str = "(min-width: 900px)";

/// Whether there is room for open cards.
fn is_wide() -> bool {
    window().match_media(IS_WIDE).ok().flatten().is_none_or(|query| query.matches())
}

/// Model, engine, workload, commands, and what starts a run.
#[component]
pub(crate) fn Cards() -> impl IntoView {
    provide_context(Refill(RwSignal::new(0)));
    let state = expect_context::<AppState>();
    provide_context(Faults::new(state));
    provide_context(Defaults::new(state));
    let is_answered = Memo::new(move |was: Option<&bool>| was == Some(&true) || state.is_answered());
    view! {
        <Soon><ModelCard/></Soon>
        <Soon><EngineCard/></Soon>
        <Soon><WorkloadCard/></Soon>
        // Seldom the first that are looked at: they let the answer come first.
        <When when=Signal::derive(move || is_answered.get())>{later(|| Box::pin(fleet_card()), nothing)}</When>
        <When when=Signal::derive(move || is_answered.get())>{later(|| Box::pin(command_box()), nothing)}</When>
        <RunBar/>
    }
}

/// A card that folds.
#[component]
pub(super) fn Card(
    title: &'static str,
    /// The test's name for it.
    testid: &'static str,
    /// Stands at the right of the title.
    #[prop(optional, into)]
    aside: ViewFn,
    children: Children,
) -> impl IntoView {
    view! {
        <details class="card panel" open=is_wide() data-testid=testid>
            <summary class="card-title">
                <h2 class="panel-title">{title}</h2>
                {live(move || aside.run())}
            </summary>
            <div class="card-body">{children()}</div>
        </details>
    }
}
