//! The model: a field that searches the list of models while one types, and how far the profile is.

use leptos::html;
use leptos::prelude::*;
use sim_core::math;
use wasm_bindgen::JsCast;

use super::icons::{CLOSE, Icon};
use crate::components::live::{heard, live};
use crate::html::escaped;
use crate::making::known_models;
use crate::models::{Offer, short};
use crate::state::{AppState, Making};

/// What the field and its list share.
#[derive(Debug, Clone, Copy)]
struct Search {
    state: AppState,
    /// What is typed; `None` while nobody does.
    typed: RwSignal<Option<String>>,
    is_open: RwSignal<bool>,
    /// The place, counted from 1, of the offer that Enter takes; 0: none.
    active: RwSignal<u32>,
    error: RwSignal<Option<String>>,
}

impl Search {
    fn new(state: AppState) -> Self {
        let (typed, error) = (RwSignal::new(None), RwSignal::new(None));
        Self { state, typed, is_open: RwSignal::new(false), active: RwSignal::new(0), error }
    }

    fn offers(self) -> Vec<Offer> {
        self.state.num_loaded.track();
        let query = self.typed.get().unwrap_or_default();
        known_models().map(|known| known.offers(&query)).unwrap_or_default()
    }

    fn active(self) -> Option<usize> {
        math::u32_to_usize(self.active.get()).checked_sub(1)
    }

    fn open(self) {
        let state = self.state;
        state.edit(move |editing| (editing.load_models)(state));
        self.is_open.set(true);
    }

    fn close(self) {
        self.is_open.set(false);
        self.active.set(0);
        self.typed.set(None);
    }

    fn take(self, name: &str) {
        let name = known_models().map_or_else(|| name.to_owned(), |known| known.listed_name(name));
        let (state, error) = (self.state, self.error);
        state.edit(move |editing| {
            error.try_set((editing.choose_model)(state, &name).err());
        });
        self.close();
    }

    fn step(self, by: isize) {
        self.open();
        let count = untrack(|| self.offers().len());
        let next = match untrack(|| self.active()) {
            _ if count == 0 => None,
            None if by > 0 => Some(0),
            None => count.checked_sub(1),
            Some(place) => Some(place.saturating_add_signed(by).min(count - 1)),
        };
        self.active.set(next.map_or(0, |place| math::usize_to_u32(place) + 1));
        // The list is written anew first.
        request_animation_frame(move || {
            let option = next.and_then(|place| document().get_element_by_id(&option_id(place)));
            option.into_iter().for_each(|option| option.scroll_into_view_with_bool(false));
        });
    }

    fn on_key(self, event: &leptos::ev::KeyboardEvent) {
        match event.key().as_str() {
            "ArrowDown" => self.step(1),
            "ArrowUp" => self.step(-1),
            "Enter" if !event.ctrl_key() && !event.meta_key() => {
                let chosen = untrack(|| self.active().and_then(|place| self.offers().into_iter().nth(place)));
                let typed = self.typed.get_untracked().filter(|typed| !typed.trim().is_empty());
                match chosen.map(|offer| offer.name).or(typed) {
                    Some(name) => self.take(name.trim()),
                    None => return,
                }
            }
            "Escape" if self.is_open.get_untracked() => {
                self.close();
                // The page's Escape would cancel a run.
                event.stop_propagation();
            }
            _ => return,
        }
        event.prevent_default();
    }
}

/// What the id of an offer begins with; its place follows.
const OPTION: &str = "model-option-";

fn option_id(place: usize) -> String {
    format!("{OPTION}{place}")
}

/// The field.
#[component]
pub(super) fn ModelField() -> impl IntoView {
    let state = expect_context::<AppState>();
    let search = Search::new(state);
    let input = NodeRef::<html::Input>::new();
    let current = Memo::new(move |_| {
        let own = state.own_model.with(|own| own.as_ref().map(|own| own.name.clone()));
        own.unwrap_or_else(|| state.recipe.with(crate::recipe::Recipe::model_name))
    });
    let owner = move || current.with(|name| name.rsplit_once('/').map(|(owner, _)| owner.to_owned()));
    let shown = move || search.typed.get().unwrap_or_else(|| current.with(|name| short(name).to_owned()));
    let typed = move |event: leptos::ev::Event| {
        search.typed.set(Some(event_target_value(&event)));
        search.active.set(0);
        search.error.set(None);
        search.open();
    };
    let focused = move |_| {
        if let Some(input) = input.get_untracked() {
            input.select();
        }
    };
    let is_bad = move || search.error.with(Option::is_some) || has_failed(state);
    view! {
        <div class="field model-field">
            <label class="field-label" for="model-input">
                "Model" <span class="field-flag">{live(move || owner().map_or_else(|| "--model".to_owned(), |owner| format!("{owner}/")))}</span>
            </label>
            <div class="model-box">
                <input
                    type="text" id="model-input" data-testid="model-input" role="combobox" node_ref=input
                    autocomplete="off" autocapitalize="off" spellcheck="false" aria-autocomplete="list"
                    aria-controls="model-list" aria-expanded=move || if search.is_open.get() { "true" } else { "false" }
                    aria-activedescendant=move || search.active().map(option_id)
                    aria-invalid=move || is_bad().then_some("true") aria-describedby="model-said"
                    placeholder="Search models, or type a name" prop:value=shown
                    on:input=typed on:focus=focused on:click=heard(move |_| search.open())
                    on:keydown=move |event| search.on_key(&event) on:blur=heard(move |_| search.close())
                />
                <ModelList search/>
            </div>
            <OwnModel/>
            <Said search/>
        </div>
    }
}

fn has_failed(state: AppState) -> bool {
    state.making.with(|making| matches!(making, Making::Failed { suggestions, .. } if !suggestions.is_empty()))
}

/// The offers as they stand in the list.
fn list_html(search: Search) -> String {
    let offers = search.offers();
    let active = search.active();
    if offers.is_empty() {
        let text = if known_models().is_some() {
            "Not in the list. Drop its config.json on the page."
        } else {
            "Loading the list…"
        };
        return format!(
            "<li class=\"model-none muted\" role=\"option\" aria-disabled=\"true\" aria-selected=\"false\">{text}</li>"
        );
    }
    let one = |(place, offer): (usize, &Offer)| {
        let (owner, name) = offer.name.rsplit_once('/').unwrap_or(("", &offer.name));
        let aside = escaped(offer.note.as_deref().unwrap_or(owner));
        format!(
            "<li role=\"option\" id=\"{}\" class=\"model-option\" aria-selected=\"{}\"><span>{}</span> <span class=\"muted\">{aside}</span></li>",
            option_id(place),
            active == Some(place),
            escaped(name),
        )
    };
    offers.iter().enumerate().map(one).collect()
}

#[component]
fn ModelList(search: Search) -> impl IntoView {
    // The field keeps the focus.
    let pressed = move |event: leptos::ev::PointerEvent| event.prevent_default();
    let clicked = move |event: leptos::ev::MouseEvent| {
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        let id = target.and_then(|target| target.closest("[role=option]").ok().flatten()).map(|option| option.id());
        let place = id.and_then(|id| id.strip_prefix(OPTION).and_then(|place| place.parse::<usize>().ok()));
        let offer = place.and_then(|place| untrack(|| search.offers()).into_iter().nth(place));
        if let Some(offer) = offer {
            search.take(&offer.name);
        }
    };
    view! {
        <ul
            id="model-list" role="listbox" aria-label="Models" class="model-list" data-testid="model-list"
            hidden=move || !search.is_open.get() on:pointerdown=pressed
            on:mousedown=move |event| event.prevent_default() on:click=clicked
            inner_html=move || if search.is_open.get() { list_html(search) } else { String::new() }
        ></ul>
    }
}

/// The user's own `config.json`, which can be given up.
#[component]
fn OwnModel() -> impl IntoView {
    let state = expect_context::<AppState>();
    let remove = move |_| {
        state.own_model.set(None);
        state.is_example.set(false);
    };
    live(move || {
        state.own_model.get().map(|own| view! {
        <div class="file-chip" data-testid="own-model">
            <span class="file-chip-text">{own.file_name}<span class="muted">"your own model"</span></span>
            <button
                type="button" class="btn btn-ghost btn-icon" aria-label="Remove your model" data-testid="remove-model"
                on:click=remove
            >
                <Icon shape=CLOSE/>
            </button>
        </div>
    })
    })
}

/// How far the profile is, and what is wrong with what was asked for.
#[component]
fn Said(search: Search) -> impl IntoView {
    let state = search.state;
    let said = move || {
        match state.making.get() {
        Making::Idle => search.error.get().map(|error| view! { <p class="field-error">{error}</p> }.into_any()),
        Making::Composing => Some(view! { <p class="field-help">"Composing…"</p> }.into_any()),
        Making::Loading(what, bytes) => {
            let size = if bytes > 0 { format!(" {:.1} MB", f64::from(bytes) / 1e6) } else { String::new() };
            Some(view! {
                <div class="making" data-testid="making">
                    <span class="field-help">{format!("Loading {what}…{size}")}</span>
                    <button
                        type="button" class="btn btn-ghost" data-testid="cancel-loading"
                        on:click=heard(move |_| state.cancel_making())
                    >
                        "Cancel"
                    </button>
                    <progress class="run-progress" aria-label="Loading"></progress>
                </div>
            }.into_any())
        }
        Making::Failed { message, suggestions, can_retry } => Some(view! {
            <div class="making" data-testid="making-failed">
                <p class="field-error">{message}"."</p>
                {can_retry.then(|| view! {
                    <button type="button" class="btn" data-testid="retry" on:click=heard(move |_| state.make())>"Try again"</button>
                })}
                {suggestions.into_iter().map(|name| {
                    let whole = name.clone();
                    view! {
                        <button type="button" class="btn btn-suggest" on:click=heard(move |_| search.take(&whole))>{name}</button>
                    }
                }).collect_view()}
            </div>
        }.into_any()),
    }
    };
    view! { <div id="model-said" aria-live="polite">{live(said)}</div> }
}
