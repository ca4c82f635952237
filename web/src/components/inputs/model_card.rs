//! Model & GPU: the profile, and what it says of itself.

use leptos::prelude::*;
use sim_core::config::ResolvedEngine;
use sim_core::profile::Profile;
use sim_core::profile::schema::DeviceType;
use sim_core::scenario::told;

use super::panels::Card;
use crate::gallery::by_model;
use crate::state::{AppState, Origin, ProfileChoice};

/// The card.
#[component]
pub(super) fn ModelCard() -> impl IntoView {
    let state = expect_context::<AppState>();
    let kind = move || state.profile.with(|choice| choice.as_ref().map(|choice| choice.profile.provenance.kind.name()));
    let aside =
        move || kind().map(|kind| view! { <span class=kind_class(kind) data-testid="profile-kind">{kind}</span> });
    view! {
        <Card title="Model & GPU" testid="card-model" aside>
            <ProfilePicker/>
            {move || state.profile.get().map(|choice| view! { <Facts choice/> })}
            <KvLine/>
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

/// The site's profiles, and the user's own if there is one.
#[component]
fn ProfilePicker() -> impl IntoView {
    let state = expect_context::<AppState>();
    let own = move || {
        state.profile.with(|choice| {
            let choice = choice.as_ref().filter(|choice| choice.origin != Origin::Gallery)?;
            let whence = if choice.origin == Origin::Link { "from the link" } else { "your file" };
            Some(format!("{} ({whence})", choice.name))
        })
    };
    let is_chosen = move |name: &str| {
        state.profile.with(|choice| {
            choice.as_ref().is_some_and(|choice| choice.origin == Origin::Gallery && choice.name == name)
        })
    };
    let changed = move |event: leptos::ev::Event| {
        let name = event_target_value(&event);
        if !name.is_empty() {
            state.choose_profile(&name);
        }
    };
    let note = move || {
        state.gallery.with(|gallery| {
            gallery.iter().find(|entry| is_chosen(&entry.name)).map(|entry| entry.note.clone()).unwrap_or_default()
        })
    };
    view! {
        <div class="field">
            <label class="field-label" for="profile-select">"Profile"</label>
            <select id="profile-select" data-testid="profile-select" aria-describedby="profile-note" on:change=changed>
                {move || own().map(|own| view! { <option value="" selected>{own}</option> })}
                {move || {
                    let groups = state.gallery.with(|entries| by_model(entries));
                    groups.into_iter().map(|(model, group)| {
                        let options = group.into_iter().map(|entry| {
                            let (name, setup) = (entry.name.clone(), entry.setup());
                            view! { <option value=entry.name prop:selected=move || is_chosen(&name)>{setup}</option> }
                        });
                        view! { <optgroup label=short(&model).to_owned()>{options.collect_view()}</optgroup> }
                    }).collect_view()
                }}
            </select>
            <p class="field-help" id="profile-note">
                {note}
                " Your own: drop the file anywhere on the page, or press Open."
            </p>
        </div>
    }
}

/// A model's name without its owner.
fn short(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// What the profile is of.
#[component]
fn Facts(choice: ProfileChoice) -> impl IntoView {
    let profile = choice.profile;
    let facts = facts(&profile);
    let provenance = profile.provenance.clone();
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
        <dl class="facts" data-testid="profile-facts">
            {facts.into_iter().map(|(name, value)| view! { <dt>{name}</dt><dd>{value}</dd> }).collect_view()}
        </dl>
        <details class="more" data-testid="profile-notes">
            <summary>"Where the figures come from"</summary>
            <ul class="help-list">{notes.collect_view()}</ul>
            <p class="muted">{format!("Made by {} on {} from:", provenance.tool, provenance.date)}</p>
            <ul class="help-list">{sources.collect_view()}</ul>
            {provenance.host.map(|host| view! { <p class="muted">{format!("On {host}")}</p> })}
        </details>
    }
}

const fn device(device_type: DeviceType) -> &'static str {
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

/// The KV cache in the words of vLLM's log.
#[component]
fn KvLine() -> impl IntoView {
    let state = expect_context::<AppState>();
    let line = move || {
        let device_type =
            state.profile.with(|choice| choice.as_ref().map(|choice| choice.profile.hardware.device_type))?;
        let engine = state.engine.get().and_then(Result::ok)?;
        Some((kv_line(&engine, device_type), told::several_groups(&engine.config.kv_cache)))
    };
    view! {
        {move || line().map(|(line, groups)| view! {
            <p class="kv-line mono" data-testid="kv-line" aria-label="As vLLM logs it">{line}</p>
            {groups.map(|groups| view! { <p class="kv-groups muted" data-testid="kv-groups">{groups}</p> })}
        })}
    }
}

fn kv_line(engine: &ResolvedEngine, device_type: DeviceType) -> String {
    told::kv_cache_line(&engine.config, device(device_type))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::scenario::Scenario;

    fn profile() -> Profile {
        let file = include_bytes!("../../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");
        Profile::from_json(file).expect("the site's own profile")
    }

    #[test]
    fn the_kv_cache_is_told_as_vllm_logs_it() {
        let mut scenario = Scenario::default();
        for (flag, value) in [("num-gpu-blocks-override", "1000"), ("max-model-len", "1024")] {
            scenario.set(flag, Some(value)).expect("a valid flag");
        }
        let engine = scenario.resolve(&profile()).expect("an engine that starts");
        let expect = "GPU KV cache size: 16,000 tokens, Maximum concurrency for 1,024 tokens per request: 15.62x";
        assert_eq!(kv_line(&engine, DeviceType::Cuda), expect);
        assert!(kv_line(&engine, DeviceType::Cpu).starts_with("CPU KV cache size: 16,000 tokens"), "as on a processor");
    }

    #[test]
    fn a_profile_says_what_it_is_of() {
        let facts = facts(&profile());
        let text: Vec<String> = facts.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert!(text.contains(&"GPU: NVIDIA H100 80GB HBM3".to_owned()), "{text:?}");
        assert!(text.contains(&"Parallel: tp 1, pp 1".to_owned()), "{text:?}");
    }
}
