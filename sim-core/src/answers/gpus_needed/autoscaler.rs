//! What replicas over time come to, with the time that one takes to start.

use alloc::vec::Vec;

/// Seconds during which so many replicas run or start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Phase {
    /// Begin, in seconds since the trace's; below 0 for replicas that start before it.
    pub start: f64,
    /// End.
    pub end: f64,
    /// Replicas.
    pub num_replicas: u32,
}

impl Phase {
    /// Seconds of all replicas together.
    #[must_use]
    pub fn replica_seconds(&self) -> f64 {
        (self.end - self.start) * crate::math::u32_to_f64(self.num_replicas)
    }
}

/// What must run or start so that `needed`, in order and without gaps, is there: who is needed in a phase starts
/// `startup_delay` seconds before it, and whoever is needed again within that time stays.
#[must_use]
pub fn provisioned(needed: &[Phase], startup_delay: f64) -> Vec<Phase> {
    let mut cuts: Vec<f64> =
        needed.iter().flat_map(|phase| [phase.start - startup_delay, phase.start, phase.end]).collect();
    cuts.sort_by(f64::total_cmp);
    cuts.dedup();
    let mut first = 0;
    let mut phases: Vec<Phase> = Vec::new();
    for (&start, &end) in cuts.iter().zip(cuts.iter().skip(1)) {
        while needed.get(first).is_some_and(|phase| phase.end <= start) {
            first += 1;
        }
        let under_way = needed.iter().skip(first).take_while(|phase| phase.start - startup_delay <= start);
        let num_replicas = under_way.map(|phase| phase.num_replicas).max().unwrap_or(0);
        match phases.last_mut() {
            Some(last) if last.num_replicas == num_replicas => last.end = end,
            _ => phases.push(Phase { start, end, num_replicas }),
        }
    }
    phases
}
