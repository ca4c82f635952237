//! Answers found before on this device, to be opened again.

use leptos::prelude::*;
use sim_core::scenario::AskedFor;

use crate::components::live::{When, heard, live};
use crate::kept::{self, Kept};
use crate::state::AppState;

/// The list: one for all questions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recent(RwSignal<Vec<Kept>>);

impl Recent {
    /// As it is kept.
    pub(super) fn new() -> Self {
        let recent = Self(RwSignal::new(Vec::new()));
        recent.read();
        recent
    }

    fn read(self) {
        leptos::task::spawn_local(async move {
            // Where storage is forbidden, nothing is kept, and the page does without.
            if let Ok(kept) = kept::all().await {
                self.0.try_set(kept);
            }
        });
    }

    /// Keeps what is answered of the form as it stands, if that is still `question`.
    pub(super) fn keep(self, state: AppState, question: AskedFor, sentence: String) {
        if state.asking.get_untracked().question != question {
            return;
        }
        leptos::task::spawn_local(async move {
            if let Ok(link) = state.share().await
                && kept::keep(&link.fragment, &sentence).await.is_ok()
            {
                self.read();
            }
        });
    }

    fn forget(self) {
        leptos::task::spawn_local(async move {
            if kept::forget().await.is_ok() {
                self.read();
            }
        });
    }
}

/// The list, folded.
#[component]
pub(super) fn RecentAnswers() -> impl IntoView {
    let recent = expect_context::<Recent>();
    let has_any = Memo::new(move |_| recent.0.with(|kept| !kept.is_empty()));
    view! {
        <When when=Signal::derive(move || has_any.get())>
            <details class="card" data-testid="recent">
                <summary class="card-title">
                    <h3>"Recent answers"</h3>
                    <span class="muted card-aside">"kept in this browser, sent nowhere"</span>
                </summary>
                <div class="card-body">
                    <ol class="question-recent">
                        {live(move || recent.0.get().into_iter().map(|kept| view! {
                            <li>
                                <a href=kept.link>{kept.sentence}</a>
                                <time class="muted">{when(kept.at_ms)}</time>
                            </li>
                        }).collect_view())}
                    </ol>
                    <button type="button" class="btn" data-testid="recent-forget" on:click=heard(move |_| recent.forget())>
                        "Forget all"
                    </button>
                </div>
            </details>
        </When>
    }
}

/// Day and time, as this browser's user writes them.
fn when(at_ms: f64) -> String {
    let date = js_sys::Date::new(&at_ms.into());
    String::from(date.to_locale_string("default", &wasm_bindgen::JsValue::UNDEFINED))
}
