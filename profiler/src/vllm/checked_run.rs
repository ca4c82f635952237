//! What the driver says of a run, held against what it was asked: nothing of another process is taken on trust.

use anyhow::{Result, ensure};

use super::protocol::RanPass;

/// Checks the lengths of all lists, and that every pass names requests of the run alone.
///
/// # Errors
/// The first thing that cannot be, by its name in the protocol.
pub(super) fn check_run(
    passes: &[RanPass],
    outputs: &[Vec<u32>],
    proposals: &[Vec<u32>],
    num_requests: usize,
) -> Result<()> {
    ensure!(
        outputs.len() == num_requests,
        "the driver's ran.outputs has {} entries for {num_requests} requests",
        outputs.len()
    );
    ensure!(
        proposals.is_empty() || proposals.len() == num_requests,
        "the driver's ran.proposals has {} entries for {num_requests} requests",
        proposals.len()
    );
    for (place, pass) in passes.iter().enumerate() {
        let entry = &pass.entry;
        let lists: [(&str, &mut dyn Iterator<Item = u32>); 9] = [
            ("add", &mut entry.add.iter().copied()),
            ("abort", &mut entry.abort.iter().copied()),
            ("s", &mut entry.s.iter().flatten().map(|part| part.0)),
            ("new", &mut entry.new.iter().map(|admitted| admitted.0)),
            ("res", &mut entry.res.iter().map(|admitted| admitted.0)),
            ("pre", &mut entry.pre.iter().copied()),
            ("spec", &mut entry.spec.iter().map(|verified| verified.0)),
            ("acc", &mut entry.acc.iter().map(|verified| verified.0)),
            ("fin", &mut entry.fin.iter().map(|finished| finished.0)),
        ];
        for (field, mut requests) in lists {
            let unknown = Iterator::find(&mut requests, |&request| request as usize >= num_requests);
            ensure!(
                unknown.is_none(),
                "the driver's ran.passes[{place}].entry.{field} names request {}; there are {num_requests}",
                unknown.unwrap_or_default()
            );
        }
        for &(request, num_drafts, num_accepted) in &entry.acc {
            ensure!(
                num_accepted <= num_drafts,
                "the driver's ran.passes[{place}].entry.acc: request {request} accepts {num_accepted} of {num_drafts} \
                 drafts"
            );
        }
    }
    Ok(())
}
