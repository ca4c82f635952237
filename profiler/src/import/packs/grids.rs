//! Grids over requests and context.

use std::collections::BTreeMap;

use super::rounded;
use super::tidy::Tidier;

/// Times by requests and context.
pub(crate) type Cells = BTreeMap<(u32, u32), f64>;

/// The grid at these rows and columns; a row ends where the first thing in it was not measured, no later than the row
/// above. `None` if there are fewer than two rows of two times.
pub(crate) fn grid(
    cells: &Cells,
    [num_seqs, contexts]: [&[u32]; 2],
    table: &str,
    tidier: &mut Tidier,
) -> Option<Vec<Vec<Option<f64>>>> {
    let mut rows: Vec<Vec<f64>> = vec![];
    let mut longest = usize::MAX;
    for &requests in num_seqs {
        let row: Vec<f64> =
            contexts.iter().map_while(|&context| cells.get(&(requests, context)).copied()).take(longest).collect();
        longest = row.len();
        rows.push(row);
    }
    let num_rows = rows.iter().take_while(|row| row.len() >= 2).count();
    rows.truncate(num_rows);
    if num_rows < 2 {
        return None;
    }
    let smooth = tidier.grid(table, &rows);
    let pad = |row: Vec<f64>| -> Vec<Option<f64>> {
        let missing = contexts.len().saturating_sub(row.len());
        row.into_iter().map(|time| Some(rounded(time))).chain(std::iter::repeat_n(None, missing)).collect()
    };
    let mut padded: Vec<Vec<Option<f64>>> = smooth.into_iter().map(pad).collect();
    padded.resize(num_seqs.len(), vec![None; contexts.len()]);
    Some(padded)
}
