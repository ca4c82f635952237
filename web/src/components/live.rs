//! Pieces of a view that follow signals, all of one type. Every closure in a view is otherwise code of its own for all that
//! a view can do, a kilobyte and more each.

use std::cell::RefCell;
use std::collections::VecDeque;
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

/// What was put off, in its order; and whether it waits for all that is put off.
type PutOff = (Box<dyn FnOnce()>, bool);

thread_local! {
    static PUT_OFF: RefCell<VecDeque<PutOff>> = RefCell::default();
}

/// Does `work` in a task of its own, after what was put off before: the page's thread is free in between.
pub(crate) fn soon(work: impl FnOnce() + 'static) {
    put_off(Box::new(work), false);
}

/// The same, after all that is put off, and what that puts off in its turn.
pub(crate) fn at_last(work: impl FnOnce() + 'static) {
    put_off(Box::new(work), true);
}

fn put_off(work: Box<dyn FnOnce()>, is_last: bool) {
    PUT_OFF.with_borrow_mut(|put_off| put_off.push_back((work, is_last)));
    // One for each: those of one task would follow each other without a pause.
    set_timeout(next, Duration::ZERO);
}

fn next() {
    let (work, must_wait) = PUT_OFF.with_borrow_mut(|put_off| {
        let work = put_off.pop_front();
        let is_last = work.as_ref().is_some_and(|(_, is_last)| *is_last);
        (work, is_last && put_off.iter().any(|(_, is_last)| !is_last))
    });
    match work {
        Some((work, is_last)) if must_wait => put_off(work, is_last),
        Some((work, _)) => work(),
        None => {}
    }
}

/// `children`, made in a task of their own after the one that asks for them: what is below does not hold up what is above.
#[component]
pub(crate) fn Soon(
    /// What is made.
    children: ChildrenFn,
) -> impl IntoView {
    let is_time = RwSignal::new(false);
    soon(move || {
        // It may be gone already.
        is_time.try_set(true);
    });
    view! { <When when=is_time>{children()}</When> }
}

/// A listener to events, whatever it does.
pub(crate) fn heard<E>(listener: impl FnMut(E) + 'static) -> Box<dyn FnMut(E)> {
    Box::new(listener)
}
