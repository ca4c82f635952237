//! What the user is told: on top of the page until it is dismissed.

use std::time::Duration;

use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};

use super::icons::{CLOSE, Icon};
use super::taken::taken_details;
use crate::components::live::{When, heard};
use crate::parts::{later, nothing, part};
use crate::state::{AppState, Notice, NoticeKind};

/// How long that something was done is told.
const INFO_STAYS: Duration = Duration::from_secs(8);

/// All notices, the newest last.
#[component]
pub(crate) fn Notices() -> impl IntoView {
    let state = expect_context::<AppState>();
    view! {
        <div class="notices" data-testid="notices">
            <NewVersion/>
            // What there is to be told comes of the form.
            <When when=Signal::derive(move || state.notices.with(|notices| !notices.is_empty()))>
                {later(|| Box::pin(cards()), nothing)}
            </When>
        </div>
    }
}

part! {
    /// What there is to be told.
    fn cards() -> fn() -> AnyView { || view! { <Cards/> }.into_any() } in form
}

#[component]
fn Cards() -> impl IntoView {
    let state = expect_context::<AppState>();
    view! {
        <For each=move || state.notices.get() key=|notice| notice.id let:notice>
            <NoticeCard notice/>
        </For>
    }
}

/// A newer version of the page waits; it never takes over by itself. `boot.js` says when.
#[component]
fn NewVersion() -> impl IntoView {
    let apply = RwSignal::new_local(None::<js_sys::Function>);
    let heard = window_event_listener_untyped("vllmsim:update", move |event| {
        let member = |of: &JsValue, name: &str| js_sys::Reflect::get(of, &JsValue::from_str(name)).ok();
        let function = member(&event, "detail").and_then(|detail| member(&detail, "apply"));
        apply.set(function.and_then(|function| function.dyn_into().ok()));
    });
    on_cleanup(move || heard.remove());
    let reload = move |_| {
        apply.with_untracked(|apply| apply.as_ref().map(|apply| apply.call0(&JsValue::NULL).ok()));
    };
    view! {
        <When when=Signal::derive(move || apply.with(Option::is_some))>
            <div class="notice" role="status" data-testid="new-version">
                <button type="button" class="btn" data-testid="new-version-reload" on:click=reload>"Reload"</button>
                "A new version of this page is ready."
            </div>
        </When>
    }
}

#[component]
fn NoticeCard(notice: Notice) -> impl IntoView {
    let state = expect_context::<AppState>();
    let Notice { id, kind, text, taken } = notice;
    // What asks something stays until it is answered.
    let is_question = taken.as_ref().is_some_and(|taken| !taken.kept.is_empty());
    let is_held = RwSignal::new(false);
    if kind == NoticeKind::Info && !is_question {
        let pending = StoredValue::new(None::<TimeoutHandle>);
        let stop = move || {
            if let Some(Some(handle)) = pending.try_update_value(Option::take) {
                handle.clear();
            }
        };
        Effect::new(move |_| {
            stop();
            if !is_held.get() {
                pending.set_value(set_timeout_with_handle(move || state.dismiss(id), INFO_STAYS).ok());
            }
        });
        on_cleanup(stop);
    }
    let (class, role, what) = match kind {
        NoticeKind::Info => ("notice", "status", "Done"),
        NoticeKind::Warn => ("notice notice-warn", "status", "Note"),
        NoticeKind::Error => ("notice notice-error", "alert", "Error"),
    };
    view! {
        <div
            class=class role=role data-testid="notice" on:pointerenter=heard(move |_| is_held.set(true))
            on:pointerleave=heard(move |_| is_held.set(false)) on:focusin=heard(move |_| is_held.set(true))
            on:focusout=heard(move |_| is_held.set(false))
        >
            <button
                type="button" class="btn btn-ghost btn-icon" aria-label="Dismiss" data-testid="notice-dismiss"
                on:click=heard(move |_| state.dismiss(id))
            >
                <Icon shape=CLOSE/>
            </button>
            <span class="visually-hidden">{what}": "</span>
            <span class="notice-text">{text}</span>
            {taken.map(|taken| {
                provide_context(taken);
                later(|| Box::pin(taken_details()), nothing)
            })}
        </div>
    }
}
