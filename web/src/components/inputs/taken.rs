//! What came of a command: what it does not say and what is to be done with that, and all that was not taken.

use std::sync::Arc;

use leptos::prelude::*;

use crate::commands::{Since, Taken};
use crate::components::live::{When, live};
use crate::parts::part;
use crate::state::AppState;

part! {
    /// The details of what is in the context.
    pub(super) fn taken_details() -> fn() -> AnyView { details } in texts
}

fn details() -> AnyView {
    let taken = expect_context::<Arc<Taken>>();
    view! { <TakenDetails taken/> }.into_any()
}

/// Beneath the sentence that says it was taken. What can be done is offered until the form is changed otherwise.
#[component]
pub(super) fn TakenDetails(taken: Arc<Taken>) -> impl IntoView {
    let state = expect_context::<AppState>();
    let taken = StoredValue::new(taken);
    let since = Memo::new(move |_| state.scenario.with(|now| taken.with_value(|taken| taken.since(now))));
    let kept = taken.with_value(|taken| taken.kept.clone());
    let lines = taken.with_value(|taken| taken.lines.clone());
    let (has_kept, num_kept) = (!kept.is_empty(), kept.len());
    let set_back = move |_| taken.with_value(|taken| state.set_kept_back(taken));
    let undo = move |_| taken.with_value(|taken| state.undo_command(taken));
    let rest = if num_kept == 1 { "Set it back to vLLM's default" } else { "Set these back to vLLM's defaults" };
    let is_there = move || since.get() != Since::Undone;
    view! {
        <When when=Signal::derive(move || !is_there())>
            <p class="kept" data-testid="command-undone">"Undone: the form is as it was before."</p>
        </When>
        <When when=Signal::derive(move || has_kept && is_there())>
            <div class="kept" data-testid="kept-flags">
                <p>{live(move || if since.get() == Since::SetBack { "Set back to vLLM's defaults:" } else { "Kept, for the command does not say it:" })}</p>
                <ul class="kept-list">
                    {kept.iter().map(|flag| view! { <li class="mono">{flag.written.clone()}</li> }).collect_view()}
                </ul>
            </div>
        </When>
        <When when=Signal::derive(move || matches!(since.get(), Since::Taken | Since::SetBack))>
            <div class="taken-actions">
                <When when=Signal::derive(move || has_kept && since.get() == Since::Taken)>
                    <button type="button" class="btn" data-testid="set-kept-back" on:click=set_back>{rest}</button>
                </When>
                <button type="button" class="btn btn-ghost" data-testid="undo-command" on:click=undo>"Undo"</button>
            </div>
        </When>
        {(!lines.is_empty()).then(|| view! {
            <ul class="taken-lines" data-testid="taken-lines">
                {lines.into_iter().map(|line| view! { <li>{line}</li> }).collect_view()}
            </ul>
        })}
    }
}
