//! Which GPU: a recommendation over GPUs, numbers of them, number formats and flags, with the model in the form.

mod ask;
mod composing;
mod engines;
mod fronts;
mod prices;
mod ranking;
mod split_view;
mod splits;
mod told;

use leptos::prelude::*;
use sim_core::scenario::AskedFor;

use self::ask::{DEFAULT_GPUS, DEFAULT_SEEDS, Gpus, num_gpus};
use self::fronts::Front;
use self::prices::PriceTable;
use self::ranking::{Commands, Ranking};
use self::split_view::SplitCard;
use crate::components::live::{When, heard, live};
use crate::components::plot_view::{PlotSource, PlotView};
use crate::components::questions::inquiry::Status;
use crate::components::questions::options::{Options, ask_otherwise};
use crate::components::questions::recent::Recent;
use crate::format::duration;
use crate::state::{AppState, Source};

/// The whole answer.
#[component]
pub(super) fn GpuAnswer() -> impl IntoView {
    let state = expect_context::<AppState>();
    let gpus = Gpus::new(state);
    let recent = expect_context::<Recent>();
    Effect::new(move |was: Option<bool>| {
        let is_running = gpus.status.get() == Status::Running;
        if was == Some(true) && gpus.status.get_untracked() == Status::Idle {
            recent.keep(state, AskedFor::Gpu, untrack(move || sentence(state, gpus)));
        }
        is_running
    });
    let has_rows = Memo::new(move |_| gpus.told.with(|told| !told.rows.is_empty()));
    let has_excluded = Memo::new(move |_| gpus.told.with(|told| told.is_over && !told.excluded.is_empty()));
    view! {
        <div class="results-head">
            <h2 id="gpu-title" tabindex="-1">"Which GPU?"</h2>
            <Options default_seeds=DEFAULT_SEEDS/>
        </div>
        <Progress gpus/>
        <div class="results-body" data-testid="gpu-body" class:results-old=move || gpus.is_old()>
            <section class="card" aria-label="Answer">
                <div class="card-body"><Sentence gpus/></div>
            </section>
            <When when=Signal::derive(move || has_rows.get())>
                <Fronts gpus/>
                <Ranking gpus/>
                <Commands gpus/>
            </When>
            <When when=Signal::derive(move || has_excluded.get())>
                <details class="card" data-testid="gpu-excluded">
                    <summary class="card-title"><h3>"Not tried, and why"</h3></summary>
                    <div class="card-body">{live(move || list(gpus.told.with(|told| told.excluded.clone())))}</div>
                </details>
            </When>
            <SplitCard gpus/>
            <PriceTable gpus/>
        </div>
    }
}

fn list(lines: Vec<String>) -> impl IntoView {
    view! { <ul class="question-reasons">{lines.into_iter().map(|line| view! { <li>{line}</li> }).collect_view()}</ul> }
}

/// How many that is, to be changed.
#[component]
fn NumGpus() -> impl IntoView {
    let state = expect_context::<AppState>();
    let change = move |event: leptos::ev::Event| {
        let number = event_target_value(&event).parse::<u32>().ok().filter(|number| (1..=100_000).contains(number));
        ask_otherwise(state, &|asking| asking.num_gpus = number.filter(|number| *number != DEFAULT_GPUS));
    };
    view! {
        <label class="question-option">
            <span>"GPUs"</span>
            <input
                class="input question-count" type="number" min="1" max="100000" step="1" data-testid="ask-gpus"
                prop:value=move || num_gpus(state).to_string() on:change=change
            />
        </label>
    }
}

fn sentence(state: AppState, gpus: Gpus) -> String {
    match gpus.status.get() {
        Status::Failed(why) => return why,
        _ if state.source.get() == Source::Whole => {
            return "Choose a model under \"Model & GPU\": the profile in use is a file of one GPU.".to_owned();
        }
        _ => {}
    }
    match gpus.told.with(|told| told.headline.clone()) {
        nothing if nothing.is_empty() => match gpus.status.get() {
            Status::Running => "Loading operator times and composing profiles…".to_owned(),
            _ => {
                format!(
                    "The model in the form on every GPU that was measured, up to {} of them, with and without fp8, and \
                     with other sizes of passes: which costs least?",
                    num_gpus(state)
                )
            }
        },
        headline => headline,
    }
}

/// The answer in sentences.
#[component]
fn Sentence(gpus: Gpus) -> impl IntoView {
    let state = expect_context::<AppState>();
    let is_over = Memo::new(move |_| gpus.told.with(|told| told.is_over));
    let is_good =
        Memo::new(move |_| gpus.told.with(|told| told.is_over && told.rows.iter().any(|row| row.why_not.is_none())));
    let whys = Memo::new(move |_| gpus.told.with(|told| [told.whys.clone(), told.steps.clone()]));
    let missing = Memo::new(move |_| {
        let prices = gpus.prices(state);
        let is_missing = |(key, _): &(String, String)| prices.of(key).is_none();
        let labels: Vec<String> = prices::compared().into_iter().filter(is_missing).map(|(_, label)| label).collect();
        labels.join(", ")
    });
    view! {
        <div class="verdict" class:verdict-good=move || is_good.get() class:verdict-bad=move || is_over.get() && !is_good.get()>
            <p class="verdict-headline" aria-live=move || if is_over.get() { "polite" } else { "off" } data-testid="gpu-headline">
                <span class="verdict-mark" aria-hidden="true">
                    {move || if is_good.get() { "✓" } else if is_over.get() { "✗" } else { "…" }}
                </span>
                <span>{move || sentence(state, gpus)}</span>
            </p>
            {live(move || {
                let [whys, steps] = whys.get();
                let part = |title: &'static str, lines: Vec<String>| (!lines.is_empty()).then(|| view! {
                    <div class="verdict-line"><b>{title}</b>{list(lines)}</div>
                });
                (part("Why: each choice beside the same without it", whys),
                 part("What one step of another flag would change", steps))
            })}
            <When when=Signal::derive(move || !state.asking.get().is_for_throughput && !missing.with(String::is_empty))>
                <p class="verdict-line" data-testid="gpu-missing">
                    {move || format!(
                        "No price is known of {}. Cost ranks only what has one; where none has, setups are ranked by GPUs. Give \
                         a price below.", missing.get()
                    )}
                </p>
            </When>
            <p class="verdict-line verdict-rule">
                <span class="chip chip-warn">"SIMULATED, not measured"</span>
                {move || format!(
                    " Profiles are composed of operators measured on each GPU; GPUs of which nothing was measured are left \
                     out. All other flags are as in the form; {} GPUs of one kind are taken to be there.", num_gpus(state)
                )}
            </p>
        </div>
    }
}

/// The button, how far it is, and what stops it.
#[component]
fn Progress(gpus: Gpus) -> impl IntoView {
    let state = expect_context::<AppState>();
    let is_running = Memo::new(move |_| gpus.status.get() == Status::Running);
    let kinds = [(false, "Cost", "gpu-by-cost"), (true, "GPUs", "gpu-by-gpus")];
    view! {
        <div class="question-progress" data-testid="gpu-progress">
            <progress
                class="run-progress" aria-label="Runs that are over" class:is-idle=move || !is_running.get()
                value=move || gpus.runs.get().done.to_string() max=move || gpus.runs.get().asked.max(1).to_string()
            ></progress>
            <When
                when=Signal::derive(move || is_running.get())
                fallback=move || view! {
                    <button
                        type="button" class="btn btn-primary" data-testid="gpu-compare" disabled=move || !gpus.can_ask()
                        on:click=heard(move |_| gpus.begin(state))
                    >
                        "Compare GPUs"
                    </button>
                }
            >
                <button type="button" class="btn btn-ghost" data-testid="gpu-cancel" on:click=heard(move |_| gpus.cancel())>
                    "Cancel"
                </button>
            </When>
            <div class="tabs" role="group" aria-label="Ranked by">
                {kinds.map(|(by_gpus, words, testid)| view! {
                    <button
                        type="button" class="tab" data-testid=testid
                        aria-pressed=move || (state.asking.get().is_for_throughput == by_gpus).to_string()
                        on:click=heard(move |_| ask_otherwise(state, &|asking| asking.is_for_throughput = by_gpus))
                    >
                        {words}
                    </button>
                }).collect_view()}
            </div>
            <NumGpus/>
            <p class="muted" data-testid="gpu-status">{move || status(gpus)}</p>
        </div>
    }
}

fn status(gpus: Gpus) -> String {
    let runs = gpus.runs.get();
    let counts = gpus.told.with(|told| told.counts.clone());
    match (gpus.status.get(), runs.composing) {
        (Status::Running, Some((done, all))) => format!("Composing: {done} of {all} setups"),
        (Status::Running, None) => format!("{} of {} runs and more", runs.done, runs.asked),
        (Status::Cancelled, _) => format!("Cancelled after {} runs: this is what they say.", runs.done),
        (Status::Failed(_), _) => "Not answered.".to_owned(),
        (Status::Idle, _) if gpus.is_old() => "Settings changed: the answer is of those before.".to_owned(),
        (Status::Idle, _) if !counts.is_empty() => format!("{counts}, in {}.", duration(gpus.wall_ms.get() / 1000.0)),
        (Status::Idle, _) => "Loads the operator times of all GPUs: 8 MB, 2.3 MB where the host compresses.".to_owned(),
    }
}

/// Cost and throughput against interactivity.
#[component]
fn Fronts(gpus: Gpus) -> impl IntoView {
    let has_cost = Memo::new(move |_| gpus.told.with(|told| told.dots.iter().any(|dot| dot.usd.is_some())));
    view! {
        <section class="card" aria-labelledby="gpu-fronts-title" data-testid="gpu-fronts">
            <div class="card-title">
                <h3 id="gpu-fronts-title">"Pareto fronts"</h3>
                <span class="muted card-aside">"every load that was tried to the end and meets"</span>
            </div>
            <div class="card-body">
                <When when=Signal::derive(move || has_cost.get())><FrontView gpus front=Front::Cost/></When>
                <FrontView gpus front=Front::Throughput/>
            </div>
        </section>
    }
}

#[component]
fn FrontView(gpus: Gpus, front: Front) -> impl IntoView {
    let dots = Memo::new(move |_| gpus.told.with(|told| told.dots.clone()));
    let source = PlotSource::new(
        move |frame| dots.with(|dots| front.plot(dots).draw(frame)),
        move |x| dots.with(|dots| front.readings(dots, x)),
        move || dots.with(|dots| front.table(dots)),
        move || dots.with(|dots| front.csv(dots)),
    );
    view! {
        <PlotView
            source
            title=Signal::stored(front.title().to_owned())
            summary=Signal::derive(move || dots.with(|dots| front.summary(dots)))
            height=Signal::stored(300)
            file_stem=Signal::stored(front.stem().to_owned())
        />
    }
}
