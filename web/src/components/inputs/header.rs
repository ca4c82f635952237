//! The header: what this is, files in and out, the theme, help.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::export_menu::ExportMenu;
use super::help::HelpDialog;
use super::icons::{HELP, Icon, OPEN, SHARE};
use super::share_dialog::ShareDialog;
use super::theme::ThemeButton;
use crate::components::live::heard;
use crate::hearing::is_typing;
use crate::state::AppState;

/// Product, purpose and what concerns the whole page.
#[component]
pub(crate) fn Header() -> impl IntoView {
    let picker = NodeRef::<html::Input>::new();
    let (is_sharing, is_helping) = (RwSignal::new(false), RwSignal::new(false));
    listen(picker, is_sharing, is_helping);
    view! {
        <header class="app-header">
            <div class="app-brand">
                <Mark/>
                <h1 class="app-name">"vLLM Simulator"</h1>
                <span class="app-tagline">"latency and capacity, without a GPU"</span>
            </div>
            <div class="toolbar">
                <OpenButton picker/>
                <button
                    type="button" class="btn" data-testid="share" aria-haspopup="dialog"
                    on:click=heard(move |_| is_sharing.set(true))
                >
                    <Icon shape=SHARE/>
                    <span class="btn-label">"Share"</span>
                </button>
                <ExportMenu/>
                <ThemeButton/>
                <button
                    type="button" class="btn btn-ghost btn-icon" data-testid="help" aria-haspopup="dialog"
                    aria-label="Help: keys, definitions, what is modelled" title="Help (?)"
                    on:click=heard(move |_| is_helping.set(true))
                >
                    <Icon shape=HELP/>
                </button>
            </div>
        </header>
        <ShareDialog is_open=is_sharing/>
        <HelpDialog is_open=is_helping/>
    }
}

/// A curve of latencies that meets its objective.
#[component]
fn Mark() -> impl IntoView {
    view! {
        <svg class="app-logo" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" fill="none">
            <rect x="1" y="1" width="22" height="22" rx="6" fill="var(--accent)"></rect>
            <path
                d="M5 18.5c4.5 0 4.5-12 8-12h6" stroke="var(--accent-text)" stroke-width="2" stroke-linecap="round"
                stroke-linejoin="round"
            ></path>
            <path d="M16 5v14" stroke="var(--accent-text)" stroke-width="1.5" stroke-dasharray="2 2.2" opacity="0.75"></path>
        </svg>
    }
}

/// A file input whose label is the button, so that keyboards and phones have it as browsers make it.
#[component]
fn OpenButton(picker: NodeRef<html::Input>) -> impl IntoView {
    let state = expect_context::<AppState>();
    let chosen = move |_| {
        let Some(input) = picker.get_untracked() else { return };
        open_all(state, input.files().as_ref());
        // So that the same file can be chosen again.
        input.set_value("");
    };
    view! {
        <label class="btn" title="Open a profile, a trace, a vllm bench result, a config.json or a command (Ctrl+O)">
            <Icon shape=OPEN/>
            <span class="btn-label">"Open"</span>
            <input
                type="file" class="file-input" multiple data-testid="open-file" node_ref=picker on:change=chosen
                aria-label="Open files"
            />
        </label>
    }
}

/// Opens every file of a list.
pub(super) fn open_all(state: AppState, files: Option<&web_sys::FileList>) {
    let count = files.map_or(0, web_sys::FileList::length);
    for file in (0..count).filter_map(|place| files.and_then(|files| files.get(place))) {
        state.open_file(file);
    }
}

/// Keys: Ctrl+O opens, Ctrl+S saves the scenario, ? helps.
fn listen(picker: NodeRef<html::Input>, is_sharing: RwSignal<bool>, is_helping: RwSignal<bool>) {
    let state = expect_context::<AppState>();
    let keys = window_event_listener(leptos::ev::keydown, move |event| {
        let with_control = (event.ctrl_key() || event.meta_key()) && !event.shift_key() && !event.alt_key();
        match event.key().as_str() {
            "o" if with_control => {
                event.prevent_default();
                if let Some(input) = picker.get_untracked() {
                    input.unchecked_ref::<web_sys::HtmlElement>().click();
                }
            }
            "s" if with_control => {
                event.prevent_default();
                state.export_scenario();
            }
            "?" if !event.ctrl_key() && !event.meta_key() && !is_typing(&event) && !is_sharing.get_untracked() => {
                event.prevent_default();
                is_helping.set(true);
            }
            _ => {}
        }
    });
    on_cleanup(move || keys.remove());
}
