//! Which GPU: how much each carries with the model in the form, and per GPU.

mod ask;
mod composing;

use leptos::prelude::*;
use sim_core::scenario::AskedFor;

use self::ask::{Gpus, ONE_SEED, Row};
use crate::components::live::{When, heard, live};
use crate::components::questions::inquiry::Status;
use crate::components::questions::options::Options;
use crate::components::questions::recent::Recent;
use crate::fitting::NUM_GPUS;
use crate::format::duration;
use crate::plot::ticks::{self, Unit};
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
    let has_rows = Memo::new(move |_| gpus.rows.with(|rows| !rows.is_empty()));
    view! {
        <div class="results-head">
            <h2 id="gpu-title" tabindex="-1">"Which GPU?"</h2>
            <Options default_seeds=ONE_SEED/>
        </div>
        <Progress gpus/>
        <div class="results-body" data-testid="gpu-body">
            <section class="card" aria-label="Answer">
                <div class="card-body">
                    <div class="verdict" class:verdict-good=move || gpus.status.get() == Status::Idle && has_rows.get()>
                        <p class="verdict-headline" aria-live=move || if gpus.status.get() == Status::Running { "off" } else { "polite" } data-testid="gpu-headline">
                            <span class="verdict-mark" aria-hidden="true">
                                {move || if gpus.status.get() == Status::Idle && has_rows.get() { "✓" } else { "…" }}
                            </span>
                            <span>{move || sentence(state, gpus)}</span>
                        </p>
                        <p class="verdict-line verdict-rule">
                            <span class="chip chip-warn">"SIMULATED, not measured"</span>
                            " One engine on 1, 2, 4 or 8 GPUs with tensor parallelism, all other flags as in the form. Times are \
                             composed of operators measured on each GPU. Prices are not known here: what is compared is what one \
                             GPU carries."
                        </p>
                    </div>
                </div>
            </section>
            <When when=Signal::derive(move || has_rows.get())>
                <section class="card" aria-labelledby="gpu-table-title" class:results-old=move || gpus.is_old()>
                    <div class="card-title">
                        <h3 id="gpu-table-title">{move || format!("Carries, {}", unit(state))}</h3>
                        <span class="muted card-aside">"large: all of them; small: per GPU"</span>
                    </div>
                    <div class="card-body"><Rows gpus/></div>
                </section>
            </When>
        </div>
    }
}

fn unit(state: AppState) -> &'static str {
    if state.asking.get().is_by_concurrency { "requests at once" } else { "requests/s" }
}

fn number(load: f64) -> String {
    ticks::text(Unit::Number, load)
}

/// GPU, number, and what one of them carries: all cells that carry something, the most per GPU first.
fn best_first(rows: &[Row]) -> Vec<(String, u32, f64)> {
    let cells = rows.iter().flat_map(|row| {
        row.carried.iter().zip(NUM_GPUS).filter_map(|(carried, num_gpus)| match carried {
            Some(Ok(Some(load))) => Some((row.label.clone(), num_gpus, load / f64::from(num_gpus))),
            _ => None,
        })
    });
    let mut cells: Vec<(String, u32, f64)> = cells.collect();
    cells.sort_by(|a, b| b.2.total_cmp(&a.2));
    cells
}

fn sentence(state: AppState, gpus: Gpus) -> String {
    match gpus.status.get() {
        Status::Failed(why) => return why,
        _ if state.source.get() == Source::Whole => {
            return "Choose a model under \"Model & GPU\": the profile in use is a file of one GPU.".to_owned();
        }
        _ => {}
    }
    let rows = gpus.rows.get();
    if rows.is_empty() {
        return "The model in the form, on every GPU that was measured.".to_owned();
    }
    let so_far = if gpus.status.get() == Status::Running { "So far: " } else { "" };
    match best_first(&rows).first() {
        Some((label, num_gpus, each)) => {
            format!("{so_far}{num_gpus} × {label} carries most for each GPU: {} {}.", number(*each), unit(state))
        }
        None if gpus.status.get() == Status::Running => "Loading operator times and trying loads…".to_owned(),
        None => "No GPU carries anything under these objectives.".to_owned(),
    }
}

#[component]
fn Progress(gpus: Gpus) -> impl IntoView {
    let state = expect_context::<AppState>();
    let is_running = Memo::new(move |_| gpus.status.get() == Status::Running);
    let counts = Memo::new(move |_| {
        gpus.rows.with(|rows| {
            let cells = rows.iter().flat_map(|row| &row.carried);
            (cells.clone().filter(|cell| cell.is_some()).count(), cells.count())
        })
    });
    let said = move || {
        let (done, all) = counts.get();
        match gpus.status.get() {
            Status::Running => format!("{done} of {all} setups"),
            Status::Cancelled => format!("Cancelled after {done} of {all} setups."),
            Status::Failed(_) => "Not answered.".to_owned(),
            Status::Idle if gpus.is_old() => "Settings changed: the table is of those before.".to_owned(),
            Status::Idle if all > 0 => format!("{all} setups, in {}.", duration(gpus.wall_ms.get() / 1000.0)),
            Status::Idle => "Loads the operator times of all GPUs: 8 MB, 2.3 MB where the host compresses.".to_owned(),
        }
    };
    view! {
        <div class="question-progress" data-testid="gpu-progress">
            <progress
                class="run-progress" aria-label="Setups that are tried" class:is-idle=move || !is_running.get()
                value=move || counts.get().0.to_string() max=move || counts.get().1.max(1).to_string()
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
            <p class="muted" data-testid="gpu-status">{said}</p>
        </div>
    }
}

#[component]
fn Rows(gpus: Gpus) -> impl IntoView {
    let best = Memo::new(move |_| gpus.rows.with(|rows| best_first(rows).first().map_or(0.0, |cell| cell.2)));
    // Each reason once, with the first setup that has it.
    let reasons = Memo::new(move |_| {
        let mut reasons: Vec<(String, String)> = Vec::new();
        gpus.rows.with(|rows| {
            for (row, (carried, num_gpus)) in
                rows.iter().flat_map(|row| row.carried.iter().zip(NUM_GPUS).map(move |cell| (row, cell)))
            {
                if let Some(Err(why)) = carried
                    && reasons.iter().all(|(_, known)| known != why)
                {
                    reasons.push((format!("{num_gpus} × {}", row.label), why.clone()));
                }
            }
        });
        reasons
    });
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label="GPUs and numbers of them">
            <table class="table question-table" data-testid="gpu-table">
                <thead>
                    <tr>
                        <th scope="col" class="text">"GPU"</th>
                        {NUM_GPUS.map(|number| view! { <th scope="col">{number} " ×"</th> }).collect_view()}
                    </tr>
                </thead>
                <tbody>
                    {live(move || gpus.rows.get().into_iter().map(|row| gpu_row(row, best.get())).collect_view())}
                </tbody>
            </table>
        </div>
        {live(move || {
            let reasons = reasons.get();
            (!reasons.is_empty()).then(|| view! {
                <ul class="muted question-reasons" aria-label="Why some setups carry nothing">
                    {reasons.into_iter().map(|(setup, why)| view! { <li>{setup} ": " {why}</li> }).collect_view()}
                </ul>
            })
        })}
    }
}

fn gpu_row(row: Row, best: f64) -> impl IntoView {
    let state = expect_context::<AppState>();
    let key = row.key.clone();
    view! {
        <tr data-testid=format!("gpu-row-{key}")>
            <th scope="row" class="text">{row.label.clone()}</th>
            {row.carried.into_iter().zip(NUM_GPUS).map(|(carried, num_gpus)| {
                let (key, label) = (key.clone(), row.label.clone());
                let choose = move |_| {
                    // Both are of the table that the flags are read with.
                    state.set_flag("gpu", &key).ok();
                    state.set_flag("tensor-parallel-size", &num_gpus.to_string()).ok();
                };
                match carried {
                    None => view! { <td class="muted">"…"</td> }.into_any(),
                    Some(Err(_)) => view! { <td class="muted"><span aria-label="does not start">"–"</span></td> }.into_any(),
                    Some(Ok(None)) => view! { <td class="muted">"0"</td> }.into_any(),
                    Some(Ok(Some(load))) => {
                        let each = load / f64::from(num_gpus);
                        let is_best = each >= best * 0.999;
                        view! {
                            <td class:is-best=is_best>
                                <button type="button" class="question-cell" on:click=choose>
                                    <b>{number(load)}</b>
                                    <span class="muted">{number(each)}</span>
                                    <span class="visually-hidden">
                                        {format!(" per GPU on {num_gpus} × {label}: take it into the form")}
                                    </span>
                                </button>
                            </td>
                        }.into_any()
                    }
                }
            }).collect_view()}
        </tr>
    }
}
