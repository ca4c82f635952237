//! Several engines beside each other: what each did, how uneven they are, and each over time.

use std::sync::Arc;

use leptos::prelude::*;

use super::parts::Shown;
use super::replicas_over_time::OverTime;
use super::routers::Routers;
use crate::components::live::{When, live};
use crate::fleet_answer::{EngineRow, FleetAnswer, FleetKind};
use crate::format::{duration, grouped, percent};

/// Most rows that are seen without scrolling.
const MANY: usize = 16;

/// The cards; nothing for one engine.
#[component]
pub(crate) fn ReplicasCard(
    /// The answer.
    shown: Shown,
) -> impl IntoView {
    let fleet = shown.part(|answer| answer.fleet.clone().map(Arc::new));
    let is_fleet = Memo::new(move |_| fleet.with(Option::is_some));
    let has_routers =
        Memo::new(move |_| fleet.with(|fleet| fleet.as_ref().is_some_and(|fleet| fleet.kind == FleetKind::Replicas)));
    let fleet = Memo::new(move |_| fleet.get().unwrap_or_default());
    view! {
        <When when=Signal::derive(move || is_fleet.get())>
            <section class="card" aria-labelledby="replicas-title" data-testid="replicas">
                <div class="card-title">
                    <h3 id="replicas-title">{live(move || fleet.with(|fleet| title(fleet)))}</h3>
                    <span class="muted card-aside">{live(move || fleet.with(|fleet| behind(fleet)))}</span>
                </div>
                <div class="card-body">
                    {live(move || fleet.with(|fleet| imbalances(fleet)))}
                    {live(move || fleet.with(|fleet| table(fleet)))}
                    {live(move || fleet.with(|fleet| fleet.notes.iter().map(|note| view! {
                        <p class="muted replicas-note" data-testid="replicas-note">{note.clone()}</p>
                    }).collect_view()))}
                    <OverTime fleet/>
                </div>
            </section>
            <When when=Signal::derive(move || has_routers.get())><Routers/></When>
        </When>
    }
}

fn title(fleet: &FleetAnswer) -> &'static str {
    match fleet.kind {
        FleetKind::Replicas => "Replicas",
        FleetKind::Ranks => "Data-parallel ranks",
        FleetKind::Roles => "Prefill and decode replicas",
    }
}

/// Who gave them requests.
fn behind(fleet: &FleetAnswer) -> String {
    if fleet.kind == FleetKind::Ranks { String::new() } else { format!("behind the router {}", fleet.router) }
}

/// A count for show.
fn count(number: u64) -> String {
    grouped(sim_core::math::u64_to_f64(number))
}

/// How uneven they are.
fn imbalances(fleet: &FleetAnswer) -> impl IntoView + use<> {
    let figures = fleet.imbalances.clone();
    view! {
        <p class="replicas-imbalance" data-testid="imbalance">
            <b>"Imbalance"</b> " "
            <span class="muted">"(the most of any over the mean; 1 is even): "</span>
            {figures.into_iter().enumerate().map(|(place, (name, value))| view! {
                {(place > 0).then_some(", ")}
                {name.clone()} " " <b class="num" data-testid=format!("imbalance-{}", name.replace(' ', "-"))>{format!("{value:.3}")}</b>
            }).collect_view()}
            "."
        </p>
    }
}

fn table(fleet: &FleetAnswer) -> impl IntoView + use<> {
    let tokens = |engine: &EngineRow| engine.num_prompt_tokens + engine.num_output_tokens;
    // Of two roles each token is computed by one of either.
    let share_of = |engine: &EngineRow| {
        let alike = fleet.engines.iter().filter(|other| other.tpot.is_some() == engine.tpot.is_some());
        let all: u64 = alike.map(tokens).sum();
        sim_core::math::u64_to_f64(tokens(engine)) / sim_core::math::u64_to_f64(all.max(1))
    };
    let most = fleet.engines.iter().map(share_of).fold(f64::MIN_POSITIVE, f64::max);
    let rows: Vec<_> = fleet.engines.iter().map(|engine| row(engine, share_of(engine), most)).collect();
    let is_long = fleet.engines.len() > MANY;
    view! {
        <div
            class="table-scroll" class:replicas-many=is_long tabindex="0" role="region"
            aria-label="Each of the engines"
        >
            <table class="table replicas-table" data-testid="replicas-table">
                <thead>
                    <tr>
                        <th scope="col">"Engine"</th>
                        <th scope="col" class="text" title="Share of all prompt and output tokens">"Share of tokens"</th>
                        <th scope="col">"Requests"</th>
                        <th scope="col">"Output tokens"</th>
                        <th scope="col">"TTFT P50"</th>
                        <th scope="col">"TTFT P99"</th>
                        <th scope="col">"TPOT P99"</th>
                        <th scope="col" title="Share of the KV blocks in use, in the mean over passes">"KV mean"</th>
                        <th scope="col" title="The same at its highest">"KV peak"</th>
                        <th scope="col" title="Share of looked-up prompt tokens in the prefix cache">"Prefix hits"</th>
                        <th scope="col" title="Share of the run in which its passes ran">"Busy"</th>
                        <th scope="col">"Preemptions"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

fn row(engine: &EngineRow, share: f64, most: f64) -> impl IntoView + use<> {
    let idle = engine.num_requests == 0;
    let time = |seconds: f64| if idle { "–".to_owned() } else { duration(seconds) };
    view! {
        <tr>
            <th scope="row">{engine.name.clone()}</th>
            <td class="text replicas-share">
                <span class="replicas-bar" style=format!("width:{:.1}%", 62.0 * share / most)></span>
                <span class="num">{percent(share)}</span>
            </td>
            <td>{count(engine.num_requests)}</td>
            <td>{count(engine.num_output_tokens)}</td>
            <td>{time(engine.ttft[0])}</td>
            <td>{time(engine.ttft[1])}</td>
            <td>{engine.tpot.map_or_else(|| "–".to_owned(), |tpot| time(tpot[1]))}</td>
            <td>{percent(engine.kv_cache_usage[0])}</td>
            <td>{percent(engine.kv_cache_usage[1])}</td>
            <td>{percent(engine.prefix_cache_hit_rate)}</td>
            <td>{percent(engine.busy)}</td>
            <td>{count(engine.num_preemptions)}</td>
        </tr>
    }
}
