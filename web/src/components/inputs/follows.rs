//! What follows from model, GPU and formats: how a GPU's memory is divided, and what the KV cache holds.

use leptos::prelude::*;
use sim_core::config::ResolvedEngine;
use sim_core::profile::Profile;
use sim_core::profile::schema::DeviceType;
use sim_core::scenario::told;

use crate::components::live::{heard, live};
use crate::fitting::{NUM_GPUS, fits};
use crate::format::{grouped, three_digits};
use crate::state::{AppState, Source};

const GIB: f64 = 1_073_741_824.0;

/// How the memory of a GPU is divided, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shares {
    total: f64,
    weights: f64,
    /// Activations, CUDA graphs, the runtime.
    other: f64,
    kv_cache: f64,
    num_blocks: u32,
}

impl Shares {
    fn new(profile: &Profile, engine: Option<&ResolvedEngine>) -> Self {
        let (memory, f) = (&profile.memory, sim_core::math::u64_to_f64);
        let other = f(memory.other_resident.bytes) + f(memory.activation_peak.bytes) + f(memory.cuda_graphs.bytes);
        let (num_blocks, kv_cache) = engine.map_or((0, 0.0), |engine| {
            let blocks = engine.config.num_gpu_blocks;
            (blocks, f64::from(blocks) * f(engine.config.kv_cache.bytes_per_block()))
        });
        Self {
            total: f(profile.hardware.total_memory.bytes),
            weights: f(memory.weights.bytes),
            other,
            kv_cache,
            num_blocks,
        }
    }

    /// Share of the whole in percent, at most all of it.
    fn percent(self, bytes: f64) -> f64 {
        if self.total > 0.0 { (100.0 * bytes / self.total).clamp(0.0, 100.0) } else { 0.0 }
    }
}

fn gib(bytes: f64) -> String {
    format!("{} GiB", three_digits(bytes / GIB))
}

/// The part of the card.
#[component]
pub(super) fn Follows() -> impl IntoView {
    let state = expect_context::<AppState>();
    let shares = move || {
        let engine = state.engine.get().and_then(Result::ok);
        state.profile.with(|choice| {
            let profile = &choice.as_ref()?.profile;
            Some((Shares::new(profile, engine.as_deref()), device(profile.hardware.device_type)))
        })
    };
    // While another profile is made, what is shown is of the one before.
    let is_past = move || !state.is_made.get();
    view! {
        <div class="follows" class:follows-past=is_past data-testid="follows">
            {live(move || shares().map(|(shares, device)| view! { <MemoryBar shares device/> }))}
            <KvLine/>
        </div>
        <TooSmall/>
    }
}

#[component]
fn MemoryBar(shares: Shares, device: &'static str) -> impl IntoView {
    let parts = [
        ("weights", "Weights", shares.weights),
        ("other", "Activations, graphs, runtime", shares.other),
        ("kv", "KV cache", shares.kv_cache),
    ];
    let said = parts.map(|(_, name, bytes)| format!("{name} {}", gib(bytes))).join(", ");
    let blocks = (shares.num_blocks > 0).then(|| grouped(f64::from(shares.num_blocks)));
    view! {
        <div class="memory-bar" role="img" data-testid="memory-bar" aria-label=format!("Of {} of memory: {said}", gib(shares.total))>
            {parts.map(|(key, _, bytes)| view! {
                <span class=format!("memory-{key}") style:width=format!("{:.2}%", shares.percent(bytes))></span>
            }).collect_view()}
        </div>
        <dl class="facts memory-facts">
            {parts.map(|(key, name, bytes)| {
                let amount = if bytes > 0.0 { gib(bytes) } else { "–".to_owned() };
                view! {
                    <dt><i class=format!("memory-dot memory-{key}")></i>{name}</dt>
                    <dd data-testid=format!("memory-{key}")>{amount}</dd>
                }
            }).collect_view()}
            {blocks.map(|blocks| view! { <dt class="muted">"KV blocks"</dt><dd data-testid="kv-blocks">{blocks}</dd> })}
            <dt class="muted">{format!("Of each {device}'s")}</dt>
            <dd class="muted">{gib(shares.total)}</dd>
        </dl>
    }
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
        {live(move || line().map(|(line, groups)| view! {
            <p class="kv-line mono" data-testid="kv-line" aria-label="As vLLM logs it">{line}</p>
            {groups.map(|groups| view! { <p class="kv-groups muted" data-testid="kv-groups">{groups}</p> })}
        }))}
    }
}

fn kv_line(engine: &ResolvedEngine, device_type: DeviceType) -> String {
    told::kv_cache_line(&engine.config, device(device_type))
}

/// What vLLM calls the device.
pub(super) const fn device(device_type: DeviceType) -> &'static str {
    match device_type {
        DeviceType::Cuda => "GPU",
        DeviceType::Cpu => "CPU",
    }
}

/// Whether vLLM would not start for want of room for its KV cache.
pub(super) fn is_about_memory(refusal: &str) -> bool {
    ["the KV cache", "KV blocks"].iter().any(|words| refusal.contains(words))
}

/// That vLLM would not start, and how many GPUs are enough.
#[component]
fn TooSmall() -> impl IntoView {
    let state = expect_context::<AppState>();
    let refusal = Memo::new(move |_| {
        let is_form = state.source.get() == Source::Form;
        let refusal = state.engine.with(|engine| engine.as_ref().and_then(|engine| engine.as_ref().err().cloned()));
        refusal.filter(|refusal| is_form && is_about_memory(refusal))
    });
    let known = move || {
        state.num_loaded.track();
        fits()
    };
    let enough = move || known().into_iter().find(|fit| fit.fault.is_empty()).map(|fit| fit.num_gpus);
    let none_is = move || known().len() == NUM_GPUS.len() && known().iter().all(|fit| fit.is_too_small);
    let take = move |number: u32| {
        let value = if number == 1 { String::new() } else { number.to_string() };
        // A number that is offered is one that the flag takes.
        state.edit(move |editing| drop((editing.set_flag)(state, "tensor-parallel-size", &value)));
    };
    view! {
        <div aria-live="polite">
            {live(move || refusal.get().map(|refusal| view! {
                <div class="notice notice-error" data-testid="does-not-fit">
                    <p class="notice-text">{refusal}"."</p>
                    {live(move || enough().map(|number| view! {
                        <p class="fit-actions">
                            <button type="button" class="btn" data-testid="use-enough" on:click=heard(move |_| take(number))>
                                {if number == 1 { "Use 1 GPU".to_owned() } else { format!("Use {number} GPUs") }}
                            </button>
                            "The smallest number that is enough."
                        </p>
                    }))}
                    {live(move || none_is().then(|| view! { <p>"Not even 8 of these GPUs hold it."</p> }))}
                </div>
            }))}
        </div>
    }
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
    fn a_gpu_is_weights_and_cache_and_some_more() {
        let profile = profile();
        let engine = Scenario::default().resolve(&profile).expect("an engine that starts");
        let shares = Shares::new(&profile, Some(&engine));
        assert_eq!(gib(shares.weights), "15.0 GiB");
        let all = shares.weights + shares.other + shares.kv_cache;
        assert!(all > 0.8 * shares.total && all < shares.total, "{shares:?}");
    }
}
