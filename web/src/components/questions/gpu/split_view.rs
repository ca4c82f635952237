//! How GPUs are divided among prefill and decode, shown: the button, what is recommended, each split, and the command.

use leptos::prelude::*;
use sim_core::answers::recommend::splits::told::{Outcome, Row};
use sim_core::scenario::command::Program;

use super::ask::{DEFAULT_SEEDS, Gpus, num_gpus};
use super::ranking::gpus_typed;
use super::splits::Divided;
use crate::components::live::{When, heard, live};
use crate::components::questions::inquiry::Status;
use crate::components::questions::options::typed;
use crate::components::results::parts::CopyButton;
use crate::format::{duration, grouped};
use crate::state::AppState;

/// The card.
#[component]
pub(super) fn SplitCard(gpus: Gpus) -> impl IntoView {
    let state = expect_context::<AppState>();
    let divided = Divided::new(state, gpus);
    let has_rows = Memo::new(move |_| divided.told.with(|told| !told.rows.is_empty()));
    view! {
        <section class="card" aria-labelledby="split-title" data-testid="split">
            <div class="card-title">
                <h3 id="split-title">"Prefill and decode apart?"</h3>
                <span class="muted card-aside">
                    {move || format!("ways to divide {} of the GPU in the form", num_gpus(state))}
                </span>
            </div>
            <div class="card-body" class:results-old=move || divided.is_old()>
                <Progress divided/>
                <Sentences divided/>
                <When when=Signal::derive(move || has_rows.get())><Table divided/></When>
            </div>
            <When when=Signal::derive(move || divided.asked.with(Option::is_some))><Command divided/></When>
        </section>
    }
}

#[component]
fn Progress(divided: Divided) -> impl IntoView {
    let state = expect_context::<AppState>();
    let is_running = Memo::new(move |_| divided.status.get() == Status::Running);
    view! {
        <div class="question-progress">
            <progress
                class="run-progress" aria-label="Runs of splits that are over" class:is-idle=move || !is_running.get()
                value=move || divided.runs.get().done.to_string() max=move || divided.runs.get().asked.max(1).to_string()
            ></progress>
            <When
                when=Signal::derive(move || is_running.get())
                fallback=move || view! {
                    <button
                        type="button" class="btn" data-testid="split-compare" disabled=move || !divided.can_ask()
                        on:click=heard(move |_| divided.begin(state))
                    >
                        "Compare splits"
                    </button>
                }
            >
                <button type="button" class="btn btn-ghost" data-testid="split-cancel" on:click=heard(move |_| divided.cancel())>
                    "Cancel"
                </button>
            </When>
            <p class="muted" data-testid="split-status">{move || status(divided)}</p>
        </div>
    }
}

fn status(divided: Divided) -> String {
    let runs = divided.runs.get();
    match divided.status.get() {
        Status::Running => format!("{} of {} runs and more", runs.done, runs.asked),
        Status::Cancelled => format!("Cancelled after {} runs.", runs.done),
        Status::Failed(_) => "Not answered.".to_owned(),
        Status::Idle if divided.is_old() => "Settings changed: the answer is of those before.".to_owned(),
        Status::Idle if divided.told.with(|told| told.is_over) => {
            format!("{} runs, in {}.", runs.done, duration(divided.wall_ms.get() / 1000.0))
        }
        Status::Idle => "Dozens of runs of all engines for each split.".to_owned(),
    }
}

#[component]
fn Sentences(divided: Divided) -> impl IntoView {
    let sentences = move || match divided.status.get() {
        Status::Failed(why) => vec![why],
        _ => divided.told.with(|told| told.sentences.clone()),
    };
    let is_over = Memo::new(move |_| divided.told.with(|told| told.is_over));
    let is_good = Memo::new(move |_| divided.told.with(|told| told.is_over && told.is_any));
    view! {
        <div
            class="verdict" aria-live="polite" data-testid="split-answer" class:verdict-good=move || is_good.get()
            class:verdict-bad=move || is_over.get() && !is_good.get()
        >
            {live(move || sentences().into_iter().map(|line| view! { <p class="verdict-line">{line}</p> }).collect_view())}
            <When
                when=Signal::derive(move || !is_over.get() && divided.status.get() == Status::Idle)
            >
                <p class="verdict-line muted">
                    "The same engine as replicas that all do both, and with some of them computing prompts for the others to \
                     answer (--prefill-replicas, --decode-replicas): which carries most within the objectives?"
                </p>
            </When>
        </div>
    }
}

#[component]
fn Table(divided: Divided) -> impl IntoView {
    let rows = Memo::new(move |_| divided.told.with(|told| told.rows.clone()));
    let unit = move || divided.asked.with(|key| key.as_ref().map_or("", |key| key.inquiry.question.unit()));
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label="What each split carries">
            <table class="table question-table" data-testid="split-table">
                <thead>
                    <tr>
                        <th scope="col" class="text">"Split"</th>
                        <th scope="col">"GPUs"</th>
                        <th scope="col">"Carries, " {unit}</th>
                        <th scope="col">"95 % over seeds"</th>
                        <th scope="col">"P99 TTFT"</th>
                        <th scope="col">"P99 TPOT"</th>
                        <th scope="col">"tokens/s"</th>
                        <th scope="col">"Against together"</th>
                    </tr>
                </thead>
                <tbody>{live(move || rows.get().into_iter().map(row).collect_view())}</tbody>
            </table>
        </div>
    }
}

fn row(row: Row) -> impl IntoView {
    let Row { split, is_best, gpus, outcome } = row;
    let cells: Vec<String> = match outcome {
        Outcome::Excluded(why) => return word(split.to_string(), why).into_any(),
        Outcome::Unknown => return word(split.to_string(), "…".to_owned()).into_any(),
        Outcome::Nothing => {
            return word(split.to_string(), "carries nothing within the objectives".to_owned()).into_any();
        }
        Outcome::Carries(carried) => {
            let ms = |value: f64| format!("{} ms", crate::format::three_digits(value));
            vec![
                gpus.to_string(),
                carried.load(),
                carried.range(" – "),
                ms(carried.p99_ms[0]),
                ms(carried.p99_ms[1]),
                grouped(carried.tokens_per_second),
                carried.against(),
            ]
        }
    };
    view! {
        <tr class:is-best=is_best>
            <th scope="row" class="text">
                {split.to_string()} {is_best.then(|| view! { " " <span class="chip">"recommended"</span> })}
            </th>
            {cells.into_iter().map(|cell| view! { <td>{cell}</td> }).collect_view()}
        </tr>
    }
    .into_any()
}

/// A split of which there are no figures.
fn word(split: String, why: String) -> impl IntoView {
    view! {
        <tr>
            <th scope="row" class="text">{split}</th>
            <td class="text muted" colspan="7"><span class="question-why">{why}</span></td>
        </tr>
    }
}

#[component]
fn Command(divided: Divided) -> impl IntoView {
    let state = expect_context::<AppState>();
    let ask = Memo::new(move |_| {
        let Some(key) = divided.asked.get() else { return String::new() };
        let simulate = state.command_of(Program::Simulate, &key.inquiry.scenario);
        let options = format!("{}{}", gpus_typed(key.num_gpus), typed(&key.inquiry.question, DEFAULT_SEEDS));
        simulate.replacen("profiler simulate", &format!("profiler recommend --disaggregated{options}"), 1)
    });
    view! {
        <div class="card-title">
            <h3>"The same splits on the command line"</h3>
            <div class="toolbar"><CopyButton text=ask what="the question of splits" testid="split-copy-command"/></div>
        </div>
        <div class="card-body">
            <pre class="report-text mono" tabindex="0" role="region" aria-label="Question of splits" data-testid="split-command">{ask}</pre>
            <p class="muted report-digest">
                "Digest of all runs, the same in --output-json: "
                <code class="mono" data-testid="split-digest">
                    {move || divided.told.with(|told| format!("{:016x}", told.digest))}
                </code>
            </p>
        </div>
    }
}
