//! The engine over time: plots above each other that share their axis and their crosshair.

use std::sync::Arc;

use leptos::prelude::*;

use super::parts::{Fold, Shown};
use crate::answer::{SeriesPoints, TimeSeries};
use crate::components::live::{When, live};
use crate::components::plot_view::{PlotSource, PlotView, Reading, Table};
use crate::format::duration;
use crate::plot::ticks::{self, Unit};
use crate::plot::time_series::{BandPoint, Limit, TimeSeries as Line, TimeSeriesPlot};
use crate::plot::{Dash, Look};

/// One of the plots.
#[derive(Debug, Clone, Copy)]
struct Panel {
    title: &'static str,
    stem: &'static str,
    y_title: &'static str,
    unit: Unit,
    lines: fn(&TimeSeries) -> Vec<(&'static str, &SeriesPoints)>,
    limit: fn(&TimeSeries) -> Option<(f64, &'static str)>,
}

const PANELS: [Panel; 4] = [
    Panel {
        title: "Running requests (vllm:num_requests_running)",
        stem: "running",
        y_title: "requests",
        unit: Unit::Count,
        lines: |series| vec![("running", &series.running)],
        limit: |series| Some((f64::from(series.max_num_seqs), "max_num_seqs")),
    },
    Panel {
        title: "Waiting requests (vllm:num_requests_waiting)",
        stem: "waiting",
        y_title: "requests",
        unit: Unit::Count,
        lines: |series| vec![("waiting", &series.waiting)],
        limit: |_| None,
    },
    Panel {
        title: "KV cache usage (vllm:kv_cache_usage_perc)",
        stem: "kv-cache-usage",
        y_title: "of the KV blocks",
        unit: Unit::Share,
        lines: |series| vec![("KV blocks in use", &series.kv_cache_usage)],
        limit: |_| Some((1.0, "all blocks")),
    },
    Panel {
        title: "Tokens per pass (vllm:iteration_tokens_total)",
        stem: "tokens-per-pass",
        y_title: "tokens",
        unit: Unit::Count,
        lines: |series| {
            let mut lines =
                vec![("all tokens", &series.tokens_per_pass), ("of prefill", &series.prefill_tokens_per_pass)];
            if !series.draft_tokens_per_pass.is_empty() {
                lines.push(("drafts", &series.draft_tokens_per_pass));
            }
            lines
        },
        limit: |series| Some((f64::from(series.max_num_batched_tokens), "max_num_batched_tokens")),
    },
];

/// How the lines of a plot look, in order.
const LOOKS: [Look; 3] = [
    Look { series: 1, dash: Dash::Solid },
    Look { series: 2, dash: Dash::Dashed },
    Look { series: 3, dash: Dash::Dotted },
];

impl Panel {
    fn plot(&self, series: &TimeSeries, x_range: Option<(f64, f64)>) -> TimeSeriesPlot {
        let line = |((name, points), look): ((&str, &SeriesPoints), Look)| Line {
            name: name.to_owned(),
            look,
            points: points.iter().map(|&(time_s, min, mean, max)| BandPoint { time_s, min, mean, max }).collect(),
        };
        let limit = (self.limit)(series).map(|(value, name)| {
            let label = if value > 1.0 { format!("{name} {}", ticks::text(self.unit, value)) } else { name.to_owned() };
            Limit { value, label }
        });
        TimeSeriesPlot {
            series: (self.lines)(series).into_iter().zip(LOOKS).map(line).collect(),
            y_unit: self.unit,
            y_title: self.y_title.to_owned(),
            limit,
            x_range,
        }
    }

    fn readings(&self, series: &TimeSeries, x: f64) -> Vec<Reading> {
        let plot = self.plot(series, None);
        let said = plot.series.into_iter().filter_map(|line| {
            let point = line.at(x)?;
            let mean = ticks::text(self.unit, point.mean);
            let text = if point.min < point.max {
                let (min, max) = (ticks::text(self.unit, point.min), ticks::text(self.unit, point.max));
                format!("{mean} ({min} – {max})")
            } else {
                mean
            };
            Some(Reading { name: line.name, text, look: Some(line.look) })
        });
        said.collect()
    }

    fn table(&self, series: &TimeSeries) -> Table {
        let lines = (self.lines)(series);
        let mut columns = vec!["time".to_owned()];
        for (name, _) in &lines {
            columns.extend([format!("{name}: mean"), "least".to_owned(), "most".to_owned()]);
        }
        let longest = lines.iter().map(|(_, points)| points.len()).max().unwrap_or(0);
        let row = |place: usize| {
            let time = lines.iter().find_map(|(_, points)| points.get(place)).map(|point| duration(point.0));
            let mut cells = vec![time.unwrap_or_default()];
            for (_, points) in &lines {
                let values = points.get(place).map(|&(_, min, mean, max)| [mean, min, max]);
                cells.extend(match values {
                    Some(values) => values.map(|value| ticks::text(self.unit, value)),
                    None => [String::new(), String::new(), String::new()],
                });
            }
            cells
        };
        Table { columns, rows: (0..longest).map(row).collect() }
    }

    fn csv(&self, series: &TimeSeries) -> String {
        let mut text = String::from("series,time_s,min,mean,max\n");
        for (name, points) in (self.lines)(series) {
            for (time, min, mean, max) in points {
                text.push_str(&format!("{name},{time},{min},{mean},{max}\n"));
            }
        }
        text
    }

    /// Whether nothing of it happened in the run.
    fn is_empty(&self, series: &TimeSeries) -> bool {
        let mut points = (self.lines)(series).into_iter().flat_map(|(_, points)| points);
        points.all(|&(_, _, _, max)| max <= 0.0)
    }

    fn summary(&self, series: &TimeSeries) -> String {
        let said = (self.lines)(series).into_iter().map(|(name, points)| {
            let most = points.iter().map(|point| point.3).fold(0.0, f64::max);
            format!("{name} up to {}", ticks::text(self.unit, most))
        });
        format!("{} over time: {}.", self.title, said.collect::<Vec<_>>().join(", "))
    }
}

/// Begin and end of all series: the plots above each other have the same.
fn whole_range(series: &TimeSeries) -> Option<(f64, f64)> {
    let all = [&series.running, &series.waiting, &series.kv_cache_usage, &series.tokens_per_pass];
    let last = all.into_iter().filter_map(|points| points.last()).map(|point| point.0).fold(0.0, f64::max);
    (last > 0.0).then_some((0.0, last))
}

/// The card.
#[component]
pub(crate) fn OverTimeCard(
    /// The answer.
    shown: Shown,
) -> impl IntoView {
    let series = shown.part(|answer| Arc::new(answer.series.clone()));
    let groups = shown.part(|answer| answer.kv_cache.groups.clone());
    let zoom = RwSignal::new(None::<(f64, f64)>);
    // Another run has another length.
    Effect::new(move |_| {
        series.track();
        zoom.set(None);
    });
    let cursor = RwSignal::new(None);
    view! {
        <Fold title="Over time" aside="lines are means, bands the least and the most" testid="over-time" is_open=RwSignal::new(true)>
            {PANELS.iter().map(|panel| view! { <PanelView panel series zoom cursor/> }).collect_view()}
            {live(move || Some(groups.get()).filter(|groups| !groups.is_empty()).map(|groups| view! {
                <p class="muted over-time-note" data-testid="over-time-groups">
                    "KV blocks are shared by " {groups} "."
                </p>
            }))}
        </Fold>
    }
}

#[component]
fn PanelView(
    panel: &'static Panel,
    series: Memo<Arc<TimeSeries>>,
    zoom: RwSignal<Option<(f64, f64)>>,
    cursor: RwSignal<Option<f64>>,
) -> impl IntoView {
    let source = PlotSource::new(
        move |frame| series.with(|series| panel.plot(series, zoom.get().or_else(|| whole_range(series))).draw(frame)),
        move |x| series.with(|series| panel.readings(series, x)),
        move || series.with(|series| panel.table(series)),
        move || series.with(|series| panel.csv(series)),
    );
    let is_empty = Memo::new(move |_| series.with(|series| panel.is_empty(series)));
    // A plot of nothing would only take room.
    let nothing = move || {
        view! { <p class="muted over-time-note" data-testid=format!("no-{}", panel.stem)>{panel.title} ": none in the whole run."</p> }
    };
    view! {
        <When when=Signal::derive(move || !is_empty.get()) fallback=nothing>
            <PlotView
                source
                title=Signal::stored(panel.title.to_owned())
                summary=Signal::derive(move || series.with(|series| panel.summary(series)))
                height=Signal::stored(170)
                file_stem=Signal::stored(panel.stem.to_owned())
                on_zoom=Callback::new(move |range| zoom.set(range))
                is_zoomed=Signal::derive(move || zoom.with(Option::is_some))
                cursor
            />
        </When>
    }
}
