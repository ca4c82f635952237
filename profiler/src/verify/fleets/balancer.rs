//! Which rank each request went to, as the real balancers of all API servers chose.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use sim_core::fleet::data_parallel::balancer::{Balancer, EngineCounts};

use super::super::difference::{Difference, compare_value};

/// Most ranks and API servers of a recording.
const MOST: usize = 4096;

#[derive(Debug, Deserialize)]
struct BalancerTrace {
    ranks: usize,
    clients: u32,
    events: Vec<Event>,
}

/// Waiting, running, KV usage.
type Counts = (u64, u64, f64);

#[derive(Debug, Deserialize)]
#[serde(tag = "e", rename_all = "snake_case")]
enum Event {
    Snapshot { counts: Vec<Counts> },
    Add { client: usize, id: String, rank: Option<usize>, choice: usize, counts_after: Vec<Counts>, start_after: usize },
    Finish { client: usize, id: String },
}

pub(super) fn verify(json: &[u8]) -> Result<Option<Difference>> {
    let trace: BalancerTrace = serde_json::from_slice(json).context("not a recording of a balancer")?;
    ensure!((1..=MOST).contains(&trace.ranks), "ranks is {}; it must be in 1..={MOST}", trace.ranks);
    ensure!((1..=MOST).contains(&(trace.clients as usize)), "clients is {}; it must be in 1..={MOST}", trace.clients);
    let mut balancers: Vec<_> =
        (0..trace.clients).map(|client| Balancer::new(trace.ranks, trace.clients, client)).collect();
    let mut under_way = BTreeMap::new();
    for (index, event) in (0..).zip(&trace.events) {
        let no_client = || format!("events[{index}].client: there are {} clients", trace.clients);
        match event {
            Event::Snapshot { counts } => {
                ensure!(counts.len() == trace.ranks, "events[{index}].counts: there are {} ranks", trace.ranks);
                let counts: Vec<_> = counts.iter().map(|&counts| of_counts(counts)).collect();
                balancers.iter_mut().for_each(|balancer| balancer.take_snapshot(&counts));
            }
            Event::Finish { client, id } => {
                let balancer = balancers.get_mut(*client).with_context(no_client)?;
                if let Some(rank) = under_way.remove(&(*client, id)) {
                    balancer.finish(rank);
                }
            }
            Event::Add { client, id, rank, choice, counts_after, start_after } => {
                let balancer = balancers.get_mut(*client).with_context(no_client)?;
                // A request that continues goes where it is.
                let known = under_way.get(&(*client, id)).copied();
                let found = known.unwrap_or_else(|| {
                    let rank = rank.inspect(|&rank| balancer.assign(rank)).unwrap_or_else(|| balancer.choose());
                    under_way.insert((*client, id), rank);
                    rank
                });
                let counts =
                    balancer.counts().iter().map(|told| (told.num_waiting, told.num_running, told.kv_cache_usage));
                let difference = compare_value(index, "rank chosen (choice)", choice, &found)
                    .or_else(|| compare_value(index, "counts after (counts_after)", counts_after, &counts.collect()))
                    .or_else(|| compare_value(index, "first rank (start_after)", start_after, &balancer.start()));
                if difference.is_some() {
                    return Ok(difference);
                }
            }
        }
    }
    Ok(None)
}

const fn of_counts((num_waiting, num_running, kv_cache_usage): Counts) -> EngineCounts {
    EngineCounts { num_waiting, num_running, kv_cache_usage }
}
