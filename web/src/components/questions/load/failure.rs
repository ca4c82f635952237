//! Why there is no answer, and the button that asks what can be answered.

use leptos::prelude::*;

use super::ask::Load;
use crate::components::live::live;
use crate::components::questions::inquiry::{NEED_SESSIONS, Status};
use crate::state::AppState;

/// A flag that makes an answer possible: what the button says, its name for tests, the flag and its value.
type Cure = (&'static str, &'static str, &'static str, &'static str);

/// For requests that come at times of their own.
const AT_A_RATE: Cure = ("Send them at a rate", "load-at-a-rate", "self-timed", "false");
/// For users who have nothing to read.
const WITH_SESSIONS: Cure = ("Count them over conversations", "load-with-sessions", "dataset-name", "sessions");

fn cure(why: &str) -> Option<Cure> {
    if why == NEED_SESSIONS { Some(WITH_SESSIONS) } else { why.contains("--no-self-timed").then_some(AT_A_RATE) }
}

/// Why there is no answer.
#[component]
pub(super) fn Failure(load: Load) -> impl IntoView {
    let state = expect_context::<AppState>();
    let why = move || match load.status.get() {
        Status::Failed(why) => Some(why),
        _ => None,
    };
    let apply = move |flag, value| {
        if let Err(error) = state.set_flag(flag, value) {
            load.status.set(Status::Failed(error));
        }
    };
    view! {
        <div role="alert">
            {live(move || why().map(|why| {
                let cure = cure(&why);
                view! {
                    <div class="notice notice-error" data-testid="load-failure">
                        <span>{why}</span>
                        {cure.map(|(words, testid, flag, value)| view! {
                            <button type="button" class="btn" data-testid=testid on:click=move |_| apply(flag, value)>
                                {words}
                            </button>
                        })}
                    </div>
                }
            }))}
        </div>
    }
}
