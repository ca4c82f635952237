//! The request table: rows made as they are looked at, in an order that is sorted once.

use core::cmp::Ordering;

use sim_core::math;
use sim_core::metrics::bench_outputs::{BenchOutputs, RecordedOutputs};
use sim_core::metrics::goodput::Goodput;
use sim_core::metrics::recorder::Recording;
use sim_core::metrics::request_metrics::tpot;

use crate::detail::RequestRow;

/// Most rows of one answer.
const MAX_ROWS: u32 = 10_000;

/// Gives a row's value in a column; `None` sorts last, whichever way.
type Value = fn(&RequestRow) -> Option<f64>;

/// The columns that can be sorted by, with the names of [`RequestRow`].
const COLUMNS: [(&str, Value); 13] = [
    ("index", |row| Some(math::u32_to_f64(row.index))),
    ("send", |row| Some(row.send)),
    ("num_prompt_tokens", |row| Some(math::u32_to_f64(row.num_prompt_tokens))),
    ("num_cached_tokens", |row| Some(math::u32_to_f64(row.num_cached_tokens))),
    ("num_output_tokens", |row| Some(math::u32_to_f64(row.num_output_tokens))),
    ("client_queue", |row| Some(row.client_queue)),
    ("ttft", |row| row.is_finished.then_some(row.ttft)),
    ("queue", |row| row.is_finished.then_some(row.queue)),
    ("tpot", |row| row.tpot),
    ("e2el", |row| row.is_finished.then_some(row.e2el)),
    ("num_preemptions", |row| Some(math::u32_to_f64(row.num_preemptions))),
    ("is_good", |row| Some(if row.is_good { 1.0 } else { 0.0 })),
    ("is_finished", |row| Some(if row.is_finished { 1.0 } else { 0.0 })),
];

/// An order of the requests, kept until another is asked for.
#[derive(Debug, Default)]
pub(crate) struct Order {
    sort_by: String,
    descending: bool,
    indices: Vec<u32>,
}

/// Rows `offset` to `offset + limit` in the order of `sort_by`; requests with equal values stay in theirs.
///
/// # Errors
/// A message if [`RequestRow`] has no such field.
pub(crate) fn rows(
    recording: &Recording,
    goodput: &Goodput,
    order: &mut Order,
    (sort_by, descending): (&str, bool),
    (offset, limit): (u32, u32),
) -> Result<Vec<RequestRow>, String> {
    let outputs = RecordedOutputs::without_itls(recording);
    if order.indices.len() != recording.requests.len() || order.sort_by != sort_by || order.descending != descending {
        let value = COLUMNS.iter().find(|column| column.0 == sort_by).map(|column| column.1).ok_or_else(|| {
            let names: Vec<&str> = COLUMNS.iter().map(|column| column.0).collect();
            format!("the request table has no column {sort_by:?}; it has {}", names.join(", "))
        })?;
        let num_requests = math::usize_to_u32(recording.requests.len());
        let keys = (0..num_requests).map(|index| (value(&row(&outputs, recording, goodput, index)), index));
        let mut keys: Vec<(Option<f64>, u32)> = keys.collect();
        keys.sort_by(|a, b| compare(a.0, b.0, descending));
        let indices = keys.into_iter().map(|(_, index)| index).collect();
        *order = Order { sort_by: sort_by.to_owned(), descending, indices };
    }
    let (offset, limit) = (math::u32_to_usize(offset), math::u32_to_usize(limit.min(MAX_ROWS)));
    let shown = order.indices.iter().skip(offset).take(limit);
    Ok(shown.map(|&index| row(&outputs, recording, goodput, index)).collect())
}

fn compare(a: Option<f64>, b: Option<f64>, descending: bool) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if descending => b.total_cmp(&a),
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

fn row(outputs: &RecordedOutputs<'_>, recording: &Recording, goodput: &Goodput, index: u32) -> RequestRow {
    let place = math::u32_to_usize(index);
    let Some(record) = recording.requests.get(place) else {
        return RequestRow::default();
    };
    let output = outputs.output(place);
    RequestRow {
        index,
        send: output.start_time,
        num_prompt_tokens: record.num_prompt_tokens,
        num_cached_tokens: record.num_cached_tokens,
        num_output_tokens: record.num_output_tokens,
        client_queue: output.client_queue_time,
        ttft: output.ttft,
        queue: recording.instants(record).map_or(0.0, |instants| instants.queue_time().as_secs_f64()),
        tpot: tpot(output.latency, output.ttft, output.output_len),
        e2el: output.latency,
        num_preemptions: record.num_preemptions,
        is_good: goodput.is_met(&output),
        is_finished: record.is_finished,
    }
}
