//! What is in a pack, what is not, and what was changed in it.

use serde::Serialize;
use sim_core::operators::{Operator, Pack};

use super::MAX_SMOOTHING_PERCENT;

/// All operators that a pack can have.
const ALL: [Operator; 17] = [
    Operator::Product,
    Operator::Experts,
    Operator::PromptAttention,
    Operator::DecodeAttention,
    Operator::LatentPrompt,
    Operator::LatentDecode,
    Operator::SparsePrompt,
    Operator::SparseDecode,
    Operator::DeltaPrompt,
    Operator::DeltaDecode,
    Operator::KimiDeltaPrompt,
    Operator::KimiDeltaDecode,
    Operator::AllReduce,
    Operator::NcclAllReduce,
    Operator::AllGather,
    Operator::ReduceScatter,
    Operator::AllToAll,
];

/// An operator's table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TableExtent {
    pub(crate) operator: &'static str,
    pub(crate) format: String,
    pub(crate) variant: String,
    pub(crate) num_shapes: usize,
    /// Times that are there, and places without one.
    pub(crate) num_times: usize,
    pub(crate) num_missing: usize,
    /// The least and largest count: tokens, requests or numbers.
    pub(crate) counts: [u32; 2],
    /// The most tokens that a request attends to, in grids.
    pub(crate) context: Option<u32>,
    pub(crate) kernels: Vec<String>,
}

/// The pack's tables, in its order.
pub(super) fn extents(pack: &Pack) -> Vec<TableExtent> {
    let ends = |counts: &[u32]| [counts.first(), counts.last()].map(|count| count.copied().unwrap_or(0));
    let curves = pack.curves.iter().map(|table| TableExtent {
        operator: table.operator.name(),
        format: table.format.clone(),
        variant: table.variant.clone(),
        num_shapes: table.shapes.len(),
        num_times: table.time_us.iter().flatten().flatten().count(),
        num_missing: table.time_us.iter().flatten().filter(|time| time.is_none()).count(),
        counts: ends(&table.counts),
        context: None,
        kernels: table.kernels.clone(),
    });
    let grids = pack.grids.iter().map(|table| TableExtent {
        operator: table.operator.name(),
        format: table.format.clone(),
        variant: table.variant.clone(),
        num_shapes: table.shapes.len(),
        num_times: table.time_us.iter().flatten().flatten().flatten().count(),
        num_missing: table.time_us.iter().flatten().flatten().filter(|time| time.is_none()).count(),
        counts: ends(&table.num_seqs),
        context: table.context_tokens.last().copied(),
        kernels: table.kernels.clone(),
    });
    curves.chain(grids).collect()
}

/// Operators without a table.
pub(super) fn missing(pack: &Pack) -> Vec<&'static str> {
    let has = |operator: Operator| {
        pack.curves.iter().any(|table| table.operator == operator)
            || pack.grids.iter().any(|table| table.operator == operator)
    };
    ALL.into_iter().filter(|&operator| !has(operator)).map(Operator::name).collect()
}

/// What making times non-falling changed, as a note of the pack says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Smoothed {
    pub(crate) table: String,
    /// Mean change in percent.
    pub(crate) mean_percent: f64,
    /// The rest of the note.
    pub(crate) note: String,
}

impl Smoothed {
    pub(super) fn beyond_limit(&self) -> Option<String> {
        let Self { table, mean_percent, .. } = self;
        (*mean_percent > MAX_SMOOTHING_PERCENT).then(|| {
            format!("{table}: changed by {mean_percent:.1} % on average, more than {MAX_SMOOTHING_PERCENT:.0} %")
        })
    }

    /// From a note as `import operators` and `profile --operators` write it.
    fn of_note(note: &str) -> Option<Self> {
        let (table, rest) = note.split_once(": made non-falling, as more work cannot take less; ")?;
        let (percent, _) = rest.split_once(" % on average")?;
        Some(Self { table: table.to_owned(), mean_percent: percent.parse().ok()?, note: rest.to_owned() })
    }
}

/// The notes that tell of smoothing, and the others.
pub(super) fn notes(pack: &Pack) -> (Vec<Smoothed>, Vec<String>) {
    let (mut smoothed, mut others) = (vec![], vec![]);
    for note in &pack.provenance.notes {
        match Smoothed::of_note(note) {
            Some(found) => smoothed.push(found),
            None => others.push(note.clone()),
        }
    }
    (smoothed, others)
}
