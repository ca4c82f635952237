//! Passes and requests, one by one: a stretch of the run that zooms and moves.

use std::sync::Arc;

use leptos::html::Div;
use leptos::prelude::*;

use super::parts::{Fold, Shown};
use super::passes_data::{self, panned, zoomed};
use crate::components::live::{When, heard, live};
use crate::components::plot_view::{PlotSource, PlotView};
use crate::detail::GanttWindow;
use crate::fleet_answer::FleetAnswer;
use crate::html;
use crate::state::AppState;

/// Most requests that have a row.
const MAX_REQUESTS: u32 = 60;
/// Pixels across if the card's are not known.
const WIDTH: u32 = 1_000;
const IN: f64 = 0.5;
const OUT: f64 = 2.0;
/// Share of the stretch that a step moves by.
const STEP: f64 = 0.5;

/// The card.
#[component]
pub(crate) fn PassesCard(
    /// The answer.
    shown: Shown,
) -> impl IntoView {
    let state = expect_context::<AppState>();
    let is_open = RwSignal::new(false);
    // Whether another stretch was asked for than the one that is worth looking at.
    let is_zoomed = RwSignal::new(false);
    // Of several engines the one that is looked at, and the names of those that may be.
    let engine = RwSignal::new(0_u32);
    let names = shown.part(|answer| answer.fleet.as_ref().map(FleetAnswer::answering).unwrap_or_default());
    Effect::new(move |_| {
        if names.with(Vec::len) <= sim_core::math::u32_to_usize(engine.get_untracked()) {
            engine.set(0);
        }
    });
    let canvas = NodeRef::<Div>::new();
    let width = move || {
        let width = canvas.get_untracked().and_then(|canvas| u32::try_from(canvas.client_width()).ok());
        width.filter(|width| *width > 0).unwrap_or(WIDTH)
    };
    // A new run has another stretch worth looking at.
    Effect::new(move |_| {
        if shown.get().is_some() && is_open.get() {
            is_zoomed.set(false);
            state.ask_gantt(None, (width(), MAX_REQUESTS), engine.get());
        }
    });
    let ask = Callback::new(move |range: Option<(f64, f64)>| {
        is_zoomed.set(range.is_some());
        state.ask_gantt(range, (width(), MAX_REQUESTS), engine.get_untracked());
    });
    let has_window = Memo::new(move |_| state.gantt.with(Option::is_some));
    view! {
        <Fold title="Passes and requests" aside="every pass of the engine, every request, to the microsecond" testid="passes" is_open>
            <When when=Signal::derive(move || !names.with(Vec::is_empty))><EngineChoice names engine/></When>
            <div node_ref=canvas>
                <When
                    when=Signal::derive(move || has_window.get())
                    fallback=|| view! { <div class="skeleton passes-skeleton" aria-hidden="true"></div> }
                >
                    <Window ask is_zoomed/>
                </When>
            </div>
        </Fold>
    }
}

/// Which of several engines is looked at.
#[component]
fn EngineChoice(names: Memo<Vec<String>>, engine: RwSignal<u32>) -> impl IntoView {
    let chosen = move |event: leptos::ev::Event| engine.set(event_target_value(&event).parse().unwrap_or(0));
    let options = move || {
        let option = |(place, name): (usize, &String)| {
            html::option(&place.to_string(), name, sim_core::math::usize_to_u32(place) == engine.get())
        };
        names.with(|names| names.iter().enumerate().map(option).collect::<String>())
    };
    view! {
        <label class="question-option">
            <span>"Engine"</span>
            <select class="input" data-testid="passes-engine" inner_html=options on:change=chosen></select>
        </label>
    }
}

#[component]
fn Window(ask: Callback<Option<(f64, f64)>>, is_zoomed: RwSignal<bool>) -> impl IntoView {
    let state = expect_context::<AppState>();
    let window = Memo::new(move |_| state.gantt.get().unwrap_or_else(|| Arc::new(GanttWindow::default())));
    let cursor = RwSignal::new(None::<f64>);
    let zoom = Callback::new(move |factor: f64| {
        let (range, end) = window.with_untracked(|window| (window.range, window.end));
        ask.run(Some(zoomed(range, end, factor, cursor.get_untracked())));
    });
    let pan = Callback::new(move |share: f64| {
        let (range, end) = window.with_untracked(|window| (window.range, window.end));
        ask.run(Some(panned(range, end, share)));
    });
    let source = PlotSource::new(
        move |frame| window.with(|window| passes_data::plot(window).draw(frame)),
        move |x| window.with(|window| passes_data::readings(window, x)),
        move || window.with(|window| passes_data::table(window)),
        move || window.with(|window| passes_data::csv(window)),
    );
    let on_wheel = move |event: leptos::ev::WheelEvent| {
        if event.ctrl_key() {
            event.prevent_default();
            zoom.run(if event.delta_y() < 0.0 { IN } else { OUT });
        } else if event.shift_key() {
            event.prevent_default();
            let delta = if event.delta_x() == 0.0 { event.delta_y() } else { event.delta_x() };
            pan.run(if delta < 0.0 { -STEP / 2.0 } else { STEP / 2.0 });
        }
    };
    let on_keydown = move |event: leptos::ev::KeyboardEvent| {
        if event.ctrl_key() || event.alt_key() || event.meta_key() {
            return;
        }
        match event.key().as_str() {
            "-" | "_" => zoom.run(OUT),
            "PageUp" => pan.run(-STEP),
            "PageDown" => pan.run(STEP),
            _ => return,
        }
        event.prevent_default();
    };
    view! {
        <PassesToolbar zoom pan whole=Callback::new(move |()| {
            let end = window.with_untracked(|window| window.end);
            ask.run(Some((0.0, end)));
        })/>
        <p class="muted passes-range" aria-live="polite" data-testid="passes-range">
            {live(move || window.with(|window| passes_data::range_line(window)))}
        </p>
        <div on:wheel=on_wheel on:keydown=on_keydown>
            <PlotView
                source
                title=Signal::stored("Passes above, requests below".to_owned())
                summary=Signal::derive(move || window.with(|window| passes_data::summary(window)))
                height=Signal::derive(move || window.with(|window| passes_data::plot(window).height().max(180)))
                file_stem=Signal::stored("passes".to_owned())
                on_zoom=ask
                is_zoomed
                cursor
            />
        </div>
        <p class="muted passes-hint">
            "Drag over a stretch to look closer. " <kbd class="kbd">"+"</kbd> " " <kbd class="kbd">"−"</kbd> " zoom, "
            <kbd class="kbd">"Page ↑"</kbd> " " <kbd class="kbd">"Page ↓"</kbd> " move, " <kbd class="kbd">"Ctrl"</kbd>
            " and wheel zoom at the pointer."
        </p>
    }
}

#[component]
fn PassesToolbar(zoom: Callback<f64>, pan: Callback<f64>, whole: Callback<()>) -> impl IntoView {
    view! {
        <div class="toolbar" role="toolbar" aria-label="Stretch of the run">
            <button type="button" class="btn btn-icon" aria-label="Earlier" title="Earlier (Page Up)" data-testid="passes-earlier"
                on:click=heard(move |_| pan.run(-STEP))>"←"</button>
            <button type="button" class="btn btn-icon" aria-label="Later" title="Later (Page Down)" data-testid="passes-later"
                on:click=heard(move |_| pan.run(STEP))>"→"</button>
            <button type="button" class="btn btn-icon" aria-label="Zoom in" title="Zoom in (+)" data-testid="passes-zoom-in"
                on:click=heard(move |_| zoom.run(IN))>"+"</button>
            <button type="button" class="btn btn-icon" aria-label="Zoom out" title="Zoom out (−)" data-testid="passes-zoom-out"
                on:click=heard(move |_| zoom.run(OUT))>"−"</button>
            <button type="button" class="btn btn-ghost" data-testid="passes-whole" on:click=heard(move |_| whole.run(()))>
                "Whole run"
            </button>
        </div>
    }
}
