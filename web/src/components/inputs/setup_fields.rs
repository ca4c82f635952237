//! The GPU, how many, and the number formats.

use leptos::prelude::*;
use sim_core::operators::gpu_table;
use sim_core::scenario::DEFAULT_GPU;

use super::engine_card::Changed;
use super::field::FlagField;
use super::icons::{CLOSE, Icon};
use crate::components::live::{When, heard, live};
use crate::composer::Fit;
use crate::fitting::{NUM_GPUS, fits};
use crate::html;
use crate::making::known_models;
use crate::state::AppState;

/// What few people set.
const MORE: [&str; 1] = ["dtype"];

/// The fields.
#[component]
pub(super) fn SetupFields() -> impl IntoView {
    let state = expect_context::<AppState>();
    let num_changed = Memo::new(move |_| {
        state.scenario.with(|flags| MORE.iter().filter(|name| flags.value_of(name).is_some()).count())
    });
    view! {
        <div class="setup-grid">
            <GpuField/>
            <GpusField/>
            <FormatField/>
            <KvField/>
        </div>
        <FitNotes/>
        <Experts/>
        <details class="more" data-testid="model-more">
            <summary>"More of the model" <Changed count=num_changed/></summary>
            <div class="settings">{MORE.map(|name| view! { <FlagField name/> }).collect_view()}</div>
        </details>
    }
}

/// Sets a flag; what is refused is told at the model by the next step.
fn choose(state: AppState, flag: &'static str, value: &str) {
    state.is_example.set(false);
    let value = value.to_owned();
    state.edit(move |editing| {
        if let Err(fault) = (editing.set_flag)(state, flag, &value) {
            state.notify(crate::state::NoticeKind::Error, &fault);
        }
    });
}

/// A flag's value as it is in the form.
fn given(state: AppState, flag: &'static str) -> Memo<Option<String>> {
    Memo::new(move |_| state.scenario.with(|scenario| scenario.value_of(flag).map(str::to_owned)))
}

/// The GPUs by what their figures rest on.
fn gpu_choices(state: AppState) -> String {
    let current = state.scenario.with(|scenario| scenario.value_of("gpu").unwrap_or(DEFAULT_GPU).to_owned());
    let (mut measured, mut estimated, mut is_any) = (String::new(), String::new(), false);
    for gpu in &gpu_table::NAMES {
        is_any |= gpu.key == current;
        let group = if gpu.is_measured { &mut measured } else { &mut estimated };
        group.push_str(&html::option(gpu.key, gpu.label, gpu.key == current));
    }
    let stranger = if is_any { String::new() } else { html::option("", &current, true) };
    stranger + &html::group("Operators measured", &measured) + &html::group("Estimated from another GPU", &estimated)
}

#[component]
fn GpuField() -> impl IntoView {
    let state = expect_context::<AppState>();
    let changed = move |event: leptos::ev::Event| {
        let key = event_target_value(&event);
        choose(state, "gpu", if key == DEFAULT_GPU { "" } else { &key });
    };
    let choices = Memo::new(move |_| gpu_choices(state));
    view! {
        <div class="field">
            <label class="field-label" for="gpu-select">"GPU"</label>
            <select
                id="gpu-select" data-testid="gpu-select" on:change=changed inner_html=choices
                hidden=move || state.own_gpu.with(Option::is_some)
            ></select>
            {live(move || state.own_gpu.get().map(|own| view! {
                <div class="file-chip" data-testid="own-gpu">
                    <span class="file-chip-text">{own.name}</span>
                    <button
                        type="button" class="btn btn-ghost btn-icon" aria-label="Remove your GPU"
                        on:click=heard(move |_| state.set_own_gpu(None))
                    >
                        <Icon shape=CLOSE/>
                    </button>
                </div>
            }))}
        </div>
    }
}

/// What is known of a number of GPUs.
fn fault_of(state: AppState, num_gpus: u32) -> Option<String> {
    state.num_loaded.track();
    fits().into_iter().find(|fit| fit.num_gpus == num_gpus && !fit.fault.is_empty()).map(|fit| fit.fault)
}

/// How many GPUs share each layer.
#[component]
fn GpusField() -> impl IntoView {
    let state = expect_context::<AppState>();
    let given = given(state, "tensor-parallel-size");
    let number = move || given.get().and_then(|number| number.parse::<u32>().ok()).unwrap_or(1);
    let chosen = move |event: leptos::ev::Event| {
        let value = event_target_value(&event);
        choose(state, "tensor-parallel-size", if value == "1" { "" } else { &value });
    };
    view! {
        <fieldset class="field segments-field">
            <legend class="field-label">"GPUs"</legend>
            <div class="segments" on:change=chosen>
                {NUM_GPUS.map(|count| view! {
                    <label
                        class="segment" class:segment-bad=move || fault_of(state, count).is_some()
                        title=move || fault_of(state, count).unwrap_or_default()
                    >
                        <input
                            type="radio" name="num-gpus" value=count.to_string() data-testid=format!("gpus-{count}")
                            prop:checked=move || number() == count aria-describedby="fit-notes"
                        />
                        <span>{count}</span>
                    </label>
                }).collect_view()}
                // Another number, from a command: there to be seen, not to be chosen.
                <span class="segment segment-other" hidden=move || NUM_GPUS.contains(&number())>{live(number)}</span>
            </div>
        </fieldset>
    }
}

/// Why some numbers of GPUs are marked, in one line.
fn fit_notes(fits: &[Fit]) -> Option<String> {
    let list = |is_too_small: bool| {
        let numbers = fits.iter().filter(|fit| !fit.fault.is_empty() && fit.is_too_small == is_too_small);
        numbers.map(|fit| fit.num_gpus.to_string()).collect::<Vec<_>>().join(", ")
    };
    let small = list(true);
    let small = (!small.is_empty()).then(|| format!("Too little memory with {small}."));
    let others = fits.iter().filter(|fit| !fit.fault.is_empty() && !fit.is_too_small);
    let others: Vec<String> = others.map(|fit| format!("{}: {}.", fit.num_gpus, fit.fault)).collect();
    let told: Vec<String> = small.into_iter().chain(others).collect();
    (!told.is_empty()).then(|| told.join(" "))
}

#[component]
fn FitNotes() -> impl IntoView {
    let state = expect_context::<AppState>();
    let told = move || {
        state.num_loaded.track();
        fit_notes(&fits()).unwrap_or_default()
    };
    view! { <p class="field-help fit-notes" id="fit-notes" data-testid="fit-notes">{live(told)}</p> }
}

/// A choice of the formats: what it sets, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Format {
    /// The checkpoint's own.
    Own,
    /// `--quantization`.
    Method(String),
    /// Another checkpoint of the model.
    Checkpoint(String),
}

/// Endings of names, with what the weights then are.
const CHECKPOINTS: [(&str, &str); 3] =
    [("AWQ", "AWQ, 4 bits"), ("quantized.w4a16", "GPTQ, 4 bits"), ("NVFP4", "NVFP4, 4 bits")];

/// The formats that apply to the model in the form, with their names.
fn formats(state: AppState) -> Vec<(Format, String)> {
    let facts = state.model_facts();
    let own = facts.as_ref().and_then(|facts| facts.quantization.clone().or_else(|| facts.dtype.clone()));
    let own = own.as_deref().map_or("bf16", |name| if name == "bfloat16" { "bf16" } else { name });
    let mut all = vec![(Format::Own, format!("{own} (checkpoint)"))];
    let is_quantized = facts.is_some_and(|facts| facts.quantization.is_some());
    if !is_quantized {
        all.push((Format::Method("fp8".to_owned()), "fp8 (by vLLM)".to_owned()));
    }
    let given = state.scenario.with(|scenario| scenario.value_of("quantization").map(str::to_owned));
    if let Some(method) = given.filter(|method| is_quantized || method != "fp8") {
        all.push((Format::Method(method.clone()), method));
    }
    let model = state.recipe.with(crate::recipe::Recipe::model_name);
    let has_own = state.own_model.with(Option::is_some);
    let Some(known) = known_models().filter(|_| !has_own) else { return all };
    let Ok(found) = known.listed(&model) else { return all };
    if found.is_variant {
        all.push((Format::Checkpoint(found.name), "not quantised".to_owned()));
    }
    for (ending, label) in CHECKPOINTS.iter().filter(|_| !is_quantized) {
        let name = format!("{model}-{ending}");
        if known.listed(&name).is_ok() {
            all.push((Format::Checkpoint(name), (*label).to_owned()));
        }
    }
    all
}

/// Number format of the weights.
#[component]
fn FormatField() -> impl IntoView {
    let state = expect_context::<AppState>();
    let given = given(state, "quantization");
    let changed = move |event: leptos::ev::Event| {
        let place = event_target_value(&event).parse::<usize>().ok();
        let mut all = untrack(|| formats(state));
        match place.filter(|place| *place < all.len()).map(|place| all.swap_remove(place).0) {
            Some(Format::Own) => choose(state, "quantization", ""),
            Some(Format::Method(method)) => choose(state, "quantization", &method),
            Some(Format::Checkpoint(name)) => {
                choose(state, "quantization", "");
                state.edit(move |editing| drop((editing.choose_model)(state, &name)));
            }
            None => {}
        }
    };
    let choices = Memo::new(move |_| {
        let given = given.get();
        let is_it = |format: &Format| match format {
            Format::Own => given.is_none(),
            Format::Method(method) => given.as_ref() == Some(method),
            Format::Checkpoint(_) => false,
        };
        let all = formats(state);
        let options = all.iter().enumerate();
        options.map(|(place, (format, name))| html::option(&place.to_string(), name, is_it(format))).collect::<String>()
    });
    view! {
        <div class="field">
            <label class="field-label" for="format-select">"Weights"</label>
            <select id="format-select" data-testid="format-select" on:change=changed inner_html=choices></select>
        </div>
    }
}

/// Number format of keys and values.
#[component]
fn KvField() -> impl IntoView {
    let state = expect_context::<AppState>();
    let given = given(state, "kv-cache-dtype");
    let changed = move |event: leptos::ev::Event| {
        let value = event_target_value(&event);
        choose(state, "kv-cache-dtype", if value == "auto" { "" } else { &value });
    };
    let choices = Memo::new(move |_| {
        let given = given.get().unwrap_or_else(|| "auto".to_owned());
        let known = [("auto", "auto"), ("fp8", "fp8")];
        let other = if known.iter().any(|(value, _)| *value == given) {
            String::new()
        } else {
            html::option(&given, &given, true)
        };
        known.map(|(value, name)| html::option(value, name, value == given)).concat() + &other
    });
    view! {
        <div class="field">
            <label class="field-label" for="kv-select">"KV cache"</label>
            <select id="kv-select" data-testid="kv-select" on:change=changed inner_html=choices></select>
        </div>
    }
}

/// Whether experts are shared out; for models that have some.
#[component]
fn Experts() -> impl IntoView {
    let state = expect_context::<AppState>();
    let has_experts = Memo::new(move |_| state.model_facts().is_some_and(|facts| facts.num_experts > 0));
    let is_on =
        Memo::new(move |_| state.scenario.with(|scenario| scenario.value_of("enable-expert-parallel") == Some("true")));
    let changed = move |event: leptos::ev::Event| {
        choose(state, "enable-expert-parallel", if event_target_checked(&event) { "true" } else { "" });
    };
    view! {
        <When when=Signal::derive(move || has_experts.get() || is_on.get())>
            <label class="field-check">
                <input type="checkbox" data-testid="expert-parallel" prop:checked=is_on on:change=changed/>
                "Expert parallel" <span class="field-flag">"--enable-expert-parallel"</span>
            </label>
        </When>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_numbers_of_gpus_are_explained_in_one_line() {
        let fit = |num_gpus, fault: &str, is_too_small| Fit { num_gpus, fault: fault.to_owned(), is_too_small };
        let fits = [fit(1, "no room", true), fit(2, "no room", true), fit(4, "", false), fit(8, "40 heads", false)];
        assert_eq!(fit_notes(&fits).as_deref(), Some("Too little memory with 1, 2. 8: 40 heads."));
        assert_eq!(fit_notes(&fits[2..3]), None);
    }
}
