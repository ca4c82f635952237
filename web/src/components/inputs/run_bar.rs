//! What starts and stops a run, how far it is, and why it failed.

use leptos::prelude::*;

use super::dialog::CopyButton;
use crate::components::live::{When, heard, live};
use crate::files::now_ms;
use crate::format::{duration, grouped};
use crate::state::{AppState, RunState};

/// Least time between two sentences that are read out, in milliseconds.
const SPEAK_EVERY_MS: f64 = 2_000.0;

/// The bar at the bottom of the column; of the screen on a phone.
#[component]
pub(super) fn RunBar() -> impl IntoView {
    let state = expect_context::<AppState>();
    let is_running = Memo::new(move |_| state.run_state.with(|run| matches!(run, RunState::Running { .. })));
    // Disabled rather than gone, so that the focus stays where it is.
    let class = move || if state.is_stale.get() && !is_running.get() { "btn btn-primary" } else { "btn" };
    view! {
        <div class="run-bar" role="group" aria-label="Run" data-testid="run-bar">
            <Failure/>
            <div class="run-line">
                <button
                    type="button" class=class data-testid="run" aria-keyshortcuts="Control+Enter"
                    on:click=heard(move |_| state.run())
                >
                    {live(move || if is_running.get() { "Run again" } else { "Run" })}
                    <kbd class="kbd run-key" aria-hidden="true">"Ctrl ⏎"</kbd>
                </button>
                <When when=Signal::derive(move || is_running.get())>
                    <button type="button" class="btn" data-testid="cancel" on:click=heard(move |_| state.cancel())>"Cancel"</button>
                </When>
                <p class="run-status" data-testid="run-status">{live(move || status(state))}</p>
            </div>
            <Progress/>
            <Spoken/>
        </div>
    }
}

/// Where the run is, in a sentence.
fn status(state: AppState) -> String {
    state.run_state.with(|run| match run {
        RunState::Running { done: 0, total: 0, .. } => "Starting…".to_owned(),
        RunState::Running { done, total, sim_time } => progress(*done, *total, *sim_time),
        RunState::Failed(_) => "The run could not be made.".to_owned(),
        RunState::Cancelled => "Cancelled.".to_owned(),
        RunState::Idle => state.current.with(|run| {
            let Some(run) = run else { return String::new() };
            if state.is_stale.get() { "Settings changed.".to_owned() } else { finished(run.answer.wall_ms) }
        }),
    })
}

fn progress(done: u32, total: u32, sim_time: f64) -> String {
    let (done, total) = (grouped(f64::from(done)), grouped(f64::from(total)));
    format!("{done} of {total} requests, {} simulated", duration(sim_time))
}

fn finished(wall_ms: f64) -> String {
    format!("Simulated in {}.", duration(wall_ms / 1000.0))
}

#[component]
fn Progress() -> impl IntoView {
    let state = expect_context::<AppState>();
    live(move || {
        state.run_state.with(|run| match run {
            RunState::Running { done, total, .. } => {
                let value = (*total > 0).then(|| done.to_string());
                Some(view! {
                    <progress
                        class="run-progress" data-testid="run-progress" aria-label="Requests that are done" value=value
                        max=(*total).max(1).to_string()
                    ></progress>
                })
            }
            _ => None,
        })
    })
}

/// The same sentence for those who listen, but not at every message.
#[component]
fn Spoken() -> impl IntoView {
    let state = expect_context::<AppState>();
    let spoken = RwSignal::new(String::new());
    let last = StoredValue::new((f64::NEG_INFINITY, false));
    Effect::new(move |_| {
        let text = status(state);
        let is_running = state.run_state.with(|run| matches!(run, RunState::Running { .. }));
        let (at, was_running) = last.get_value();
        let now = now_ms();
        // A run that is done before anything was said of it need not be announced at every key that is typed.
        if is_running && (now - at < SPEAK_EVERY_MS || !was_running) {
            if !was_running {
                last.set_value((now, true));
            }
            return;
        }
        if is_running || was_running {
            spoken.set(text);
        }
        last.set_value((now, is_running));
    });
    view! { <p class="visually-hidden" aria-live="polite" data-testid="run-spoken">{spoken}</p> }
}

/// Why the last run could not be made.
#[component]
fn Failure() -> impl IntoView {
    let state = expect_context::<AppState>();
    let fault = Memo::new(move |_| {
        state.run_state.with(|run| match run {
            RunState::Failed(fault) => Some(fault.clone()),
            _ => None,
        })
    });
    // The address shows what stands in the form.
    let report = move |()| {
        let fault = fault.get_untracked().unwrap_or_default();
        let link = format!("{}{}", crate::files::page_address(), crate::files::page_fragment());
        format!("vLLM Simulator {}\n{fault}\n{link}", env!("CARGO_PKG_VERSION"))
    };
    view! {
        <div role="alert">
            {live(move || fault.get().map(|fault| view! {
                <div class="notice notice-error run-error" data-testid="run-error">
                    <p class="notice-text">{fault}</p>
                    <div class="run-error-actions">
                        <CopyButton text=report label="Copy with the link" testid="copy-error" class="btn btn-ghost"/>
                    </div>
                </div>
            }))}
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_a_sentence() {
        assert_eq!(progress(3_200, 10_000, 41.0), "3,200 of 10,000 requests, 41.0 s simulated");
        assert_eq!(finished(35.2), "Simulated in 35.2 ms.");
    }
}
