//! Pieces of a view that follow signals, all of one type. Every closure in a view is otherwise code of its own for all that
//! a view can do, a kilobyte and more each.

use std::time::Duration;

use leptos::children::{ChildrenFn, ViewFn};
use leptos::prelude::*;

type Live = Box<dyn FnMut() -> AnyView + Send>;

/// What `view` shows, made anew whenever a signal changes that it reads.
pub(crate) fn live<V: IntoView + 'static>(view: impl Fn() -> V + Send + 'static) -> AnyView {
    let view: Live = Box::new(move || view().into_any());
    view.into_any()
}

/// `children` while `when` holds, else `fallback`: Leptos' `Show` as one piece of code.
#[component]
pub(crate) fn When(
    /// Whether.
    #[prop(into)]
    when: Signal<bool>,
    /// Shown while it holds, made anew each time.
    children: ChildrenFn,
    /// Shown while it does not.
    #[prop(optional, into)]
    fallback: ViewFn,
) -> impl IntoView {
    let holds = Memo::new(move |_| when.get());
    live(move || if holds.get() { children() } else { fallback.run() })
}

/// `children`, made in a task of their own after the one that asks for them: what is below does not hold up what is above,
/// and the page's thread is free in between. Those of one task are made in their order.
#[component]
pub(crate) fn Soon(
    /// What is made.
    children: ChildrenFn,
) -> impl IntoView {
    let is_time = RwSignal::new(false);
    set_timeout(
        move || {
            // It may be gone already.
            is_time.try_set(true);
        },
        Duration::ZERO,
    );
    view! { <When when=is_time>{children()}</When> }
}

/// A listener to events, whatever it does.
pub(crate) fn heard<E>(listener: impl FnMut(E) + 'static) -> Box<dyn FnMut(E)> {
    Box::new(listener)
}
