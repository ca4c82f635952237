//! Each of several engines over time: one plot for each quantity, a line for each engine.

use std::sync::Arc;

use leptos::prelude::*;

use crate::answer::SeriesPoints;
use crate::components::live::{When, live};
use crate::components::plot_view::{PlotSource, PlotView, Reading, Table};
use crate::fleet_answer::{EngineSeries, FleetAnswer};
use crate::format::duration;
use crate::plot::ticks::{self, Unit};
use crate::plot::time_series::{BandPoint, Limit, TimeSeries, TimeSeriesPlot};
use crate::plot::{Dash, Look};

/// One of the plots.
#[derive(Debug, Clone, Copy)]
struct Panel {
    title: &'static str,
    stem: &'static str,
    y_title: &'static str,
    unit: Unit,
    points: fn(&EngineSeries) -> &SeriesPoints,
    limit: fn(&FleetAnswer) -> Option<(f64, &'static str)>,
}

const PANELS: [Panel; 3] = [
    Panel {
        title: "Running requests of each (vllm:num_requests_running)",
        stem: "replicas-running",
        y_title: "requests",
        unit: Unit::Count,
        points: |series| &series.running,
        limit: |fleet| Some((f64::from(fleet.max_num_seqs), "max_num_seqs")),
    },
    Panel {
        title: "Waiting requests of each (vllm:num_requests_waiting)",
        stem: "replicas-waiting",
        y_title: "requests",
        unit: Unit::Count,
        points: |series| &series.waiting,
        limit: |_| None,
    },
    Panel {
        title: "KV cache usage of each (vllm:kv_cache_usage_perc)",
        stem: "replicas-kv-cache-usage",
        y_title: "of the KV blocks",
        unit: Unit::Share,
        points: |series| &series.kv_cache_usage,
        limit: |_| Some((1.0, "all blocks")),
    },
];

/// Dashes, so that no line needs its colour to be told.
const DASHES: [Dash; 3] = [Dash::Solid, Dash::Dashed, Dash::Dotted];

/// Name, look and points of each engine that is drawn.
fn lines(panel: Panel, fleet: &FleetAnswer) -> impl Iterator<Item = (&str, Look, &SeriesPoints)> {
    let drawn = fleet.engines.iter().filter(|engine| !engine.series.running.is_empty());
    drawn.enumerate().map(move |(place, engine)| {
        let look = Look { series: place + 1, dash: DASHES[place % DASHES.len()] };
        (engine.name.as_str(), look, (panel.points)(&engine.series))
    })
}

impl Panel {
    fn plot(self, fleet: &FleetAnswer, x_range: Option<(f64, f64)>) -> TimeSeriesPlot {
        let line = |(name, look, points): (&str, Look, &SeriesPoints)| {
            // Bands of several engines over each other could not be read.
            let point = |&(time_s, _, mean, _): &(f64, f64, f64, f64)| BandPoint { time_s, min: mean, mean, max: mean };
            TimeSeries { name: name.to_owned(), look, points: points.iter().map(point).collect() }
        };
        let limit = (self.limit)(fleet).map(|(value, name)| {
            let label = if value > 1.0 { format!("{name} {}", ticks::text(self.unit, value)) } else { name.to_owned() };
            Limit { value, label }
        });
        TimeSeriesPlot {
            series: lines(self, fleet).map(line).collect(),
            y_unit: self.unit,
            y_title: self.y_title.to_owned(),
            limit,
            x_range,
        }
    }

    fn readings(self, fleet: &FleetAnswer, x: f64) -> Vec<Reading> {
        let said = self.plot(fleet, None).series.into_iter().filter_map(|line| {
            let text = ticks::text(self.unit, line.at(x)?.mean);
            Some(Reading { name: line.name, text, look: Some(line.look) })
        });
        said.collect()
    }

    fn table(self, fleet: &FleetAnswer) -> Table {
        let lines: Vec<_> = lines(self, fleet).collect();
        let columns = ["engine", "time", "mean", "least", "most"].map(str::to_owned).to_vec();
        let row = |name: &str, &(time, min, mean, max): &(f64, f64, f64, f64)| {
            let values = [mean, min, max].map(|value| ticks::text(self.unit, value));
            [name.to_owned(), duration(time)].into_iter().chain(values).collect()
        };
        let rows = lines.into_iter().flat_map(|(name, _, points)| points.iter().map(move |point| row(name, point)));
        Table { columns, rows: rows.collect() }
    }

    fn csv(self, fleet: &FleetAnswer) -> String {
        let mut text = String::from("engine,time_s,min,mean,max\n");
        for (name, _, points) in lines(self, fleet) {
            for (time, min, mean, max) in points {
                text.push_str(&format!("{name},{time},{min},{mean},{max}\n"));
            }
        }
        text
    }

    /// Whether nothing of it happened in the run.
    fn is_empty(self, fleet: &FleetAnswer) -> bool {
        lines(self, fleet).all(|(_, _, points)| points.iter().all(|point| point.3 <= 0.0))
    }

    fn summary(self, fleet: &FleetAnswer) -> String {
        let said = lines(self, fleet).map(|(name, _, points)| {
            let most = points.iter().map(|point| point.3).fold(0.0, f64::max);
            format!("{name} up to {}", ticks::text(self.unit, most))
        });
        format!("{}: {}.", self.title, said.collect::<Vec<_>>().join(", "))
    }
}

/// Begin and end of all: the plots above each other have the same.
fn whole_range(fleet: &FleetAnswer) -> Option<(f64, f64)> {
    let all = fleet.engines.iter().filter_map(|engine| engine.series.running.last());
    let last = all.map(|point| point.0).fold(0.0, f64::max);
    (last > 0.0).then_some((0.0, last))
}

/// Which engines are drawn, where not all are.
fn drawn_note(fleet: &FleetAnswer) -> Option<String> {
    let answering = fleet.answering().len();
    let drawn = fleet.engines.iter().filter(|engine| !engine.series.running.is_empty()).count();
    let is_roles = answering < fleet.engines.len();
    if drawn < answering {
        return Some(format!(
            "Drawn are {drawn} of {answering}: those that gave the fewest and the most output tokens."
        ));
    }
    is_roles.then(|| "Drawn are the replicas that answer.".to_owned())
}

/// The plots.
#[component]
pub(super) fn OverTime(fleet: Memo<Arc<FleetAnswer>>) -> impl IntoView {
    let zoom = RwSignal::new(None::<(f64, f64)>);
    // Another run has another length.
    Effect::new(move |_| {
        fleet.track();
        zoom.set(None);
    });
    let cursor = RwSignal::new(None);
    view! {
        <h4 class="replicas-head">"Over time"</h4>
        {live(move || fleet.with(|fleet| drawn_note(fleet)).map(|note| view! { <p class="muted replicas-note">{note}</p> }))}
        {PANELS.map(|panel| view! { <PanelView panel fleet zoom cursor/> }).collect_view()}
    }
}

#[component]
fn PanelView(
    panel: Panel,
    fleet: Memo<Arc<FleetAnswer>>,
    zoom: RwSignal<Option<(f64, f64)>>,
    cursor: RwSignal<Option<f64>>,
) -> impl IntoView {
    let source = PlotSource::new(
        move |frame| fleet.with(|fleet| panel.plot(fleet, zoom.get().or_else(|| whole_range(fleet))).draw(frame)),
        move |x| fleet.with(|fleet| panel.readings(fleet, x)),
        move || fleet.with(|fleet| panel.table(fleet)),
        move || fleet.with(|fleet| panel.csv(fleet)),
    );
    let is_empty = Memo::new(move |_| fleet.with(|fleet| panel.is_empty(fleet)));
    let nothing = move || {
        view! { <p class="muted over-time-note" data-testid=format!("no-{}", panel.stem)>{panel.title} ": none in the whole run."</p> }
    };
    view! {
        <When when=Signal::derive(move || !is_empty.get()) fallback=nothing>
            <PlotView
                source
                title=Signal::stored(panel.title.to_owned())
                summary=Signal::derive(move || fleet.with(|fleet| panel.summary(fleet)))
                height=Signal::stored(190)
                file_stem=Signal::stored(panel.stem.to_owned())
                on_zoom=Callback::new(move |range| zoom.set(range))
                is_zoomed=Signal::derive(move || zoom.with(Option::is_some))
                cursor
            />
        </When>
    }
}
