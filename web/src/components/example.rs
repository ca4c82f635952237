//! On the first visit: that what is answered is an example.

use leptos::prelude::*;

use super::live::When;
use crate::state::AppState;

/// That it is an example, and what to do about it.
#[component]
pub(crate) fn Example() -> impl IntoView {
    let state = expect_context::<AppState>();
    view! {
        <When when=Signal::derive(move || state.is_example.get())>
            <p class="muted results-example" data-testid="example-line">
                <span class="chip">"Example data"</span>
                " Choose model and GPU, drop a config.json, or paste your "
                <code class="mono">"vllm serve"</code> " command."
            </p>
        </When>
    }
}
