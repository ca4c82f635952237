//! Model & GPU: what runs on what and in which numbers, and what follows from it.

use leptos::prelude::*;
use sim_core::profile::Profile;
use sim_core::profile::schema::DeviceType;

use super::follows::Follows;
use super::icons::{CLOSE, Icon};
use super::model_field::ModelField;
use super::panels::Card;
use super::setup_fields::SetupFields;
use crate::components::live::{heard, live};
use crate::gallery::{DEFAULT_PROFILE, examples_by_model};
use crate::html;
use crate::models::short;
use crate::state::{AppState, Origin, ProfileChoice, Source};

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
    view! {
        <Card title="Model & GPU" testid="card-model" aside>
            // What a choice needs is loaded while it is looked for.
            <div
                class="setup" on:focusin=heard(move |_| state.prepare()) on:pointerenter=heard(move |_| state.prepare())
                data-testid="setup"
            >
                <ExamplePicker/>
                {live(move || match whole.get().and_then(|_| state.profile.get_untracked()) {
                    Some(choice) => view! { <Whole choice/> }.into_any(),
                    None => view! { <ModelField/> <SetupFields/> }.into_any(),
                })}
            </div>
            <Follows/>
            {live(move || state.profile.get().map(|choice| view! { <Origins choice/> }))}
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
            Some(example) => state.choose_example(&example),
            None if !name.is_empty() => state.choose_profile(&name),
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

/// A profile that stands for model, GPU and formats.
#[component]
fn Whole(choice: ProfileChoice) -> impl IntoView {
    let state = expect_context::<AppState>();
    let facts = facts(&choice.profile);
    view! {
        <div class="file-chip" data-testid="whole-profile">
            <span class="file-chip-text">
                <b>{choice.name}</b>
                <span class="muted">"A profile of whole passes: it stands for model, GPU and formats."</span>
            </span>
            <button
                type="button" class="btn btn-ghost btn-icon" data-testid="remove-profile"
                aria-label="Remove the profile" title="Remove the profile: choose model and GPU instead"
                on:click=heard(move |_| state.leave_whole())
            >
                <Icon shape=CLOSE/>
            </button>
        </div>
        <dl class="facts" data-testid="profile-facts">
            {facts.into_iter().map(|(name, value)| view! { <dt>{name}</dt><dd>{value}</dd> }).collect_view()}
        </dl>
    }
}

/// Where the figures come from.
#[component]
fn Origins(choice: ProfileChoice) -> impl IntoView {
    let provenance = choice.profile.provenance.clone();
    let sources = provenance.sources.into_iter().map(|source| {
        let name = format!("{} {} ({})", source.name, source.version, source.licence);
        // A dropped profile may name any address: only what a browser fetches over a safe connection is a link.
        let is_link = source.url.starts_with("https://");
        view! {
            <li>
                {if is_link {
                    view! { <a href=source.url target="_blank" rel="noopener noreferrer">{name}</a> }.into_any()
                } else {
                    name.into_any()
                }}
            </li>
        }
    });
    let notes = provenance.notes.into_iter().map(|note| view! { <li>{note}</li> });
    view! {
        <details class="more" data-testid="profile-notes">
            <summary>"Where the figures come from"</summary>
            <ul class="help-list">{notes.collect_view()}</ul>
            <p class="muted">{format!("Made by {} on {} from:", provenance.tool, provenance.date)}</p>
            <ul class="help-list">{sources.collect_view()}</ul>
            {provenance.host.map(|host| view! { <p class="muted">{format!("On {host}")}</p> })}
        </details>
    }
}

/// What vLLM calls the device.
pub(super) const fn device(device_type: DeviceType) -> &'static str {
    match device_type {
        DeviceType::Cuda => "GPU",
        DeviceType::Cpu => "CPU",
    }
}

fn facts(profile: &Profile) -> Vec<(&'static str, String)> {
    let (hardware, engine) = (&profile.hardware, &profile.engine);
    let count = if hardware.num_devices == 1 { String::new() } else { format!("{} × ", hardware.num_devices) };
    let quantization = engine.quantization.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
    vec![
        ("Model", profile.model.name.clone()),
        (device(hardware.device_type), format!("{count}{}", hardware.name)),
        ("Number format", format!("{}{quantization}, KV cache {}", engine.dtype, engine.kv_cache_dtype)),
        ("Parallel", format!("tp {}, pp {}", engine.tensor_parallel_size, engine.pipeline_parallel_size)),
        ("Timed with", format!("vLLM {}", engine.vllm_version)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_says_what_it_is_of() {
        let file = include_bytes!("../../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");
        let facts = facts(&Profile::from_json(file).expect("the site's own profile"));
        let text: Vec<String> = facts.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert!(text.contains(&"GPU: NVIDIA H100 80GB HBM3".to_owned()), "{text:?}");
        assert!(text.contains(&"Parallel: tp 1, pp 1".to_owned()), "{text:?}");
    }
}
