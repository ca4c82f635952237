//! Small pieces that several parts of the results are made of.

use std::sync::Arc;

use leptos::prelude::*;

use super::definitions::definition;
use crate::answer::{Answer, RangeAnswer};
use crate::components::live::{When, live};
use crate::files;
use crate::state::{AppState, NoticeKind};

/// The answer that is shown. A handle: it stays the same while answers come and go, so that what is open stays open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    answer: Memo<Option<Arc<Answer>>>,
    range: Memo<Option<Arc<RangeAnswer>>>,
    is_range_awaited: Memo<bool>,
}

impl Shown {
    /// The last run's answer.
    pub(crate) fn new(state: AppState) -> Self {
        let is_shown = Memo::new(move |_| state.shows_range());
        Self {
            answer: Memo::new(move |_| state.current.with(|run| run.as_ref().map(|run| run.answer.clone()))),
            range: Memo::new(move |_| state.range.get().filter(|_| is_shown.get())),
            is_range_awaited: Memo::new(move |_| is_shown.get() && state.range.with(Option::is_none)),
        }
    }

    /// How far it may be off, where that is known and to be shown.
    pub(crate) fn range(self) -> Option<Arc<RangeAnswer>> {
        self.range.get()
    }

    /// Whether that will be known soon.
    pub(crate) fn is_range_awaited(self) -> bool {
        self.is_range_awaited.get()
    }

    /// What `read` finds in the answer and, where it is shown, its range; the default without an answer. Followed.
    pub(crate) fn part_with_range<T>(
        self,
        read: impl Fn(&Answer, Option<&RangeAnswer>) -> T + Send + Sync + 'static,
    ) -> Memo<T>
    where
        T: Default + PartialEq + Send + Sync + 'static,
    {
        Memo::new(move |_| self.read(|answer| self.range.with(|range| read(answer, range.as_deref()))))
    }

    /// The answer, if there is one.
    pub(crate) fn get(self) -> Option<Arc<Answer>> {
        self.answer.get()
    }

    /// What `read` finds in the answer; the default without one.
    pub(crate) fn read<T: Default>(self, read: impl FnOnce(&Answer) -> T) -> T {
        self.answer.with(|answer| answer.as_deref().map(read)).unwrap_or_default()
    }

    /// The same, followed.
    pub(crate) fn part<T>(self, read: impl Fn(&Answer) -> T + Send + Sync + 'static) -> Memo<T>
    where
        T: Default + PartialEq + Send + Sync + 'static,
    {
        Memo::new(move |_| self.read(&read))
    }
}

/// A name that explains itself to whoever points at it, touches it or reaches it by keyboard.
#[component]
pub(crate) fn Term(
    /// Of [`definition`].
    key: &'static str,
    /// What is seen.
    #[prop(into)]
    label: String,
    /// Tells the descriptions of one page apart.
    place: &'static str,
) -> impl IntoView {
    let id = format!("about-{place}-{key}");
    let Some(found) = definition(key) else {
        return view! { <span class="term-label">{label}</span> }.into_any();
    };
    view! {
        <span class="term">
            <button type="button" class="term-label" aria-describedby=id.clone() data-testid=format!("about-{place}-{key}")>
                {label}
            </button>
            <span class="term-about" role="tooltip" id=id>
                <b>{found.header}</b>
                <span>{found.meaning}</span>
                <code>{found.formula}</code>
            </span>
        </span>
    }
    .into_any()
}

/// Puts a text on the clipboard and says so.
#[component]
pub(crate) fn CopyButton(
    /// The text.
    #[prop(into)]
    text: Signal<String>,
    /// What is copied, as in `Copy the table`.
    what: &'static str,
    /// For tests.
    testid: &'static str,
) -> impl IntoView {
    let state = expect_context::<AppState>();
    let is_copied = RwSignal::new(false);
    Effect::new(move |_| {
        text.track();
        is_copied.set(false);
    });
    let copy = move |_| {
        let text = text.get_untracked();
        leptos::task::spawn_local(async move {
            match files::copy(&text).await {
                Ok(()) => is_copied.set(true),
                Err(fault) => state.notify(NoticeKind::Error, &fault),
            }
        });
    };
    view! {
        <button type="button" class="btn btn-ghost" data-testid=testid on:click=copy>
            {live(move || if is_copied.get() { "Copied" } else { "Copy" })}
            <span class="visually-hidden">{format!(" {what}")}</span>
        </button>
        <span class="visually-hidden" role="status">
            {live(move || is_copied.get().then(|| format!("Copied {what}")))}
        </span>
    }
}

/// A card that folds; what is in it is made when it is opened for the first time.
#[component]
pub(crate) fn Fold(
    /// The heading.
    title: &'static str,
    /// Beside it, small.
    #[prop(optional, into)]
    aside: Signal<String>,
    /// For tests.
    testid: &'static str,
    /// Open or not.
    is_open: RwSignal<bool>,
    /// The content.
    children: ChildrenFn,
) -> impl IntoView {
    let was_opened = RwSignal::new(is_open.get_untracked());
    let toggled = move |event: leptos::ev::Event| {
        let details = event_target::<web_sys::Element>(&event);
        let now = details.has_attribute("open");
        if now != is_open.get_untracked() {
            is_open.set(now);
        }
        if now {
            was_opened.set(true);
        }
    };
    let children = StoredValue::new(children);
    view! {
        <details class="card" data-testid=testid open=is_open.get_untracked() on:toggle=toggled>
            <summary class="card-title">
                <h3>{title}</h3>
                <span class="muted card-aside">{aside}</span>
            </summary>
            <div class="card-body">
                <When when=Signal::derive(move || was_opened.get())>{children.with_value(|children| children())}</When>
            </div>
        </details>
    }
}
