//! The pack file, format version 1: what is in it, in the words of the file.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;
use serde_json::Value;

use super::gpu::Gpu;
use super::kinds::Operator;
use super::sustained::UnderLoad;
use crate::profile::Fault;
use crate::profile::from_json::{Fields, FromJson, objects};
use crate::profile::schema::Source;

/// A GPU's operators. Times are medians of repeats in microseconds; `null` where nothing was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Pack {
    /// Format version: 1.
    pub pack_version: u32,
    /// Where the numbers come from.
    pub provenance: PackProvenance,
    /// The GPU.
    pub gpu: Gpu,
    /// What products reach while a load goes on, by number format; empty, and absent in the file, if nobody measured it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sustained: Vec<UnderLoad>,
    /// Times over one count: tokens, requests, or numbers.
    pub curves: Vec<CurveTable>,
    /// Times over requests and the tokens that each attends to.
    pub grids: Vec<GridTable>,
}

/// Where a pack's numbers come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct PackProvenance {
    /// Program that wrote the file.
    pub tool: String,
    /// Its version.
    pub tool_version: String,
    /// Day on which it ran, `YYYY-MM-DD`.
    pub date: String,
    /// What the numbers were made from.
    pub sources: Vec<Source>,
    /// Newest version of vLLM whose operators were measured.
    pub vllm_version: String,
    /// What a reader must know before trusting the numbers.
    pub notes: Vec<String>,
}

/// An operator's times over one count, for several shapes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct CurveTable {
    /// The operator.
    pub operator: Operator,
    /// Number format, as [`Operator`] says of what; empty if there is one only.
    pub format: String,
    /// What else tells tables apart, as [`Operator`] says; empty if nothing does.
    pub variant: String,
    /// Kernels that ran, as the source calls them.
    pub kernels: Vec<String>,
    /// The counts, growing.
    pub counts: Vec<u32>,
    /// Sizes of each shape, in the order that [`Operator`] gives.
    pub shapes: Vec<Vec<u32>>,
    /// A row for each shape, as long as `counts`; not falling.
    pub time_us: Vec<Vec<Option<f64>>>,
}

/// An operator's times over requests and context, for several shapes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct GridTable {
    /// The operator.
    pub operator: Operator,
    /// Number format, as [`Operator`] says of what.
    pub format: String,
    /// What else tells tables apart, as [`Operator`] says; empty if nothing does.
    pub variant: String,
    /// Kernels that ran, as the source calls them.
    pub kernels: Vec<String>,
    /// Requests, growing: rows.
    pub num_seqs: Vec<u32>,
    /// Tokens that each attends to, its own included, growing: columns.
    pub context_tokens: Vec<u32>,
    /// Sizes of each shape, in the order that [`Operator`] gives.
    pub shapes: Vec<Vec<u32>>,
    /// A grid for each shape; the end of a row may be `null`.
    pub time_us: Vec<Vec<Vec<Option<f64>>>>,
}

/// Rates under load are absent in files of before they were known.
impl FromJson for Pack {
    fn from_json(value: Value) -> Result<Self, Fault> {
        let fields = Fields::new(value, &["pack_version", "provenance", "gpu", "sustained", "curves", "grids"])?;
        let mut fields = fields.with_default("sustained", Value::Array(Vec::new()));
        Ok(Self {
            pack_version: fields.read("pack_version")?,
            provenance: fields.read("provenance")?,
            gpu: fields.read("gpu")?,
            sustained: fields.read("sustained")?,
            curves: fields.read("curves")?,
            grids: fields.read("grids")?,
        })
    }
}

objects! {
    PackProvenance { tool, tool_version, date, sources, vllm_version, notes }
    CurveTable { operator, format, variant, kernels, counts, shapes, time_us }
    GridTable { operator, format, variant, kernels, num_seqs, context_tokens, shapes, time_us }
}
