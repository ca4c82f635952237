//! The form, and what follows from it: a part that comes right after the page's frame. That answers before it is there.

use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::*;

use crate::components::inputs::Cards;
use crate::components::live::at_last;
use crate::hearing::listen;
use crate::parts::{FormThere, later, nothing, part};
use crate::state::AppState;
use crate::telling::tell_ready;

/// Pause after an edit before a run starts and the address changes.
const PAUSE: Duration = Duration::from_millis(150);

part! {
    /// What stands in the column of what is asked.
    fn form() -> fn() -> AnyView { || view! { <Form/> }.into_any() } in form
}

/// The column of what is asked. `www/boot.js` lets what stands in `index.html` stay in its place until it is there.
pub(crate) fn panels() -> AnyView {
    view! {
        <div class="panels" id="settings" role="group" aria-label="Settings" data-testid="panels">
            {later(|| Box::pin(form()), nothing)}
        </div>
    }
    .into_any()
}

#[component]
fn Form() -> impl IntoView {
    let (state, FormThere(is_there)) = (expect_context::<AppState>(), expect_context());
    is_there.set(true);
    follow_edits(state);
    state.follow_recipe();
    state.follow_fits();
    listen(state);
    leptos::task::spawn_local(state.open_first());
    let cards = view! { <Cards/> };
    // Cards and fields are made in tasks of their own.
    at_last(tell_ready);
    cards
}

/// A change of the form starts a run and changes the address, after a pause in which others may follow.
fn follow_edits(state: AppState) {
    let pending = StoredValue::new(None::<TimeoutHandle>);
    Effect::new(move |before: Option<Option<Arc<Vec<u8>>>>| {
        let (_, _, _) = (state.scenario.track(), state.dataset.track(), state.is_made.track());
        state.asking.track();
        let file = state.profile.with(|choice| choice.as_ref().map(|choice| choice.file.clone()));
        file.as_ref()?;
        if let Some(handle) = pending.get_value() {
            handle.clear();
        }
        // A choice is no text that goes on: the run of another profile waits for nothing.
        let is_same = before.flatten() == file;
        let pause = if is_same { PAUSE } else { Duration::ZERO };
        let handle = set_timeout_with_handle(
            move || {
                state.run_if_quick();
                if !state.is_example.get_untracked() {
                    state.show_address();
                }
            },
            pause,
        );
        pending.set_value(handle.ok());
        file
    });
}
