//! How much load: the highest that meets the objectives, in a sentence, as a curve, and as a command.

mod ask;
mod curve;
mod failure;
mod tiles;

use std::sync::Arc;

use leptos::prelude::*;
use sim_core::answers::capacity::{LoadKind, Question};
use sim_core::scenario::AskedFor;
use sim_core::scenario::command::Program;

use self::ask::Load;
use self::curve::{LATENCIES, Panel};
use self::failure::Failure;
use self::tiles::{Tile, tiles};
use crate::components::example::Example;
use crate::components::live::{When, heard, live};
use crate::components::plot_view::{PlotSource, PlotView};
use crate::components::questions::inquiry::{DEFAULT_SEEDS, DEFAULT_SHARE, Status};
use crate::components::questions::options::{Options, typed};
use crate::components::questions::recent::Recent;
use crate::components::results::parts::CopyButton;
use crate::format::{duration, grouped};
use crate::searching::Found;
use crate::state::AppState;
use crate::telling::tell_answered;

/// The whole answer.
#[component]
pub(super) fn LoadAnswer() -> impl IntoView {
    let state = expect_context::<AppState>();
    let load = Load::new(state);
    let recent = expect_context::<Recent>();
    Effect::new(move |_| {
        let over = load.found.get().filter(|found| found.is_over);
        if let Some(found) = over.filter(|_| !state.is_example.get_untracked()) {
            recent.keep(state, AskedFor::Load, found.question.headline(&found.answer));
        }
    });
    Effect::new(move |_| {
        let is_over = load.found.with(|found| found.as_ref().is_some_and(|found| found.is_over));
        if is_over || load.status.with(|status| matches!(status, Status::Failed(_))) {
            tell_answered();
        }
    });
    let has_found = Memo::new(move |_| load.found.with(Option::is_some));
    let is_failed = Memo::new(move |_| load.status.with(|status| matches!(status, Status::Failed(_))));
    // Something was asked since, and nothing is known of it yet.
    let is_old = Memo::new(move |_| is_failed.get() && has_found.get());
    view! {
        <div class="results-head">
            <h2 id="load-title" tabindex="-1">"How much load?"</h2>
            <Example question=AskedFor::Load/>
            <Options default_seeds=DEFAULT_SEEDS/>
        </div>
        <div>
            <Progress load/>
            <Failure load/>
        </div>
        <When when=Signal::derive(move || has_found.get()) fallback=move || view! { <Waiting load/> }>
            <div class="results-body" class:results-old=move || is_old.get() data-testid="load-body">
                <section class="card" aria-label="Answer">
                    <div class="card-body"><Sentence load/></div>
                </section>
                <div class="tiles">
                    {live(move || load.found.with(|found| found.as_deref().map(tiles).unwrap_or_default()).into_iter().map(tile).collect_view())}
                </div>
                <Curves load/>
                <Command load/>
            </div>
        </When>
    }
}

fn read<T: Default>(load: Load, read: impl FnOnce(&Found) -> T) -> T {
    load.found.with(|found| found.as_deref().map(read).unwrap_or_default())
}

/// Before anything is known.
#[component]
fn Waiting(load: Load) -> impl IntoView {
    let state = expect_context::<AppState>();
    let is_coming = move || load.status.with(|status| matches!(status, Status::Idle | Status::Running));
    let said = move || match load.status.get() {
        _ if !state.is_made.get() => "Waiting for the profile of model and GPU…",
        Status::Cancelled => "No answer: it was cancelled.",
        Status::Failed(_) => "No answer: why is said above.",
        Status::Idle | Status::Running => "Trying loads…",
    };
    view! {
        <section class="card" aria-label="Answer to come">
            <div class="card-body">
                <p class:skeleton-status=is_coming role="status">{said}</p>
                <When when=Signal::derive(is_coming)><div class="skeleton-plot" aria-hidden="true"></div></When>
            </div>
        </section>
    }
}

/// How far it is, and what stops it. The bar keeps its place, so that nothing moves when it is over.
#[component]
fn Progress(load: Load) -> impl IntoView {
    let is_running = Memo::new(move |_| load.status.with(|status| *status == Status::Running));
    let is_stopped = Memo::new(move |_| load.status.with(|status| *status == Status::Cancelled));
    let done = Memo::new(move |_| read(load, |found| (found.num_done, found.num_planned.max(1))));
    view! {
        <div class="question-progress" data-testid="load-progress">
            <progress
                class="run-progress" aria-label="Runs that are over" class:is-idle=move || !is_running.get()
                value=move || if is_running.get() { done.get().0.to_string() } else { "0".to_owned() }
                max=move || done.get().1.max(1).to_string()
            ></progress>
            <p class="muted" data-testid="load-status">{move || status(load)}</p>
            <When when=Signal::derive(move || is_running.get())>
                <button type="button" class="btn btn-ghost" data-testid="load-cancel" on:click=heard(move |_| load.cancel())>
                    "Cancel"
                </button>
            </When>
            <When when=Signal::derive(move || is_stopped.get())>
                <button type="button" class="btn" data-testid="load-again" on:click=heard(move |_| load.again())>
                    "Go on"
                </button>
            </When>
        </div>
    }
}

fn status(load: Load) -> String {
    let counted =
        |found: &Found| (found.num_done, found.num_planned, found.is_over, found.wall_ms, found.answer.curve.len());
    let (done, planned, is_over, wall_ms, num_loads) = read(load, counted);
    match load.status.get() {
        Status::Running if is_over || done == 0 => "Trying loads…".to_owned(),
        Status::Running => format!("{done} of about {planned} runs: partial answer"),
        Status::Cancelled if !is_over => format!("Cancelled after {done} runs: this is what they say."),
        Status::Cancelled => "Cancelled.".to_owned(),
        Status::Failed(_) => "Not answered.".to_owned(),
        Status::Idle if is_over => {
            let runs = grouped(f64::from(done));
            format!("{num_loads} loads, {runs} runs, in {}.", duration(wall_ms / 1000.0))
        }
        Status::Idle => String::new(),
    }
}

/// The answer in sentences.
#[component]
fn Sentence(load: Load) -> impl IntoView {
    let headline = Memo::new(move |_| {
        read(load, |found| {
            let headline = found.question.headline(&found.answer);
            if found.is_over { headline } else { format!("So far: {}", lower_first(&headline)) }
        })
    });
    let lines = Memo::new(move |_| read(load, |found| found.question.lines(&found.answer)));
    let is_good = move || read(load, |found| found.is_over && found.answer.capacity.is_some());
    let is_bad = move || read(load, |found| found.is_over && found.answer.capacity.is_none());
    view! {
        <div class="verdict" class:verdict-good=is_good class:verdict-bad=is_bad data-testid="load-answer">
            <p class="verdict-headline" aria-live=move || if is_good() || is_bad() { "polite" } else { "off" } data-testid="load-headline">
                <span class="verdict-mark" aria-hidden="true">
                    {move || if is_good() { "✓" } else if is_bad() { "✗" } else { "…" }}
                </span>
                <span>{headline}</span>
            </p>
            {live(move || lines.get().into_iter().map(|line| {
                let (label, text) = line.split_once(": ").map_or((None, line.as_str()), |(label, text)| (Some(label), text));
                view! {
                    <p class="verdict-line">
                        {label.map(|label| view! { <b>{format!("{}:", upper_first(label))}</b> " " })}
                        {if label.is_some() { text.to_owned() } else { format!("{}.", upper_first(text)) }}
                    </p>
                }
            }).collect_view())}
            <p class="verdict-line verdict-rule">
                <span class="chip chip-warn">"SIMULATED, not measured"</span>
                " Every load is run with the same seeds; the interval says how much depends on them, not how far the \
                 profile may be off: that is said under \"What if?\"."
            </p>
        </div>
    }
}

fn upper_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn tile(Tile { name, value, about, testid }: Tile) -> impl IntoView {
    view! {
        <div class="tile">
            <div class="tile-head"><span class="term-label-plain">{name}</span></div>
            <dl class="tile-main">
                <div class="tile-first"><dt class="visually-hidden">{name}</dt><dd data-testid=testid>{value}</dd></div>
            </dl>
            <p class="tile-note muted">{about}</p>
        </div>
    }
}

/// Latencies, what meets and what is answered, above each other over one axis of load.
#[component]
fn Curves(load: Load) -> impl IntoView {
    // Until somebody chooses: what fails first.
    let choice = RwSignal::new(None::<usize>);
    let first = Memo::new(move |before: Option<&usize>| {
        let first = read(load, |found| {
            found.question.first_to_fail(&found.answer).or_else(|| found.question.bounds().first().map(|bound| bound.0))
        });
        first.or(before.copied()).unwrap_or(0)
    });
    let chosen = Memo::new(move |_| choice.get().unwrap_or_else(|| first.get()));
    let zoom = RwSignal::new(None::<(f64, f64)>);
    let cursor = RwSignal::new(None::<f64>);
    // Another question has other loads.
    Effect::new(move |_| {
        load.answered.track();
        zoom.set(None);
    });
    let latency = Signal::derive(move || Panel::Latency(chosen.get()));
    view! {
        <section class="card" aria-labelledby="load-curve-title" data-testid="load-curve">
            <div class="card-title">
                <h3 id="load-curve-title">"Load curve"</h3>
                <div class="tabs" role="group" aria-label="Latency">
                    {LATENCIES.into_iter().enumerate().map(|(place, (name, long))| view! {
                        <button
                            type="button" class="tab" title=long data-testid=format!("load-{}", name.to_lowercase())
                            aria-pressed=move || (chosen.get() == place).to_string() on:click=heard(move |_| choice.set(Some(place)))
                        >
                            {name}
                        </button>
                    }).collect_view()}
                </div>
            </div>
            <div class="card-body">
                <div data-testid="load-latency"><PanelView load panel=latency height=300 zoom cursor/></div>
                <PanelView load panel=Signal::stored(Panel::Share) height=170 zoom cursor/>
                <PanelView load panel=Signal::stored(Panel::Answered) height=170 zoom cursor/>
            </div>
        </section>
    }
}

#[component]
fn PanelView(
    load: Load,
    panel: Signal<Panel>,
    height: u32,
    zoom: RwSignal<Option<(f64, f64)>>,
    cursor: RwSignal<Option<f64>>,
) -> impl IntoView {
    let found = Memo::new(move |_| load.found.get().unwrap_or_else(|| Arc::new(nothing())));
    let source = PlotSource::new(
        move |frame| found.with(|found| panel.get().plot(found, zoom.get()).draw(frame)),
        move |x| found.with(|found| panel.get().readings(found, x)),
        move || found.with(|found| panel.get().table(found)),
        move || found.with(|found| panel.get().csv(found)),
    );
    view! {
        <PlotView
            source
            title=Signal::derive(move || panel.get().title())
            summary=Signal::derive(move || found.with(|found| panel.get().summary(found)))
            height=Signal::stored(height)
            file_stem=Signal::derive(move || panel.get().stem())
            on_zoom=Callback::new(move |range| zoom.set(range))
            is_zoomed=Signal::derive(move || zoom.with(Option::is_some))
            cursor
        />
    }
}

/// Before anything is found.
fn nothing() -> Found {
    let question = Question {
        kind: LoadKind::Rate,
        dataset: sim_core::scenario::DatasetName::Random,
        goodput: sim_core::metrics::goodput::Goodput::default(),
        required_share: DEFAULT_SHARE,
        num_seeds: DEFAULT_SEEDS,
    };
    let answer = sim_core::answers::capacity::Answer {
        capacity: None,
        interval: None,
        left_out: vec![],
        is_limited: false,
        curve: vec![],
    };
    Found { question, answer, num_done: 0, num_planned: 0, is_over: false, wall_ms: 0.0 }
}

/// The same on the command line.
#[component]
fn Command(load: Load) -> impl IntoView {
    let state = expect_context::<AppState>();
    let text = Memo::new(move |_| {
        let Some(inquiry) = load.answered.get() else { return String::new() };
        let options = typed(&inquiry.question, DEFAULT_SEEDS);
        let simulate = state.command_of(Program::Simulate, &inquiry.scenario);
        simulate.replacen("profiler simulate", &format!("profiler capacity{options}"), 1)
    });
    view! {
        <section class="card" aria-labelledby="load-command-title">
            <div class="card-title">
                <h3 id="load-command-title">"On the command line"</h3>
                <div class="toolbar"><CopyButton text what="the command" testid="load-copy-command"/></div>
            </div>
            <div class="card-body">
                <pre class="report-text mono" tabindex="0" role="region" aria-label="Command" data-testid="load-command">{text}</pre>
                <p class="muted report-digest">
                    "Digest of all runs, the same here and there: "
                    <code class="mono" data-testid="load-digest">
                        {move || read(load, |found| format!("{:016x}", found.answer.digest()))}
                    </code>
                </p>
            </div>
        </section>
    }
}
