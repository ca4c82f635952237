//! The form as commands, which can be edited, pasted over and copied.

use std::sync::Arc;

use leptos::prelude::*;
use sim_core::scenario::command::Program;

use super::dialog::CopyButton;
use super::field::{Refill, focus};
use super::icons::{CLOSE, Icon};
use super::panels::Card;
use super::taken::TakenDetails;
use crate::commands::{Since, Taken};
use crate::components::live::{When, heard};
use crate::parts::part;
use crate::state::AppState;

/// Programs in the order of the tabs: the test's name, the name.
const TABS: [(Program, &str, &str); 3] = [
    (Program::Serve, "command-tab-serve", "vllm serve"),
    (Program::BenchServe, "command-tab-bench", "vllm bench serve"),
    (Program::Simulate, "command-tab-simulate", "profiler simulate"),
];

/// What came of applying a command.
#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    None,
    /// What was.
    Taken(Arc<Taken>),
    /// One fault a line.
    Refused(String),
}

/// What the tabs and the text share.
#[derive(Debug, Clone, Copy)]
struct BoxState {
    /// The tab.
    place: RwSignal<usize>,
    /// What was written and not applied yet, by tab.
    drafts: RwSignal<[Option<String>; 3]>,
    outcome: RwSignal<Outcome>,
}

impl BoxState {
    fn draft(self) -> Option<String> {
        self.drafts.with(|drafts| drafts.get(self.place.get()).cloned().flatten())
    }

    fn set_draft(self, text: Option<String>) {
        let place = self.place.get_untracked();
        self.drafts.update(|drafts| {
            if let Some(draft) = drafts.get_mut(place) {
                *draft = text;
            }
        });
    }

    fn text(self, state: AppState) -> String {
        let program = TABS.get(self.place.get()).map_or(Program::Simulate, |tab| tab.0);
        self.draft().unwrap_or_else(|| state.command_text(program))
    }

    fn apply(self, state: AppState, refill: Refill) {
        let Some(draft) = untrack(|| self.draft()) else { return };
        leptos::task::spawn_local(async move {
            match state.apply_command(&draft).await {
                Ok(taken) => {
                    self.set_draft(None);
                    self.outcome.set(Outcome::Taken(taken));
                    refill.all();
                }
                Err(fault) => self.outcome.set(Outcome::Refused(fault)),
            }
        });
    }
}

part! {
    /// The card.
    pub(super) fn command_box() -> fn() -> AnyView { || view! { <CommandBox/> }.into_any() } in more
}

#[component]
fn CommandBox() -> impl IntoView {
    let inner = BoxState {
        place: RwSignal::new(0),
        drafts: RwSignal::new([None, None, None]),
        outcome: RwSignal::new(Outcome::None),
    };
    // What was told of a command does not outlive the form that it made.
    let state = expect_context::<AppState>();
    Effect::new(move |_| {
        let now = state.scenario.get();
        let is_past = |outcome: &Outcome| matches!(outcome, Outcome::Taken(then) if then.since(&now) == Since::Changed);
        let is_past = inner.outcome.with(is_past);
        if is_past {
            inner.outcome.set(Outcome::None);
        }
    });
    view! {
        <Card title="Commands" testid="card-command">
            <Tabs inner/>
            <Text inner/>
            <Said inner/>
            <SetAsideList/>
        </Card>
    }
}

/// One tab at a time takes the focus; arrow keys go to the others.
#[component]
fn Tabs(inner: BoxState) -> impl IntoView {
    let place = inner.place;
    let show = move |to: usize| {
        place.set(to);
        inner.outcome.set(Outcome::None);
        if let Some((_, testid, _)) = TABS.get(to) {
            focus(testid);
        }
    };
    let on_keydown = move |event: leptos::ev::KeyboardEvent| {
        let now = place.get_untracked();
        let to = match event.key().as_str() {
            "ArrowRight" => (now + 1) % TABS.len(),
            "ArrowLeft" => (now + TABS.len() - 1) % TABS.len(),
            "Home" => 0,
            "End" => TABS.len() - 1,
            _ => return,
        };
        event.prevent_default();
        show(to);
    };
    view! {
        <div class="tabs command-tabs" role="tablist" aria-label="Commands" on:keydown=on_keydown>
            {TABS.iter().enumerate().map(|(tab, (_, testid, name))| {
                let is_shown = move || place.get() == tab;
                view! {
                    <button
                        type="button" class="tab" role="tab" id=*testid data-testid=*testid aria-controls="command-panel"
                        aria-selected=move || if is_shown() { "true" } else { "false" }
                        tabindex=move || if is_shown() { "0" } else { "-1" } on:click=heard(move |_| show(tab))
                    >
                        {*name}
                    </button>
                }
            }).collect_view()}
        </div>
    }
}

#[component]
fn Text(inner: BoxState) -> impl IntoView {
    let state = expect_context::<AppState>();
    let refill = expect_context::<Refill>();
    let is_draft = Memo::new(move |_| inner.draft().is_some());
    let text = Memo::new(move |_| inner.text(state));
    let num_rows = move || text.with(|text| text.lines().count().clamp(2, 14)).to_string();
    let typed = move |event: leptos::ev::Event| {
        inner.outcome.set(Outcome::None);
        inner.set_draft(Some(event_target_value(&event)));
    };
    let on_keydown = move |event: leptos::ev::KeyboardEvent| {
        if event.key() == "Enter" && (event.ctrl_key() || event.meta_key()) && is_draft.get_untracked() {
            // Not the page's Run: an edit may have started one already.
            event.prevent_default();
            event.stop_propagation();
            inner.apply(state, refill);
        }
    };
    let discard = move |_| {
        inner.set_draft(None);
        inner.outcome.set(Outcome::None);
        focus("command-text");
    };
    let apply = move |_| {
        inner.apply(state, refill);
        focus("command-text");
    };
    let labelled_by = move || TABS.get(inner.place.get()).map_or("", |tab| tab.1);
    view! {
        <div id="command-panel" role="tabpanel" aria-labelledby=labelled_by class="command-panel">
            <div class="field">
                <textarea
                    id="command-text" data-testid="command-text" class="command-text" rows=num_rows spellcheck="false"
                    autocapitalize="off" autocomplete="off" aria-label="Command, can be edited" aria-describedby="command-help"
                    wrap="off" prop:value=text on:input=typed on:keydown=on_keydown
                    aria-invalid=move || inner.outcome.with(|o| matches!(o, Outcome::Refused(_))).then_some("true")
                ></textarea>
                <p class="field-help" id="command-help">
                    "Follows the form. Edit it or paste your own, then apply: several commands at once are fine."
                </p>
            </div>
            <div class="toolbar">
                <button
                    type="button" class=move || if is_draft.get() { "btn btn-primary" } else { "btn" }
                    data-testid="command-apply" disabled=move || !is_draft.get() on:click=apply
                >
                    "Apply"
                </button>
                <When when=Signal::derive(move || is_draft.get())>
                    <button type="button" class="btn btn-ghost" data-testid="command-discard" on:click=discard>"Discard"</button>
                </When>
                <CopyButton text=move |()| text.get_untracked() label="Copy" testid="command-copy"/>
            </div>
        </div>
    }
}

/// What came of it.
#[component]
fn Said(inner: BoxState) -> impl IntoView {
    let said = move || {
        match inner.outcome.get() {
        Outcome::None => None,
        Outcome::Taken(taken) => Some(
            view! {
                <div class="notice" data-testid="command-taken">
                    <span>{taken.lead.clone()}</span>
                    <TakenDetails taken/>
                </div>
            }
            .into_any(),
        ),
        Outcome::Refused(fault) => Some(
            view! {
                <div class="notice notice-error" data-testid="command-refused">
                    <strong>"Nothing was changed."</strong>
                    <ul class="help-list">{fault.lines().map(|line| view! { <li>{line.to_owned()}</li> }).collect_view()}</ul>
                </div>
            }
            .into_any(),
        ),
    }
    };
    view! { <div aria-live="polite" class="command-said">{said}</div> }
}

/// Flags that were given and change nothing here: kept in the command, told with their reasons.
#[component]
fn SetAsideList() -> impl IntoView {
    let state = expect_context::<AppState>();
    view! {
        <When when=Signal::derive(move || state.set_aside.with(|flags| !flags.is_empty()))>
            <div class="set-aside" data-testid="set-aside">
                <h3 class="field-label">"Kept in the command, without effect here"</h3>
                <ul class="strays">
                    <For each=move || state.set_aside.get() key=|flag| format!("{}{:?}{:?}", flag.flag, flag.value, flag.program) let:flag>
                        {
                            let (name, value) = (flag.flag.clone(), flag.value.clone().unwrap_or_default());
                            view! {
                                <li>
                                    <span>
                                        <span class="mono">{format!("{name} {value}")}</span>
                                        <span class="muted">" "{flag.why}</span>
                                    </span>
                                    <button
                                        type="button" class="btn btn-ghost btn-icon" aria-label=format!("Remove {name}")
                                        data-testid="set-aside-remove"
                                        on:click=heard(move |_| state.set_aside.update(|flags| flags.retain(|other| *other != flag)))
                                    >
                                        <Icon shape=CLOSE/>
                                    </button>
                                </li>
                            }
                        }
                    </For>
                </ul>
            </div>
        </When>
    }
}
