//! Help: keys, what the numbers mean, what is modelled.

use leptos::prelude::*;

use super::dialog::Dialog;
use crate::components::results::definitions::definition;
use crate::parts::{later, nothing, part};
use sim_core::config::VllmVersion;

/// A key and what it does.
const KEYS: [(&[&str], &str); 9] = [
    (&["Ctrl", "Enter"], "Run; in the command box, apply"),
    (&["Esc"], "Cancel the run, close what is open"),
    (&["Ctrl", "O"], "Open files"),
    (&["Ctrl", "V"], "Paste a command, a link or a file, outside the fields"),
    (&["Ctrl", "S"], "Save the scenario as a file"),
    (&["1", "2", "3", "4"], "TTFT, TPOT, ITL, E2EL"),
    (&["L"], "Logarithmic axis"),
    (&["C"], "Pin the run to compare with"),
    (&["?"], "This help"),
];

/// What can be opened.
const FILES: [(&str, &str); 7] = [
    ("Profile", "step times of a GPU and a model, as profiler writes it: stands for both until it is removed"),
    ("Trace", "Azure, BurstGPT, Mooncake and other timed traces: becomes the dataset"),
    ("vllm bench serve result", "JSON of --save-result: laid over the prediction as \"measured\""),
    ("config.json", "of a model: becomes the model; an hf_quant_config.json beside it says how it is quantised"),
    ("Pack", "a GPU's operators, as profiler writes them: becomes the GPU"),
    (
        "Command",
        "vllm serve, docker run, a compose file, a manifest, vllm bench serve, profiler simulate: fills the form",
    ),
    ("Scenario", "a link or a saved scenario"),
];

const MODELLED: [&str; 5] = [
    "Exactly: the scheduler's passes, preemption, the KV block pool and prefix cache over groups of layers (windows, \
     chunks, states), speculative decoding, chunked prefill, async scheduling, vLLM's defaults and refusals, and the load \
     that vllm bench serve sends.",
    "From the profile: the time of each pass, read between measured points. How far to trust it stands beside the results.",
    "Simplified: requests reach the client without network jitter, and the API server's front end is a time per request \
     and per token without a queue of its own.",
    "Part of the workload, never predicted: how many drafts of speculative decoding are accepted.",
    "Not simulated, and refused by name: LoRA, structured output, KV transfer and offloading, multimodal input, data and \
     context parallelism, suffix decoding.",
];

/// The dialog.
#[component]
pub(super) fn HelpDialog(is_open: RwSignal<bool>) -> impl IntoView {
    view! {
        <Dialog is_open id="help-dialog" title="Help">
            {later(|| Box::pin(help()), nothing)}
        </Dialog>
    }
}

part! {
    /// What stands in the dialog.
    fn help() -> fn() -> AnyView { content } in dialogs
}

fn content() -> AnyView {
    view! {
        <section class="help-part">
            <h3>"What the numbers mean"</h3>
            <dl class="help-terms">
                {["ttft", "tpot", "itl", "e2el", "request_goodput"].into_iter().filter_map(term).collect_view()}
            </dl>
        </section>
        <section class="help-part">
            <h3>{format!("What is modelled (vLLM {} and {}, V1 engine)", VllmVersion::V0_32, VllmVersion::V0_33)}</h3>
            <ul class="help-list">{MODELLED.map(|line| view! { <li>{line}</li> }).collect_view()}</ul>
            <p class="muted">"The whole list, with vLLM's own files, is in FIDELITY.md of the source."</p>
        </section>
        <section class="help-part">
            <h3>"What can be opened, dropped or pasted"</h3>
            <dl class="help-pairs">
                {FILES.map(|(name, what)| view! { <dt>{name}</dt><dd>{what}</dd> }).collect_view()}
            </dl>
            <p class="muted">"Everything stays in this browser: the page sends nothing anywhere."</p>
        </section>
        <section class="help-part">
            <h3>"Keys"</h3>
            <dl class="help-pairs">
                {KEYS.map(|(keys, what)| view! {
                    <dt>{keys.iter().map(|key| view! { <kbd class="kbd">{*key}</kbd>" " }).collect_view()}</dt>
                    <dd>{what}</dd>
                }).collect_view()}
            </dl>
            <p class="muted">"Single letters are off while you type. On a Mac, Cmd is Ctrl."</p>
        </section>
    }
    .into_any()
}

fn term(key: &'static str) -> Option<impl IntoView> {
    let definition = definition(key)?;
    let name = match key {
        "request_goodput" => "Goodput".to_owned(),
        key => key.to_uppercase(),
    };
    Some(view! {
        <dt>{name}<span class="muted">" "{definition.header}</span></dt>
        <dd>
            <code class="mono help-formula">{definition.formula}</code>
            <span>{definition.meaning}</span>
        </dd>
    })
}
