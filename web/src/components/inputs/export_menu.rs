//! The last run as files.

use leptos::html::Details;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::icons::{Icon, SAVE};
use crate::components::live::heard;
use crate::protocol::ExportKind;
use crate::state::AppState;

/// What can be saved of a run: kind, test's name, name, what it is good for.
const ITEMS: [(ExportKind, &str, &str, &str); 5] = [
    (ExportKind::BenchJson, "export-bench-json", "Result, JSON", "as vllm bench serve --save-result"),
    (ExportKind::BenchJsonDetailed, "export-bench-json-detailed", "Result with requests, JSON", "as --save-detailed"),
    (ExportKind::RequestCsv, "export-request-csv", "Requests, CSV", "a row per request"),
    (ExportKind::ChromeTrace, "export-chrome-trace", "Chrome trace, JSON", "open it in ui.perfetto.dev"),
    (
        ExportKind::EnginesJson,
        "export-engines-json",
        "Replicas, JSON",
        "as simulate --replicas-json; of several engines",
    ),
];

/// The menu behind the header's button.
#[component]
pub(super) fn ExportMenu() -> impl IntoView {
    let state = expect_context::<AppState>();
    let menu = NodeRef::<Details>::new();
    let close = move || {
        if let Some(menu) = menu.get_untracked() {
            menu.set_open(false);
        }
    };
    let focus_summary = move || {
        let summary = menu.get_untracked().and_then(|menu| menu.first_element_child());
        if let Some(summary) = summary.and_then(|summary| summary.dyn_into::<web_sys::HtmlElement>().ok()) {
            summary.focus().ok();
        }
    };
    let done = move || {
        close();
        focus_summary();
    };
    let escape = move |event: leptos::ev::KeyboardEvent| {
        if event.key() == "Escape" && menu.get_untracked().is_some_and(|menu| menu.open()) {
            event.stop_propagation();
            done();
        }
    };
    let holds = move |target: Option<web_sys::EventTarget>| {
        let node = target.and_then(|target| target.dyn_into::<web_sys::Node>().ok());
        menu.get_untracked().zip(node).map(|(menu, node)| menu.contains(Some(&node)))
    };
    let left = move |event: leptos::ev::FocusEvent| {
        if holds(event.related_target()) == Some(false) {
            close();
        }
    };
    let pressed = window_event_listener(leptos::ev::pointerdown, move |event| {
        if holds(event.target()) == Some(false) {
            close();
        }
    });
    on_cleanup(move || pressed.remove());
    let is_empty = move || state.current.with(Option::is_none);
    view! {
        <details class="menu" node_ref=menu on:keydown=escape on:focusout=left>
            <summary class="btn" data-testid="export">
                <Icon shape=SAVE/>
                <span class="btn-label">"Export"</span>
            </summary>
            <div class="menu-items">
                <p class="menu-head">"Of the last run"</p>
                {ITEMS.map(|(kind, testid, name, about)| view! {
                    <button
                        type="button" class="menu-item" data-testid=testid disabled=is_empty
                        on:click=heard(move |_| { state.export(kind); done(); })
                    >
                        <span>{name}</span>
                        <span class="menu-about">{about}</span>
                    </button>
                }).collect_view()}
                <p class="menu-head">"Of the form"</p>
                <button
                    type="button" class="menu-item" data-testid="export-scenario"
                    on:click=heard(move |_| { state.export_scenario(); done(); })
                >
                    <span>"Scenario file"</span>
                    <span class="menu-about">"drop it here, or give it to profiler simulate --link"</span>
                </button>
            </div>
        </details>
    }
}
