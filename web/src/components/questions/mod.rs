//! What the page is asked: one question at a time, each with its answer beside the form.

mod flags;
mod gpu;
mod inquiry;
mod lanes;
mod load;
mod options;
mod part;
mod recent;

use leptos::prelude::*;
use sim_core::scenario::{AskedFor, Asking};

use self::part::{flags, gpu, load};
use crate::components::live::{When, heard};
use crate::parts::{Coming, later_than_form};
use crate::state::AppState;

/// The question with which a visit opens that no link asks.
pub(crate) const FIRST: AskedFor = AskedFor::Load;

/// Questions in words, with what each answers.
const QUESTIONS: [(AskedFor, &str, &str); 4] = [
    (AskedFor::Load, "How much load?", "The most load at which the objectives are met, and what limits it"),
    (AskedFor::Flags, "Which flags?", "What one step of each flag would change"),
    (AskedFor::Gpu, "Which GPU?", "How much each GPU carries, and how many of them"),
    (AskedFor::WhatIf, "What if?", "Latencies and what happens inside the engine under one load"),
];

/// The id of the heading under which a question is answered.
pub(crate) const fn title_of(question: AskedFor) -> &'static str {
    match question {
        AskedFor::Load => "load-title",
        AskedFor::Flags => "flags-title",
        AskedFor::Gpu => "gpu-title",
        AskedFor::WhatIf => "results-title",
    }
}

/// The part that answers a question.
pub(crate) const fn part_of(question: AskedFor) -> &'static str {
    match question {
        AskedFor::Load => "questions",
        AskedFor::Flags | AskedFor::Gpu => "setups",
        AskedFor::WhatIf => "results",
    }
}

/// Chooses the question.
#[component]
pub(crate) fn QuestionBar() -> impl IntoView {
    let state = expect_context::<AppState>();
    view! {
        <nav class="questions" aria-label="Question" data-testid="questions">
            {QUESTIONS.map(|(question, words, about)| {
                let is_asked = move || state.asking.get().question == question;
                view! {
                    <button
                        type="button" class="question" title=about data-testid=format!("ask-{}", question.name())
                        aria-current=move || is_asked().then_some("page") on:click=heard(move |_| state.ask_about(question))
                    >
                        {words}
                    </button>
                }
            }).collect_view()}
        </nav>
    }
}

/// The answers that are not today's run, each from when it is asked for the first time.
#[component]
pub(crate) fn Questions() -> impl IntoView {
    view! {
        <Answer question=AskedFor::Load fetch=|| Box::pin(load())/>
        <Answer question=AskedFor::Flags fetch=|| Box::pin(flags())/>
        <Answer question=AskedFor::Gpu fetch=|| Box::pin(gpu())/>
    }
}

#[component]
fn Answer(question: AskedFor, fetch: fn() -> Coming) -> impl IntoView {
    let state = expect_context::<AppState>();
    let is_asked = Memo::new(move |_| state.asking.get().question == question);
    let was_asked = Memo::new(move |was: Option<&bool>| was == Some(&true) || is_asked.get());
    let meanwhile = || view! { <div class="skeleton-plot" aria-hidden="true"></div> }.into_any();
    view! {
        <section
            class="results" hidden=move || !is_asked.get() aria-labelledby=title_of(question)
            id=format!("answer-{}", question.name()) data-testid=format!("answer-{}", question.name())
        >
            <When when=Signal::derive(move || was_asked.get())>{later_than_form(fetch, meanwhile)}</When>
        </section>
    }
}

impl AppState {
    /// Asks another question about what stands in the form.
    fn ask_about(self, question: AskedFor) {
        let before = self.asking.get_untracked();
        if before.question != question {
            self.asking.set(Asking { question, ..before });
            // The example has an address as soon as something is asked of it.
            self.show_address();
        }
    }
}
