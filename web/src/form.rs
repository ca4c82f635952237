//! The form, and what follows from it: a part that comes right after the page's frame. That answers before it is there.

use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::*;

use crate::components::inputs::Cards;
use crate::files;
use crate::hearing::listen;
use crate::parts::{later, nothing, part};
use crate::state::{AppState, NoticeKind, RunState};
use crate::telling::tell_ready;

/// Pause after an edit before a run starts and the address changes.
const PAUSE: Duration = Duration::from_millis(150);

part! {
    /// What stands in the column of what is asked.
    fn form() -> fn() -> AnyView { || view! { <Form/> }.into_any() } in form
}

part! {
    /// What reads a file of the user's: its name and content.
    fn reading() -> fn(AppState, String, Vec<u8>) { AppState::ask_reader } in form
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
    let state = expect_context::<AppState>();
    if let Err(error) = state.connect() {
        state.run_state.set(RunState::Failed(format!("The worker cannot be used: {}", files::message(&error))));
    }
    follow_edits(state);
    state.follow_recipe();
    state.follow_fits();
    listen(state);
    leptos::task::spawn_local(state.open_first());
    let cards = view! { <Cards/> };
    // The cards are made in tasks of their own, which come before this one.
    set_timeout(tell_ready, Duration::ZERO);
    cards
}

impl AppState {
    /// Lets the reader see a file of the user's; what it is, its content says.
    pub(crate) async fn read(self, name: String, content: Vec<u8>) {
        match reading().await {
            Ok(ask_reader) => ask_reader(self, name, content),
            Err(missing) => self.notify(NoticeKind::Error, &format!("{name}: {missing}.")),
        }
    }
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
