//! The numbers at a glance: four latencies, then throughput and what the engine did.

use leptos::prelude::*;

use super::parts::{Shown, Term};
use super::sentences::{metric, percentile, tile_note};
use crate::answer::{Answer, Metric, Totals};
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
        {move || Some(said.get()).filter(|said| !said.is_empty()).map(|said| view! {
            <p class="totals-note" data-testid="spec-decoding"><b>"Speculative decoding"</b> " " {said} "."</p>
        })}
    }
}

/// What a tile says of the objective: class and text.
fn objective(answer: &Answer, key: &str) -> Option<(bool, String)> {
    let (_, bound, share) = answer.verdict.objectives.iter().find(|objective| objective.0 == key)?;
    let is_met = *share >= crate::answer::Verdict::REQUIRED_SHARE;
    Some((is_met, format!("{} ≤ {bound} ms", percent(*share))))
}

#[component]
fn LatencyTile(shown: Shown, key: &'static str, name: &'static str) -> impl IntoView {
    let values = shown.part(move |answer| {
        let found = metric(&answer.metrics, key).cloned().unwrap_or_default();
        Metric { ecdf: Vec::new(), linear_histogram: <_>::default(), log_histogram: <_>::default(), ..found }
    });
    let met = shown.part(move |answer| objective(answer, key));
    let note = shown.part(move |answer| tile_note(&answer.verdict, metric(&answer.metrics, key)?));
    let at = move |percent: f64| {
        values.with(|metric| match percentile(metric, percent) {
            Some(value) if metric.count > 0 => duration(value),
            _ => "–".to_owned(),
        })
    };
    let mean = move || values.with(|metric| if metric.count > 0 { duration(metric.mean) } else { "–".to_owned() });
    view! {
        <section class="tile" aria-label=name data-testid=format!("tile-{key}")>
            <div class="tile-head">
                <Term key label=name place="tile"/>
                {move || met.get().map(|(is_met, text)| view! {
                    <span
                        class=if is_met { "chip chip-good" } else { "chip chip-bad" }
                        title="Share of the requests within the objective"
                        data-testid=format!("slo-{key}")
                    >
                        <span aria-hidden="true">{if is_met { "✓" } else { "✗" }}</span>
                        <span class="visually-hidden">{if is_met { "met:" } else { "missed:" }}</span>
                        {text}
                    </span>
                })}
            </div>
            <dl class="tile-main">
                <div class="tile-first"><dt>"P99"</dt><dd data-testid=format!("{key}-p99")>{move || at(99.0)}</dd></div>
                <div class="tile-second"><dt>"P50"</dt><dd data-testid=format!("{key}-p50")>{move || at(50.0)}</dd></div>
            </dl>
            <dl class="tile-rest">
                <div><dt>"Mean"</dt><dd>{mean}</dd></div>
                <div><dt>"P90"</dt><dd>{move || at(90.0)}</dd></div>
                <div><dt>"P95"</dt><dd>{move || at(95.0)}</dd></div>
            </dl>
            {move || note.get().map(|note| view! { <p class="tile-note muted" data-testid=format!("{key}-note")>{note}</p> })}
        </section>
    }
}

/// Key, label and value of each total.
fn totals(answer: &Answer) -> Vec<(&'static str, &'static str, String)> {
    let totals: &Totals = &answer.totals;
    let goodput = answer.verdict.meets.map(|_| format!("{} req/s", three_digits(answer.verdict.goodput)));
    vec![
        ("request_throughput", "Throughput", format!("{} req/s", three_digits(totals.request_throughput))),
        ("request_goodput", "Goodput", goodput.unwrap_or_else(|| "no objective".to_owned())),
        ("output_throughput", "Output", format!("{} tok/s", three_digits(totals.output_throughput))),
        ("total_token_throughput", "Total", format!("{} tok/s", three_digits(totals.total_token_throughput))),
        ("duration", "Duration", duration(totals.duration)),
        ("max_concurrent_requests", "Peak concurrency", grouped(totals.max_concurrent_requests)),
        ("num_preemptions", "Preemptions", grouped(approximate(totals.num_preemptions))),
        ("prefix_cache_hit_rate", "Prefix cache hits", percent(totals.prefix_cache_hit_rate)),
    ]
}

/// A count for show.
fn approximate(count: u64) -> f64 {
    sim_core::math::u64_to_f64(count)
}

#[component]
fn TotalsList(shown: Shown) -> impl IntoView {
    const NUM_TOTALS: usize = 8;
    let all = shown.part(totals);
    // The names stay, so that an open explanation does; only the values change.
    let of = move |place: usize| all.with(|all| all.get(place).map(|total| total.2.clone()).unwrap_or_default());
    let names = untrack(|| all.with(|all| all.iter().map(|total| (total.0, total.1)).collect::<Vec<_>>()));
    debug_assert!(names.is_empty() || names.len() == NUM_TOTALS, "{} totals", names.len());
    view! {
        <dl class="totals" data-testid="totals">
            {names.into_iter().enumerate().map(|(place, (key, name))| view! {
                <div class="total">
                    <dt><Term key label=name place="total"/></dt>
                    <dd data-testid=format!("total-{key}")>{move || of(place)}</dd>
                </div>
            }).collect_view()}
        </dl>
    }
}
