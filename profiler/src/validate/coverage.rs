//! How far the tables reach, and how far the engine's own limits ask them to.

use serde::Serialize;
use sim_core::profile::Profile;

/// One axis of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Extent {
    /// The table's field in `step_time`.
    pub(crate) table: &'static str,
    /// The axis' field in it.
    pub(crate) axis: &'static str,
    pub(crate) num_points: usize,
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// The largest value that the engine's limits allow.
    pub(crate) needed: u32,
    /// The limit that this follows from.
    pub(crate) because: &'static str,
}

impl Extent {
    /// Whether the axis reaches as far as the engine's limits allow.
    pub(crate) const fn is_enough(&self) -> bool {
        self.last >= self.needed
    }

    pub(super) fn beyond_limit(&self) -> Option<String> {
        let Self { table, axis, last, needed, because, .. } = self;
        (!self.is_enough()).then(|| format!("{table} ends at {axis} {last}; {because} allows {needed}"))
    }
}

/// Every axis of every table.
pub(super) fn extents(profile: &Profile) -> Vec<Extent> {
    let (tables, engine) = (&profile.step_time, &profile.engine);
    let (decode, prefill) = (&tables.decode_attention, &tables.prefill_attention);
    let (tokens, requests, length) = (engine.max_num_batched_tokens, engine.max_num_seqs, engine.max_model_len);
    // A pass has no more requests than tokens, a prompt part no more tokens than the sequence.
    let (requests, part) = (requests.min(tokens), tokens.min(length));
    let extent = |table, axis, points: &[u32], needed, because| Extent {
        table,
        axis,
        num_points: points.len(),
        first: points.first().copied().unwrap_or(0),
        last: points.last().copied().unwrap_or(0),
        needed,
        because,
    };
    vec![
        extent("non_attention", "num_tokens", &tables.non_attention.num_tokens, tokens, "max_num_batched_tokens"),
        extent("head", "num_seqs", &tables.head.num_seqs, requests, "max_num_seqs"),
        extent("decode_attention", "num_seqs", &decode.num_seqs, requests, "max_num_seqs"),
        extent("decode_attention", "context_tokens", &decode.context_tokens, length, "max_model_len"),
        extent("prefill_attention", "chunk_tokens", &prefill.chunk_tokens, part, "max_num_batched_tokens"),
        extent("prefill_attention", "prefix_tokens", &prefill.prefix_tokens, length - part, "max_model_len"),
    ]
}
