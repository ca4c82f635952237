//! The parsers of files that somebody else wrote, for fuzz targets and tests: each takes bytes and says whether it took them.

use crate::import::aiconfigurator::columns::{Columns, Wanted};
use crate::import::model_config::ModelConfig;

/// Reads a `config.json` as `profiler import` does; the number of the model's parameters if it is accepted.
#[must_use]
pub fn model_config(bytes: &[u8]) -> Option<u64> {
    ModelConfig::from_json(bytes, "fuzz").ok().map(|config| config.num_parameters())
}

/// Reads a parquet table as `profiler import aiconfigurator` does; its number of rows if it is accepted.
#[must_use]
pub fn parquet_table(bytes: &[u8]) -> Option<usize> {
    let wanted = Wanted { texts: &["gemm_dtype"], counts: &["m", "n", "k"], ..Wanted::default() };
    Columns::read(bytes, "fuzz", &wanted).ok().map(|columns| columns.num_rows())
}
