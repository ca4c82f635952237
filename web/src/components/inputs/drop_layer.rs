//! The whole page takes what is dropped on it.

use leptos::prelude::*;
use wasm_bindgen::JsValue;
use web_sys::{DataTransfer, DragEvent};

use super::header::open_all;
use crate::components::live::When;
use crate::hearing::is_typing;
use crate::state::AppState;

/// What is seen while something is dragged over the page.
#[component]
pub(crate) fn DropLayer() -> impl IntoView {
    let state = expect_context::<AppState>();
    let depth = RwSignal::new(0_u32);
    listen(state, depth);
    view! {
        <When when=Signal::derive(move || { depth.get() > 0 })>
            <div class="drop-layer" data-testid="drop-layer">
                <div class="drop-target">
                    <p class="drop-title">"Drop to load"</p>
                    <p>"config.json, command, trace, profile, vllm bench result"</p>
                </div>
            </div>
        </When>
    }
}

/// What a drag carries, as far as the page takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dragged {
    Files,
    Text,
}

fn dragged(event: &DragEvent) -> Option<Dragged> {
    let types = event.data_transfer().map(|data| data.types())?;
    let has = |kind: &str| types.includes(&JsValue::from_str(kind), 0);
    if has("Files") {
        Some(Dragged::Files)
    } else if has("text/plain") && !is_typing(event) {
        // A field takes text itself.
        Some(Dragged::Text)
    } else {
        None
    }
}

/// A drag enters each element that it crosses and leaves the one before: only their balance says whether it is over the
/// page.
fn listen(state: AppState, depth: RwSignal<u32>) {
    let entered = window_event_listener(leptos::ev::dragenter, move |event| {
        if dragged(&event).is_some() {
            event.prevent_default();
            depth.update(|depth| *depth += 1);
        }
    });
    let left = window_event_listener(leptos::ev::dragleave, move |event| {
        if dragged(&event).is_some() {
            depth.update(|depth| *depth = depth.saturating_sub(1));
        }
    });
    let over = window_event_listener(leptos::ev::dragover, move |event| {
        if dragged(&event).is_some() {
            // Otherwise a drop opens the file in place of the page.
            event.prevent_default();
            if let Some(data) = event.data_transfer() {
                data.set_drop_effect("copy");
            }
        }
    });
    let dropped = window_event_listener(leptos::ev::drop, move |event| {
        depth.set(0);
        let Some(kind) = dragged(&event) else { return };
        event.prevent_default();
        if let Some(data) = event.data_transfer() {
            take(state, kind, &data);
        }
    });
    let ended = window_event_listener(leptos::ev::dragend, move |_| depth.set(0));
    on_cleanup(move || {
        entered.remove();
        left.remove();
        over.remove();
        dropped.remove();
        ended.remove();
    });
}

fn take(state: AppState, kind: Dragged, data: &DataTransfer) {
    match kind {
        Dragged::Files => open_all(state, data.files().as_ref()),
        Dragged::Text => {
            let text = data.get_data("text").unwrap_or_default();
            if !text.trim().is_empty() {
                state.open_text("dropped text", &text);
            }
        }
    }
}
