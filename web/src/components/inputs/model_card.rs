//! Model & GPU: what runs on what and in which numbers, and what follows from it.

use leptos::prelude::*;

use super::model_field::ModelField;
use super::of_profile::{of_profile, whole_profile};
use super::panels::Card;
use super::setup_fields::SetupFields;
use crate::components::live::{When, heard, live};
use crate::editing::edit_unasked;
use crate::gallery::{DEFAULT_PROFILE, examples_by_model};
use crate::html;
use crate::models::short;
use crate::parts::{later, nothing};
use crate::state::{AppState, Origin, Source};

/// The card.
#[component]
pub(super) fn ModelCard() -> impl IntoView {
    let state = expect_context::<AppState>();
    let kind = move || state.profile.with(|choice| choice.as_ref().map(|choice| choice.profile.provenance.kind.name()));
    let aside =
        move || kind().map(|kind| view! { <span class=kind_class(kind) data-testid="profile-kind">{kind}</span> });
    // What is whole is another field for each file.
    let whole = Memo::new(move |_| {
        let is_whole = state.source.get() == Source::Whole;
        state.profile.with(|choice| choice.as_ref().filter(|_| is_whole).map(|choice| choice.name.clone()))
    });
    // What reads it is there, then.
    let has_profile = Memo::new(move |_| state.profile.with(Option::is_some));
    let prepare = move || edit_unasked(move |editing| (editing.prepare)(state));
    view! {
        <Card title="Model & GPU" testid="card-model" aside>
            // What a choice needs is loaded while it is looked for.
            <div
                class="setup" on:focusin=heard(move |_| prepare()) on:pointerenter=heard(move |_| prepare())
                data-testid="setup"
            >
                <ExamplePicker/>
                {live(move || match whole.get() {
                    Some(_) => later(|| Box::pin(whole_profile()), nothing),
                    None => view! { <ModelField/> <SetupFields/> }.into_any(),
                })}
            </div>
            <When when=Signal::derive(move || has_profile.get())>{later(|| Box::pin(of_profile()), nothing)}</When>
        </Card>
    }
}

/// How a kind of profile is coloured; it is a word as well.
fn kind_class(kind: &str) -> &'static str {
    match kind {
        "measured" => "chip chip-good",
        "estimated" | "synthetic" => "chip chip-bad",
        _ => "chip chip-warn",
    }
}

/// The choices of the picker: examples, the site's whole profiles, and the user's own if there is one.
fn choices(state: AppState) -> String {
    let whole = state.profile.get().filter(|_| state.source.get() == Source::Whole);
    let own = whole.as_ref().and_then(|choice| match choice.origin {
        Origin::Link => Some(format!("{} (from the link)", choice.name)),
        Origin::Dropped(_) => Some(format!("{} (your file)", choice.name)),
        Origin::Gallery | Origin::Composed(_) => None,
    });
    let recipe = state.recipe.get();
    let examples = examples_by_model();
    let is_chosen = |name: &str, flags: &[(&str, String)]| match &whole {
        Some(choice) => own.is_none() && choice.name == name,
        None if name == DEFAULT_PROFILE => recipe.is_default() || recipe.has_flags(flags),
        None => !flags.is_empty() && recipe.has_flags(flags),
    };
    let mut is_any = own.is_some();
    let mut html = String::new();
    for (model, group) in &examples {
        let options: String = group
            .iter()
            .map(|(example, setup)| {
                let name = example.profile_name();
                let is_it = is_chosen(&name, &example.flags());
                is_any |= is_it;
                html::option(&name, setup, is_it)
            })
            .collect();
        html.push_str(&html::group(short(model), &options));
    }
    let measured = state.gallery.get().into_iter().filter(|entry| entry.name != DEFAULT_PROFILE).map(|entry| {
        let is_it = is_chosen(&entry.name, &[]);
        is_any |= is_it;
        html::option(&entry.name, &format!("{}, {}", short(&entry.model), entry.setup()), is_it)
    });
    html.push_str(&html::group("Measured pass by pass", &measured.collect::<String>()));
    let is_first = own.is_some() || !is_any;
    html::option("", own.as_deref().unwrap_or("none of these"), is_first) + &html
}

#[component]
fn ExamplePicker() -> impl IntoView {
    let state = expect_context::<AppState>();
    let changed = move |event: leptos::ev::Event| {
        let name = event_target_value(&event);
        match sim_core::scenario::examples::Example::of_profile(&name) {
            Some(example) => state.edit(move |editing| (editing.choose_example)(state, &example)),
            None if !name.is_empty() => state.edit(move |editing| (editing.choose_profile)(state, &name)),
            None => {}
        }
    };
    // Only other choices take the place of those that are there.
    let choices = Memo::new(move |_| choices(state));
    view! {
        <div class="field">
            <label class="field-label" for="profile-select">"Example setup"</label>
            <select id="profile-select" data-testid="profile-select" on:change=changed inner_html=choices></select>
        </div>
    }
}
