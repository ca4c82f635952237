//! A dialog of the browser's own: it keeps the focus inside, closes on Esc and gives the focus back.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::icons::{CLOSE, Icon};
use crate::components::live::{When, heard};

/// Shown while `is_open`; what is inside is made anew each time.
#[component]
pub(super) fn Dialog(
    is_open: RwSignal<bool>,
    /// Also the test's name for it.
    id: &'static str,
    title: &'static str,
    children: ChildrenFn,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let title_id = move || format!("{id}-title");
    Effect::new(move |_| {
        let should_open = is_open.get();
        let Some(dialog) = dialog.get() else { return };
        if should_open && !dialog.open() {
            dialog.show_modal().ok();
        } else if !should_open && dialog.open() {
            dialog.close();
        }
    });
    // What is behind the dialog belongs to the dialog element itself.
    let clicked = move |event: leptos::ev::MouseEvent| {
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::HtmlDialogElement>().ok());
        if target.is_some() {
            is_open.set(false);
        }
    };
    view! {
        <dialog
            class="dialog" id=id data-testid=id node_ref=dialog aria-labelledby=title_id()
            on:close=heard(move |_| is_open.set(false)) on:click=clicked
        >
            <div class="dialog-inner">
                <div class="dialog-head">
                    <h2 class="dialog-title" id=title_id()>{title}</h2>
                    <button
                        type="button" class="btn btn-ghost btn-icon" aria-label="Close"
                        data-testid=format!("{id}-close") on:click=heard(move |_| is_open.set(false))
                    >
                        <Icon shape=CLOSE/>
                    </button>
                </div>
                <When when=Signal::derive(move || is_open.get())>{children()}</When>
            </div>
        </dialog>
    }
}

/// A button that copies a text and says so.
#[component]
pub(super) fn CopyButton(
    /// What is copied, asked for when it is.
    #[prop(into)]
    text: Callback<(), String>,
    /// Its name.
    label: &'static str,
    /// The test's name for it.
    testid: &'static str,
    #[prop(default = "btn")] class: &'static str,
) -> impl IntoView {
    let said = RwSignal::new(String::new());
    let copy = move |_| {
        let text = text.run(());
        leptos::task::spawn_local(async move {
            match crate::files::copy(&text).await {
                Ok(()) => said.set("Copied.".to_owned()),
                Err(fault) => said.set(format!("Not copied: {fault}")),
            }
            set_timeout(
                move || {
                    // The button may be gone by then.
                    said.try_set(String::new());
                },
                std::time::Duration::from_secs(3),
            );
        });
    };
    view! {
        <button type="button" class=class data-testid=testid on:click=copy>{label}</button>
        <span class="muted copy-said" role="status">{said}</span>
    }
}
