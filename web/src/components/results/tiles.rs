//! The numbers at a glance: four latencies, then throughput and what the engine did.

use leptos::prelude::*;

use super::how_sure::least_to_most;
use super::parts::{Shown, Term};
use super::sentences::{metric, percentile, tile_note};
use crate::answer::{Answer, Metric, RangeAnswer, Totals};
use crate::components::live::live;
use crate::format::{duration, grouped, percent, three_digits};

/// The latencies that have a tile.
const LATENCIES: [(&str, &str); 4] = [("ttft", "TTFT"), ("tpot", "TPOT"), ("itl", "ITL"), ("e2el", "E2EL")];

/// A tile for each latency, then the totals.
#[component]
pub(crate) fn Tiles(
    /// The answer.
    shown: Shown,
) -> impl IntoView {
    view! {
        <div class="tiles" data-testid="tiles">
            {LATENCIES.map(|(key, name)| view! { <LatencyTile shown key name/> }).collect_view()}
        </div>
        <TotalsList shown/>
        <Drafts shown/>
    }
}

/// What became of the drafts, where there are any.
#[component]
fn Drafts(shown: Shown) -> impl IntoView {
    let said = shown.part(|answer| answer.spec_decoding.clone());
    view! {
        {live(move || Some(said.get()).filter(|said| !said.is_empty()).map(|said| view! {
            <p class="totals-note" data-testid="spec-decoding"><b>"Speculative decoding"</b> " " {said} "."</p>
        }))}
    }
}

/// What a tile says of the objective: class and text.
fn objective(answer: &Answer, key: &str) -> Option<(bool, String)> {
    let (_, bound, share) = answer.verdict.objectives.iter().find(|objective| objective.0 == key)?;
    let is_met = *share >= crate::answer::Verdict::REQUIRED_SHARE;
    Some((is_met, format!("{} ≤ {bound} ms", percent(*share))))
}

/// What a tile shows: percentiles, and the mean.
const FIGURES: [Option<f64>; 5] = [Some(99.0), Some(50.0), None, Some(90.0), Some(95.0)];

/// A percentile of a metric, or its mean; nothing of no samples.
fn value(metric: &Metric, percent: Option<f64>) -> Option<f64> {
    percent.map_or(Some(metric.mean), |percent| percentile(metric, percent)).filter(|_| metric.count > 0)
}

/// The same in words.
fn figure(metric: &Metric, percent: Option<f64>) -> String {
    value(metric, percent).map_or_else(|| "–".to_owned(), duration)
}

/// Of each of [`FIGURES`] the least and the most within the range.
fn ranges(answer: &Answer, range: &RangeAnswer, key: &str) -> [Option<String>; 5] {
    let all = || std::iter::once(&answer.metrics).chain(range.bounds.iter().map(|bound| &bound.metrics));
    FIGURES.map(|percent| {
        let text = least_to_most(all().filter_map(|metrics| value(metric(metrics, key)?, percent)), duration)?;
        let is_small = !matches!(percent, Some(99.0 | 50.0));
        let own = metric(&answer.metrics, key).map(|metric| figure(metric, percent)).unwrap_or_default();
        Some(if is_small { without_unit(&text, &own) } else { text })
    })
}

/// `51.5 – 69.1` of `51.5 – 69.1 ms` below `56.5 ms`: there is little room, and the unit stands above.
fn without_unit(range: &str, own: &str) -> String {
    let unit = own.split_once(' ').map_or("", |(_, unit)| unit);
    let numbers = range.strip_suffix(unit).filter(|numbers| !numbers.contains(char::is_alphabetic));
    numbers.map_or(range, str::trim_end).to_owned()
}

/// Beside a figure, small: its range, or that it is being worked out, so that nothing moves when it comes.
#[component]
fn Around(shown: Shown, text: Signal<Option<String>>) -> impl IntoView {
    move || {
        let text = text.get().or_else(|| shown.is_range_awaited().then(|| "…".to_owned()));
        text.map(|text| {
            view! { <small class="range" title="The least and the most, as far as this may be off">{text}</small> }
        })
    }
}

#[component]
fn LatencyTile(shown: Shown, key: &'static str, name: &'static str) -> impl IntoView {
    let values = shown.part(move |answer| {
        let found = metric(&answer.metrics, key).cloned().unwrap_or_default();
        Metric { ecdf: Vec::new(), linear_histogram: <_>::default(), log_histogram: <_>::default(), ..found }
    });
    let met = shown.part(move |answer| objective(answer, key));
    let note = shown.part(move |answer| tile_note(&answer.verdict, metric(&answer.metrics, key)?));
    let at = move |percent: f64| values.with(|metric| figure(metric, Some(percent)));
    let mean = move || values.with(|metric| figure(metric, None));
    let ranges = shown.part_with_range(move |answer, range| range.map(|range| ranges(answer, range, key)));
    let around = move |place: usize| {
        let text = move || ranges.with(|ranges| ranges.as_ref().and_then(|ranges| ranges[place].clone()));
        view! { <Around shown text=Signal::derive(text)/> }
    };
    view! {
        <section class="tile" aria-label=name data-testid=format!("tile-{key}")>
            <div class="tile-head">
                <Term key label=name place="tile"/>
                {live(move || met.get().map(|(is_met, text)| view! {
                    <span
                        class=if is_met { "chip chip-good" } else { "chip chip-bad" }
                        title="Share of the requests within the objective"
                        data-testid=format!("slo-{key}")
                    >
                        <span aria-hidden="true">{if is_met { "✓" } else { "✗" }}</span>
                        <span class="visually-hidden">{if is_met { "met:" } else { "missed:" }}</span>
                        {text}
                    </span>
                }))}
            </div>
            <dl class="tile-main">
                <div class="tile-first">
                    <dt>"P99"</dt><dd><span data-testid=format!("{key}-p99")>{live(move || at(99.0))}</span>{around(0)}</dd>
                </div>
                <div class="tile-second">
                    <dt>"P50"</dt><dd><span data-testid=format!("{key}-p50")>{live(move || at(50.0))}</span>{around(1)}</dd>
                </div>
            </dl>
            <dl class="tile-rest">
                <div><dt>"Mean"</dt><dd>{mean}{around(2)}</dd></div>
                <div><dt>"P90"</dt><dd>{live(move || at(90.0))}{around(3)}</dd></div>
                <div><dt>"P95"</dt><dd>{live(move || at(95.0))}{around(4)}</dd></div>
            </dl>
            {live(move || note.get().map(|note| view! { <p class="tile-note muted" data-testid=format!("{key}-note")>{note}</p> }))}
        </section>
    }
}

/// Totals that are shown.
const NUM_TOTALS: usize = 8;
/// Key and label of each.
const TOTALS: [(&str, &str); NUM_TOTALS] = [
    ("request_throughput", "Throughput"),
    ("request_goodput", "Goodput"),
    ("output_throughput", "Output"),
    ("total_token_throughput", "Total"),
    ("duration", "Duration"),
    ("max_concurrent_requests", "Peak concurrency"),
    ("num_preemptions", "Preemptions"),
    ("prefix_cache_hit_rate", "Prefix cache hits"),
];

/// The values of [`TOTALS`]; without objectives there is no goodput.
fn values(totals: &Totals, goodput: f64) -> [f64; NUM_TOTALS] {
    [
        totals.request_throughput,
        goodput,
        totals.output_throughput,
        totals.total_token_throughput,
        totals.duration,
        totals.max_concurrent_requests,
        approximate(totals.num_preemptions),
        totals.prefix_cache_hit_rate,
    ]
}

/// A value in words; what is none is the goodput without objectives.
fn written(place: usize, value: f64) -> String {
    match TOTALS[place].0 {
        _ if value.is_nan() => "no objective".to_owned(),
        "request_throughput" | "request_goodput" => format!("{} req/s", three_digits(value)),
        "output_throughput" | "total_token_throughput" => format!("{} tok/s", three_digits(value)),
        "duration" => duration(value),
        "prefix_cache_hit_rate" => percent(value),
        _ => grouped(value),
    }
}

/// Each value, and the least and the most of it within the range.
fn totals(answer: &Answer, range: Option<&RangeAnswer>) -> Vec<(String, Option<String>)> {
    let goodput = |goodput: f64| if answer.verdict.meets.is_some() { goodput } else { f64::NAN };
    let own = values(&answer.totals, goodput(answer.verdict.goodput));
    let ends: Vec<_> =
        range.iter().flat_map(|range| &range.bounds).map(|b| values(&b.totals, goodput(b.goodput))).collect();
    let around = |place: usize| {
        let all = std::iter::once(own[place]).chain(ends.iter().map(|end| end[place]));
        least_to_most(all, |value| written(place, value))
    };
    (0..NUM_TOTALS).map(|place| (written(place, own[place]), around(place))).collect()
}

/// A count for show.
fn approximate(count: u64) -> f64 {
    sim_core::math::u64_to_f64(count)
}

#[component]
fn TotalsList(shown: Shown) -> impl IntoView {
    let all = shown.part_with_range(totals);
    // The names stay, so that an open explanation does; only the values change.
    let of = move |place: usize| all.with(|all| all.get(place).map(|total| total.0.clone()).unwrap_or_default());
    let around = move |place: usize| {
        let text = move || all.with(|all| all.get(place).and_then(|total| total.1.clone()));
        view! { <Around shown text=Signal::derive(text)/> }
    };
    view! {
        <dl class="totals" data-testid="totals">
            {TOTALS.into_iter().enumerate().map(|(place, (key, name))| view! {
                <div class="total">
                    <dt><Term key label=name place="total"/></dt>
                    <dd><span data-testid=format!("total-{key}")>{live(move || of(place))}</span>{around(place)}</dd>
                </div>
            }).collect_view()}
        </dl>
    }
}

#[cfg(test)]
mod tests {
    use super::without_unit;

    #[test]
    fn a_range_below_a_figure_of_the_same_unit_goes_without() {
        for (range, own, expect) in [
            ("51.5 – 69.1 ms", "56.5 ms", "51.5 – 69.1"),
            ("933 ms – 1.63 s", "1.17 s", "933 ms – 1.63 s"),
            ("1.04 – 1.49 s", "980 ms", "1.04 – 1.49 s"),
            ("1 – 2", "–", "1 – 2"),
        ] {
            assert_eq!(without_unit(range, own), expect, "{range} below {own}");
        }
    }
}
