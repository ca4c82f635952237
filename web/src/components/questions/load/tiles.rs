//! The figures at the load that is carried.

use sim_core::answers::capacity::LoadKind;

use super::curve::{LATENCIES, unit};
use crate::format::{duration, grouped, percent};
use crate::plot::ticks::{self, Unit};
use crate::searching::Found;

/// A figure with its name and what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) about: String,
    pub(super) testid: &'static str,
}

/// What is carried, what is generated there, and the P99 of the latencies that have an objective, or of TTFT and TPOT.
pub(super) fn tiles(found: &Found) -> Vec<Tile> {
    let number = |load| ticks::text(Unit::Number, load);
    let answer = &found.answer;
    let carried = answer.capacity.map_or_else(|| "nothing".to_owned(), number);
    let interval = answer.interval.map(|(low, high)| format!("95 % over seeds: {} – {}", number(low), number(high)));
    let more = (answer.capacity.is_some() && !answer.is_limited).then(|| "and more: nothing tried misses".to_owned());
    let mut tiles = vec![Tile {
        name: match found.question.kind {
            LoadKind::Rate => "Carries, requests/s",
            LoadKind::Concurrency => "Carries, requests at once",
            LoadKind::Users => "Carries, users",
        },
        value: carried,
        about: interval.or(more).unwrap_or_else(|| unit(found.question.kind).to_owned()),
        testid: "load-capacity",
    }];
    let Some(at) = answer.at_capacity() else { return tiles };
    tiles.push(Tile {
        name: "Output tokens/s there",
        value: grouped(at.mean(|trial| trial.output_throughput)),
        about: format!("{} of the KV blocks at most", percent(at.mean(|trial| trial.kv_cache_peak))),
        testid: "load-tokens",
    });
    let bounds = found.question.bounds();
    let shown: Vec<usize> =
        if bounds.is_empty() { vec![0, 1] } else { bounds.iter().map(|(place, _)| *place).collect() };
    for place in shown.into_iter().take(2) {
        let bound = bounds.iter().find(|(of, _)| *of == place);
        let p99 = at.mean(|trial| trial.latencies_ms.get(place).map_or(0.0, |ms| ms[2]));
        let (name, testid) = match place {
            0 => ("P99 TTFT there", "load-p99-ttft"),
            1 => ("P99 TPOT there", "load-p99-tpot"),
            _ => ("P99 E2EL there", "load-p99-e2el"),
        };
        let long = LATENCIES.get(place).map_or("", |latency| latency.1);
        tiles.push(Tile {
            name,
            value: duration(p99 / 1000.0),
            about: bound.map_or_else(|| long.to_owned(), |(_, ms)| format!("objective {}", duration(ms / 1000.0))),
            testid,
        });
    }
    tiles
}
