//! Parts of the module that come when they are needed. A first visit does without most of them.
//!
//! `scripts/build-web.sh` (`--cfg split`) divides the linked module at the functions made by `part!`: what only they
//! reach is fetched when they are called, and what several of them reach is fetched with whichever is first. All parts
//! share one memory, so a part is a table of functions and what they take and give are plain values. In every other
//! build all of it is one module.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use leptos::prelude::*;

use crate::telling::{tell_answered, tell_ready};

/// A part could not be fetched, or is of another version than this page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missing;

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a part of the page did not load. Nothing is lost: try again with a connection. If it stays away, the page \
             was replaced by a newer one: reload it",
        )
    }
}

#[cfg(split)]
impl From<leptos::wasm_split::SplitLoaderError> for Missing {
    fn from(_: leptos::wasm_split::SplitLoaderError) -> Self {
        Self
    }
}

/// `async fn NAME() -> Result<TYPE, Missing>`: fetches PART, if it is not there, and gives what VALUE is.
macro_rules! part {
    ($(#[$about:meta])* $vis:vis fn $name:ident() -> $type:ty { $value:expr } in $part:ident) => {
        $(#[$about])*
        #[cfg(split)]
        #[leptos::wasm_split::wasm_split($part, fallible, wasm_split_path = leptos::wasm_split)]
        $vis fn $name() -> Result<$type, $crate::parts::Missing> {
            Ok($value)
        }
        $(#[$about])*
        #[cfg(not(split))]
        $vis async fn $name() -> Result<$type, $crate::parts::Missing> {
            Ok($value)
        }
    };
}
pub(crate) use part;

/// A view of a part on its way. What it is about it finds in its contexts.
pub(crate) type Coming = Pin<Box<dyn Future<Output = Result<fn() -> AnyView, Missing>>>>;

/// Whether the form is there, without which nothing can be answered. A context.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormThere(pub(crate) RwSignal<bool>);

/// Shows a view of a part as soon as that is there, `meanwhile` until then, and a button if it does not come.
pub(crate) fn later(fetch: fn() -> Coming, meanwhile: fn() -> AnyView) -> AnyView {
    later_than(None, fetch, meanwhile)
}

/// The same of what answers. If the form does not come, that is said in its place and nowhere else; this comes with it.
pub(crate) fn later_than_form(fetch: fn() -> Coming, meanwhile: fn() -> AnyView) -> AnyView {
    let FormThere(is_there) = expect_context();
    later_than(Some(is_there), fetch, meanwhile)
}

fn later_than(form: Option<RwSignal<bool>>, fetch: fn() -> Coming, meanwhile: fn() -> AnyView) -> AnyView {
    let came = RwSignal::new(None::<Result<fn() -> AnyView, Missing>>);
    let ask = move || {
        came.set(None);
        leptos::task::spawn_local(async move {
            let view = fetch().await;
            // Nobody may want it any longer.
            came.try_set(Some(view));
        });
    };
    ask();
    let has_form = move || form.is_none_or(|form| form.get());
    Effect::new(move |_| {
        let is_missing = came.with_untracked(|came| matches!(came, Some(Err(_))));
        if has_form() && is_missing {
            ask();
        }
    });
    let shown = move || match came.get() {
        Some(Ok(view)) => view(),
        Some(Err(missing)) if has_form() => {
            // Nothing stands in for what says so.
            tell_ready();
            if form.is_some() {
                tell_answered();
            }
            did_not_come(missing, Callback::new(move |()| ask()))
        }
        Some(Err(_)) => nothing(),
        None => meanwhile(),
    };
    shown.into_any()
}

fn did_not_come(missing: Missing, again: Callback<()>) -> AnyView {
    view! {
        <div class="notice notice-error" role="alert" data-testid="part-missing">
            <span>{format!("Not shown: {missing}.")}</span>
            <button type="button" class="btn" data-testid="part-again" on:click=move |_| again.run(())>"Try again"</button>
        </div>
    }
    .into_any()
}

/// Nothing until it is there.
pub(crate) fn nothing() -> AnyView {
    ().into_any()
}
