//! What is told of a profile that is there: what follows from it, where its figures come from, what a whole one is of. A part
//! that comes with what reads profiles.

use leptos::prelude::*;
use sim_core::profile::Profile;

use super::follows::{Follows, device};
use super::icons::{CLOSE, Icon};
use crate::components::live::{heard, live};
use crate::parts::{nothing, part};
use crate::state::{AppState, ProfileChoice};

part! {
    /// What follows from it, and where its figures come from.
    pub(super) fn of_profile() -> fn() -> AnyView { told } in profiles
}
part! {
    /// What stands in the place of model, GPU and formats.
    pub(super) fn whole_profile() -> fn() -> AnyView { whole } in profiles
}

fn told() -> AnyView {
    let state = expect_context::<AppState>();
    view! {
        <Follows/>
        {live(move || state.profile.get().map(|choice| view! { <Origins choice/> }))}
    }
    .into_any()
}

/// A profile that stands for model, GPU and formats.
fn whole() -> AnyView {
    let state = expect_context::<AppState>();
    let Some(choice) = state.profile.get_untracked() else { return nothing() };
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
                on:click=heard(move |_| state.edit(move |editing| (editing.leave_whole)(state)))
            >
                <Icon shape=CLOSE/>
            </button>
        </div>
        <dl class="facts" data-testid="profile-facts">
            {facts.into_iter().map(|(name, value)| view! { <dt>{name}</dt><dd>{value}</dd> }).collect_view()}
        </dl>
    }
    .into_any()
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
