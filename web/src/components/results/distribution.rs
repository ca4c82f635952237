//! The distribution of a latency: which, how, and over what axis.

use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::distribution_data::{Kind, Picture, Source};
use super::parts::Shown;
use super::sentences::metric;
use crate::answer::Metric;
use crate::components::live::heard;
use crate::components::plot_view::{PlotSource, PlotView};
use crate::plot::SeriesStyle;
use crate::state::AppState;

/// The latencies that have a tab, in the order of the keys 1 to 4.
pub(crate) const TABS: [(&str, &str, &str); 4] = [
    ("ttft", "TTFT", "Time to First Token"),
    ("tpot", "TPOT", "Time per Output Token"),
    ("itl", "ITL", "Inter-token Latency"),
    ("e2el", "E2EL", "End-to-end Latency"),
];
const KINDS: [(Kind, &str, &str, &str); 3] = [
    (Kind::Cdf, "CDF", "cdf", "Share of the requests at most x"),
    (Kind::Histogram, "Histogram", "histogram", "Requests per bin"),
    (Kind::Tail, "Tail", "tail", "1 − CDF on a logarithmic axis: P99 and P99.9 far apart"),
];

/// What is looked at. A handle; keys change it, too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    /// Place in [`TABS`].
    pub(crate) tab: RwSignal<usize>,
    /// How it is drawn.
    pub(crate) kind: RwSignal<Kind>,
    /// Logarithmic x axis.
    pub(crate) log_x: RwSignal<bool>,
    /// What is visible; `None`: everything.
    pub(crate) zoom: RwSignal<Option<(f64, f64)>>,
}

impl Choice {
    /// TTFT's cumulative distribution.
    pub(crate) fn new() -> Self {
        Self {
            tab: RwSignal::new(0),
            kind: RwSignal::new(Kind::Cdf),
            log_x: RwSignal::new(false),
            zoom: RwSignal::new(None),
        }
    }

    /// Shows another latency: over another axis, so all of it.
    pub(crate) fn show(self, tab: usize) {
        if tab < TABS.len() && self.tab.get_untracked() != tab {
            self.tab.set(tab);
            self.zoom.set(None);
        }
    }

    /// The other axis.
    pub(crate) fn toggle_log(self) {
        self.log_x.update(|log_x| *log_x = !*log_x);
        self.zoom.set(None);
    }
}

/// Everything that is compared, for the latency `key`.
fn sources(state: AppState, shown: Shown, key: &str) -> Vec<Source> {
    let own = shown.read(|answer| metric(&answer.metrics, key).cloned());
    let is_alone = state.pinned.with(Option::is_none) && state.measured.with(Option::is_none);
    let name = if is_alone { "this run" } else { "this run (simulated)" };
    let pinned = state.pinned.with(|run| run.as_ref().and_then(|run| metric(&run.answer.metrics, key).cloned()));
    let measured = state.measured.with(|run| {
        let run = run.as_ref()?;
        let found = metric(&run.metrics, key).filter(|metric| !metric.ecdf.is_empty()).cloned()?;
        Some((if run.is_simulated { "file (simulated)" } else { "measured" }, found))
    });
    let own = own.map(|metric| (name, SeriesStyle::Current, metric));
    let pinned = pinned.map(|metric| ("pinned A", SeriesStyle::Pinned, metric));
    let measured = measured.map(|(name, metric)| (name, SeriesStyle::Measured, metric));
    let all = [own, pinned, measured].into_iter().flatten();
    let all = all.map(|(name, style, metric)| Source { name: name.to_owned(), style, metric });
    all.collect()
}

/// The latency `key` at the ends of the range, where that is shown.
fn ends(shown: Shown, key: &str) -> Vec<(f64, Metric)> {
    let range = shown.range();
    let bounds = range.iter().flat_map(|range| &range.bounds);
    bounds.filter_map(|bound| Some((bound.factor, metric(&bound.metrics, key).cloned()?))).collect()
}

/// The card.
#[component]
pub(crate) fn DistributionCard(
    /// The answer.
    shown: Shown,
    /// What is looked at.
    choice: Choice,
) -> impl IntoView {
    let state = expect_context::<AppState>();
    let key = move || TABS[choice.tab.get().min(TABS.len() - 1)];
    let picture = Memo::new(move |_| Picture {
        sources: sources(state, shown, key().0),
        ends: ends(shown, key().0),
        kind: choice.kind.get(),
        log_x: choice.log_x.get(),
        x_range: choice.zoom.get(),
    });
    let source = PlotSource::new(
        move |frame| picture.with(|picture| picture.draw(frame)),
        move |x| picture.with(|picture| picture.readings(x)),
        move || picture.with(Picture::table),
        move || picture.with(Picture::csv),
    );
    let title = Signal::derive(move || {
        let (_, name, header) = key();
        format!("{name}: {header}")
    });
    view! {
        <section class="card" aria-labelledby="distribution-title" data-testid="distribution">
            <div class="card-title">
                <h3 id="distribution-title">"Distribution"</h3>
                <MetricTabs choice/>
            </div>
            <div class="card-body" id="distribution-panel" role="tabpanel" aria-labelledby=move || format!("metric-tab-{}", key().0)>
                <Toggles choice/>
                <PlotView
                    source
                    title
                    summary=Signal::derive(move || picture.with(Picture::summary))
                    height=Signal::stored(320)
                    file_stem=Signal::derive(move || format!("{}-distribution", key().0))
                    on_zoom=Callback::new(move |range| choice.zoom.set(range))
                    is_zoomed=Signal::derive(move || choice.zoom.with(Option::is_some))
                />
            </div>
        </section>
    }
}

/// One tab is in the order of focus, arrows move between them.
#[component]
fn MetricTabs(choice: Choice) -> impl IntoView {
    let on_keydown = move |event: leptos::ev::KeyboardEvent| {
        let (now, last) = (choice.tab.get_untracked(), TABS.len() - 1);
        let next = match event.key().as_str() {
            "ArrowRight" => (now + 1) % TABS.len(),
            "ArrowLeft" => now.checked_sub(1).unwrap_or(last),
            "Home" => 0,
            "End" => last,
            _ => return,
        };
        event.prevent_default();
        choice.show(next);
        let id = format!("metric-tab-{}", TABS[next].0);
        let tab = web_sys::window().and_then(|window| window.document()?.get_element_by_id(&id));
        if let Some(tab) = tab.and_then(|tab| tab.dyn_into::<web_sys::HtmlElement>().ok()) {
            // Without focus the tab is chosen all the same.
            tab.focus().ok();
        }
    };
    view! {
        <div class="tabs" role="tablist" aria-label="Latency" on:keydown=on_keydown>
            {TABS.into_iter().enumerate().map(|(place, (key, name, header))| {
                let is_chosen = move || choice.tab.get() == place;
                view! {
                    <button
                        type="button"
                        class="tab"
                        role="tab"
                        id=format!("metric-tab-{key}")
                        title=format!("{header} (key {})", place + 1)
                        data-testid=format!("metric-tab-{key}")
                        aria-selected=move || is_chosen().to_string()
                        aria-controls="distribution-panel"
                        tabindex=move || if is_chosen() { "0" } else { "-1" }
                        on:click=heard(move |_| choice.show(place))
                    >
                        {name}
                    </button>
                }
            }).collect_view()}
        </div>
    }
}

#[component]
fn Toggles(choice: Choice) -> impl IntoView {
    view! {
        <div class="toolbar distribution-toggles">
            <div class="tabs" role="group" aria-label="Kind of plot">
                {KINDS.map(|(kind, name, id, about)| view! {
                    <button
                        type="button"
                        class="tab"
                        title=about
                        data-testid=format!("plot-kind-{id}")
                        aria-pressed=move || (choice.kind.get() == kind).to_string()
                        on:click=heard(move |_| choice.kind.set(kind))
                    >
                        {name}
                    </button>
                }).collect_view()}
            </div>
            <button
                type="button"
                class="btn"
                title="Logarithmic axis (key l)"
                data-testid="log-x"
                aria-pressed=move || choice.log_x.get().to_string()
                on:click=heard(move |_| choice.toggle_log())
            >
                "Log x"
            </button>
            <span class="muted distribution-hint">"Drag to zoom, click to pin the read-out"</span>
        </div>
    }
}
