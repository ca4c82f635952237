//! The load curve as data for plots: latencies, the share that meets, and what is answered, against load.

use sim_core::answers::capacity::trial::Point;
use sim_core::answers::capacity::{LoadKind, Trial};

use crate::components::plot_view::{Reading, Table};
use crate::plot::load_curve::{Bound, Knee, LoadCurvePlot, LoadLine, load_text};
use crate::plot::ticks::{self, Unit};
use crate::plot::{Dash, Look};
use crate::searching::Found;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Panel {
    /// A latency, by its place among TTFT, TPOT and E2EL.
    Latency(usize),
    /// The share of requests that meets every objective.
    Share,
    /// Requests answered a second.
    Answered,
}

/// The percentiles of [`Trial::latencies_ms`], the one that counts most first.
const PERCENTILES: [(&str, usize, Look); 3] = [
    ("P99", 2, Look { series: 1, dash: Dash::Solid }),
    ("P90", 1, Look { series: 3, dash: Dash::Dashed }),
    ("P50", 0, Look { series: 2, dash: Dash::Dotted }),
];

/// The latencies in words, in their order.
pub(super) const LATENCIES: [(&str, &str); 3] =
    [("TTFT", "Time to First Token"), ("TPOT", "Time per Output Token"), ("E2EL", "End-to-end Latency")];

fn line(found: &Found, name: &str, look: Look, of: impl Fn(&Point) -> f64) -> LoadLine {
    let points = found.answer.curve.iter().map(|point| (point.load, of(point))).collect();
    LoadLine { name: name.to_owned(), look, points }
}

/// What loads are counted in, short.
pub(super) const fn unit(kind: LoadKind) -> &'static str {
    match kind {
        LoadKind::Rate => "requests/s",
        LoadKind::Concurrency => "requests at once",
        LoadKind::Users => "users",
    }
}

impl Panel {
    /// Above the plot.
    pub(super) fn title(self) -> String {
        match self {
            Self::Latency(place) => {
                LATENCIES.get(place).map(|(name, long)| format!("{name}: {long}")).unwrap_or_default()
            }
            Self::Share => "Requests that meet every objective".to_owned(),
            Self::Answered => "Requests answered a second".to_owned(),
        }
    }

    /// Of the files that are saved.
    pub(super) fn stem(self) -> String {
        let name = match self {
            Self::Latency(place) => LATENCIES.get(place).map_or("", |latency| latency.0),
            Self::Share => "share",
            Self::Answered => "answered",
        };
        format!("load-curve-{}", name.to_lowercase())
    }

    const fn y_unit(self) -> Unit {
        match self {
            Self::Latency(_) => Unit::Seconds,
            Self::Share => Unit::Share,
            Self::Answered => Unit::Number,
        }
    }

    fn lines(self, found: &Found) -> Vec<LoadLine> {
        match self {
            Self::Latency(place) => {
                let seconds = move |percentile: usize| {
                    move |trial: &Trial| {
                        trial.latencies_ms.get(place).and_then(|ms| ms.get(percentile)).copied().unwrap_or(0.0) / 1000.0
                    }
                };
                let of = |(name, percentile, look): (&str, usize, Look)| {
                    line(found, name, look, move |point| point.mean(seconds(percentile)))
                };
                PERCENTILES.into_iter().map(of).collect()
            }
            Self::Share => vec![line(found, "meet", PERCENTILES[0].2, Point::share_met)],
            Self::Answered => {
                let answered = |point: &Point| point.mean(|trial| trial.request_throughput);
                let mut lines = vec![line(found, "answered", PERCENTILES[0].2, answered)];
                if found.question.kind == LoadKind::Rate {
                    let look = Look { series: 6, dash: Dash::Dotted };
                    lines.push(line(found, "sent", look, |point| point.load));
                }
                lines
            }
        }
    }

    fn bound(self, found: &Found) -> Option<Bound> {
        match self {
            Self::Latency(place) => {
                let bounds = found.question.bounds();
                let (_, ms) = bounds.into_iter().find(|(of, _)| *of == place)?;
                let label = format!("SLO {}", ticks::text(Unit::Seconds, ms / 1000.0));
                Some(Bound { value: ms / 1000.0, label, is_upper: true })
            }
            Self::Share => {
                let value = found.question.required_share;
                let label = format!("{} must", ticks::text(Unit::Share, value));
                Some(Bound { value, label, is_upper: false })
            }
            Self::Answered => None,
        }
    }

    /// The plot; `x_range`: what is visible of it.
    pub(super) fn plot(self, found: &Found, x_range: Option<(f64, f64)>) -> LoadCurvePlot {
        let unit = unit(found.question.kind);
        let knee = found.answer.capacity.filter(|_| found.answer.is_limited).map(|load| Knee {
            load,
            interval: found.answer.interval,
            label: format!("carries {}", ticks::text(Unit::Number, load)),
        });
        let furthest = found.answer.curve.last().map(|point| (0.0, point.load));
        LoadCurvePlot {
            lines: self.lines(found),
            x_title: unit.to_owned(),
            y_unit: self.y_unit(),
            y_title: match self {
                Self::Latency(place) => LATENCIES.get(place).map_or("", |latency| latency.0).to_owned(),
                Self::Share => "of the requests".to_owned(),
                Self::Answered => "requests/s".to_owned(),
            },
            is_log: matches!(self, Self::Latency(_)),
            bound: self.bound(found),
            knee,
            x_range: x_range.or(furthest),
        }
    }

    /// Every line at the load that was tried nearest to `load`.
    pub(super) fn readings(self, found: &Found, load: f64) -> Vec<Reading> {
        let lines = self.lines(found);
        let tried = lines.first().and_then(|line| line.at(load)).map(|(tried, _)| Reading {
            name: "tried at".to_owned(),
            text: load_text(tried, unit(found.question.kind)),
            look: None,
        });
        let read = |line: LoadLine| {
            let (_, value) = line.at(load)?;
            Some(Reading { name: line.name, text: ticks::text(self.y_unit(), value), look: Some(line.look) })
        };
        tried.into_iter().chain(lines.into_iter().filter_map(read)).collect()
    }

    /// The same as words.
    pub(super) fn table(self, found: &Found) -> Table {
        let lines = self.lines(found);
        let mut columns = vec![unit(found.question.kind).to_owned()];
        columns.extend(lines.iter().map(|line| line.name.clone()));
        let row = |(place, point): (usize, &Point)| {
            let values = lines.iter().filter_map(|line| line.points.get(place));
            let cells = values.map(|(_, value)| ticks::text(self.y_unit(), *value));
            std::iter::once(ticks::text(Unit::Number, point.load)).chain(cells).collect()
        };
        Table { columns, rows: found.answer.curve.iter().enumerate().map(row).collect() }
    }

    /// The same with all digits.
    pub(super) fn csv(self, found: &Found) -> String {
        let lines = self.lines(found);
        let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
        let mut text = format!("load,{}\n", names.join(","));
        for (place, point) in found.answer.curve.iter().enumerate() {
            let values = lines.iter().filter_map(|line| line.points.get(place)).map(|(_, value)| value.to_string());
            text.push_str(&format!("{},{}\n", point.load, values.collect::<Vec<_>>().join(",")));
        }
        text
    }

    /// One sentence that says what a person would see.
    pub(super) fn summary(self, found: &Found) -> String {
        let (Some(first), Some(last)) = (found.answer.curve.first(), found.answer.curve.last()) else {
            return format!("{}: nothing tried yet.", self.title());
        };
        let unit = unit(found.question.kind);
        let value = |load| {
            let at = self.lines(found).first().and_then(|line| line.at(load)).map(|(_, value)| value);
            at.map_or_else(String::new, |value| ticks::text(self.y_unit(), value))
        };
        let knee = found
            .answer
            .capacity
            .map(|load| format!(", {} at {}, which is carried", value(load), load_text(load, unit)));
        format!(
            "{}: {} at {}{}, {} at {}.",
            self.title(),
            value(first.load),
            load_text(first.load, unit),
            knee.unwrap_or_default(),
            value(last.load),
            load_text(last.load, unit)
        )
    }
}
