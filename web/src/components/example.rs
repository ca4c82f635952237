//! On the first visit: that what is answered is an example.

use leptos::prelude::*;

use sim_core::scenario::AskedFor;

use super::live::When;
use crate::state::AppState;

/// That it is an example, and what to do about it, while `question` is asked.
#[component]
pub(crate) fn Example(question: AskedFor) -> impl IntoView {
    let state = expect_context::<AppState>();
    let is_shown = move || state.is_example.get() && state.asking.get().question == question;
    view! {
        <When when=Signal::derive(is_shown)>
            <p class="muted results-example" data-testid="example-line">
                <span class="chip">"Example data"</span>
                " Choose model and GPU, drop a config.json, or paste your "
                <code class="mono">"vllm serve"</code> " command."
            </p>
        </When>
    }
}
