//! Light, dark, or as the system has it. The choice is kept in the browser; `first-paint.js` applies it before the first
//! paint.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use super::icons::{Icon, MOON, SUN, SYSTEM};
use crate::components::live::heard;
use crate::components::plot_view::ThemeSignal;
use crate::plot::Theme;

/// The same name as in `first-paint.js`.
const STORED_AS: &str = "vllm-simulator.theme";

/// What the user chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    System,
    Light,
    Dark,
}

impl Choice {
    const fn next(self) -> Self {
        match self {
            Self::System => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::System,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    const fn theme(self, is_system_dark: bool) -> Theme {
        match self {
            Self::Dark => Theme::Dark,
            Self::System if is_system_dark => Theme::Dark,
            Self::System | Self::Light => Theme::Light,
        }
    }

    /// The kept choice. Storage can be forbidden; then it is the system's.
    fn stored() -> Self {
        let storage = window().local_storage().ok().flatten();
        match storage.and_then(|storage| storage.get_item(STORED_AS).ok().flatten()).as_deref() {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::System,
        }
    }

    /// Applies it to the page and keeps it.
    fn apply(self) {
        let root = document().document_element();
        let storage = window().local_storage().ok().flatten();
        if self == Self::System {
            root.map(|root| root.remove_attribute("data-theme").ok());
            storage.map(|storage| storage.remove_item(STORED_AS).ok());
        } else {
            root.map(|root| root.set_attribute("data-theme", self.name()).ok());
            storage.map(|storage| storage.set_item(STORED_AS, self.name()).ok());
        }
    }
}

/// The user's choice, by context.
#[derive(Debug, Clone, Copy)]
struct ChoiceSignal(RwSignal<Choice>);

/// Gives the theme to the plots and the choice to the header. For the page as a whole, once.
pub(crate) fn provide_theme() {
    let choice = RwSignal::new(Choice::stored());
    let query = window().match_media("(prefers-color-scheme: dark)").ok().flatten();
    let is_system_dark = RwSignal::new(query.as_ref().is_some_and(web_sys::MediaQueryList::matches));
    if let Some(query) = query {
        let followed = query.clone();
        let on_change = Closure::<dyn FnMut()>::new(move || is_system_dark.set(followed.matches()));
        query.add_event_listener_with_callback("change", on_change.as_ref().unchecked_ref()).ok();
        // The page listens as long as it is there.
        on_change.forget();
    }
    let theme = RwSignal::new(choice.get_untracked().theme(is_system_dark.get_untracked()));
    Effect::new(move |_| {
        choice.get().apply();
        let now = choice.get().theme(is_system_dark.get());
        if theme.get_untracked() != now {
            theme.set(now);
        }
    });
    provide_context(ThemeSignal(theme));
    provide_context(ChoiceSignal(choice));
}

/// Goes from one choice to the next.
#[component]
pub(super) fn ThemeButton() -> impl IntoView {
    let ChoiceSignal(choice) = expect_context();
    let name = move || format!("Theme: {}. Change to {}", choice.get().name(), choice.get().next().name());
    let icon = move || {
        let shape = match choice.get() {
            Choice::System => SYSTEM,
            Choice::Light => SUN,
            Choice::Dark => MOON,
        };
        view! { <Icon shape/> }
    };
    view! {
        <button
            type="button" class="btn btn-ghost btn-icon" data-testid="theme-toggle" aria-label=name title=name
            on:click=heard(move |_| choice.update(|choice| *choice = choice.next()))
        >
            {icon}
        </button>
    }
}
