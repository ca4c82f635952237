//! What the window hears: pasted text outside the fields, keys, and a link that is put into the address bar.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{ClipboardEvent, HtmlElement};

use crate::files;
use crate::state::{AppState, RunState};

/// Hears all of it from now on.
pub(crate) fn listen(state: AppState) {
    let paste = window_event_listener_untyped("paste", move |event| {
        let Some(event) = event.dyn_ref::<ClipboardEvent>() else { return };
        let Some(data) = event.clipboard_data().filter(|_| !is_typing(event)) else { return };
        let num_files = data.files().map_or(0, |files| files.length());
        for place in 0..num_files {
            if let Some(file) = data.files().and_then(|files| files.get(place)) {
                state.open_file(file);
            }
        }
        if num_files == 0
            && let Ok(text) = data.get_data("text")
            && !text.trim().is_empty()
        {
            state.open_text("pasted text", &text);
        }
    });
    let keys = window_event_listener(leptos::ev::keydown, move |event| {
        let with_control = event.ctrl_key() || event.meta_key();
        match event.key().as_str() {
            "Enter" if with_control => {
                event.prevent_default();
                state.run();
            }
            "Escape" if matches!(state.run_state.get_untracked(), RunState::Running { .. }) => state.cancel(),
            _ => {}
        }
    });
    let hash = window_event_listener(leptos::ev::hashchange, move |_| {
        let fragment = files::page_fragment();
        if fragment.starts_with("#v=") {
            leptos::task::spawn_local(async move {
                let own = state.share().await.map(|link| link.fragment);
                if own.as_ref() != Ok(&fragment) {
                    state.load_link(&fragment).await;
                }
            });
        }
    });
    on_cleanup(move || {
        paste.remove();
        keys.remove();
        hash.remove();
    });
}

/// Whether the event belongs to a field.
pub(crate) fn is_typing(event: &web_sys::Event) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok());
    target.is_some_and(|target| {
        matches!(target.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT") || target.is_content_editable()
    })
}
