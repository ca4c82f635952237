//! Which runs are wanted of each split, and which of them carries most.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::split::Split;
use crate::answers::capacity::{Answer, LoadKind, Search, Trial};
use crate::answers::recommend::simpler::is_by_chance;
use crate::answers::recommend::{Done, Job, JobKind};
use crate::math;

/// A split and what is known of it.
#[derive(Debug, Clone)]
pub struct SplitEntry {
    /// The split.
    pub split: Split,
    /// Why it cannot be run.
    pub excluded: Option<String>,
    search: Option<Search>,
}

impl SplitEntry {
    /// What it carries; `None` if it cannot be run.
    #[must_use]
    pub fn answer(&self) -> Option<Answer> {
        self.search.as_ref().filter(|_| self.excluded.is_none()).map(Search::answer)
    }
}

/// A search of all splits under way; when nothing is [`Self::wanted`] it is over.
#[derive(Debug, Clone)]
pub struct Splits {
    kind: LoadKind,
    required_share: f64,
    first_seed: u32,
    num_seeds: u32,
    entries: Vec<SplitEntry>,
}

/// What carries most.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// Its place among the entries.
    pub place: usize,
    /// Places of those that carry as much but for chance, the best of them first.
    pub ties: Vec<usize>,
    /// Its load as a share of what all together carry, less one; `None` where these carry nothing.
    pub gain: Option<f64>,
}

impl Splits {
    /// Begins with all of `splits`; each load is tried with `num_seeds` seeds from the first on.
    #[must_use]
    pub fn new(
        splits: Vec<Split>,
        (kind, required_share): (LoadKind, f64),
        (first_seed, num_seeds): (u32, u32),
    ) -> Self {
        let entry = |split| SplitEntry { split, excluded: None, search: None };
        Self { kind, required_share, first_seed, num_seeds, entries: splits.into_iter().map(entry).collect() }
    }

    /// All splits, in their order.
    #[must_use]
    pub fn entries(&self) -> &[SplitEntry] {
        &self.entries
    }

    /// Runs to be made now.
    #[must_use]
    pub fn wanted(&self) -> Vec<Job> {
        let seeds = || (0..self.num_seeds).map(|number| self.first_seed.wrapping_add(number));
        let of_entry = |(candidate, entry): (usize, &SplitEntry)| -> Vec<Job> {
            let job = |kind| Job { candidate, kind };
            match &entry.search {
                _ if entry.excluded.is_some() => vec![],
                None => vec![job(JobKind::Saturated { seed: self.first_seed })],
                Some(search) => {
                    let loads = search.wanted().iter().flat_map(|&load| seeds().map(move |seed| (load, seed)));
                    loads.map(|(load, seed)| job(JobKind::Trial { load, seed, num_prompts: 0 })).collect()
                }
            }
        };
        self.entries.iter().enumerate().flat_map(of_entry).collect()
    }

    /// Takes in what came of all wanted runs, in their order.
    pub fn take(&mut self, done: Vec<Done>) {
        let jobs = self.wanted();
        let mut tried: Vec<Vec<(f64, Vec<Trial>)>> = vec![vec![]; self.entries.len()];
        for (job, done) in jobs.into_iter().zip(done) {
            let entry = &mut self.entries[job.candidate];
            match (done, job.kind) {
                (Done::Excluded(exclusion), _) => entry.excluded = Some(exclusion.why),
                (Done::Rate(saturated), _) => {
                    entry.search = Some(Search::new(self.kind, self.required_share, saturated));
                }
                (Done::Trial(trial), JobKind::Trial { load, .. }) => {
                    let loads = &mut tried[job.candidate];
                    match loads.last_mut().filter(|(of, _)| of.to_bits() == load.to_bits()) {
                        Some((_, trials)) => trials.push(*trial),
                        None => loads.push((load, vec![*trial])),
                    }
                }
                (Done::Trial(_), JobKind::Saturated { .. }) => {}
            }
        }
        for (entry, tried) in self.entries.iter_mut().zip(tried) {
            if let Some(search) = entry.search.as_mut().filter(|_| entry.excluded.is_none() && !tried.is_empty()) {
                search.take(tried);
            }
        }
    }

    /// What carries most. All together is simpler than any division, so it is preferred where the difference may be chance.
    #[must_use]
    pub fn best(&self) -> Option<Best> {
        let answers: Vec<_> = self.entries.iter().map(SplitEntry::answer).collect();
        let capacity = |place: usize| answers[place].as_ref().and_then(|answer| answer.capacity).unwrap_or(0.0);
        let mut ranked: Vec<usize> = (0..self.entries.len()).filter(|&place| capacity(place) > 0.0).collect();
        ranked.sort_by(|&a, &b| capacity(b).total_cmp(&capacity(a)).then(a.cmp(&b)));
        let most = *ranked.first()?;
        ranked.retain(|&place| place == most || is_tie(answers[most].as_ref(), answers[place].as_ref()));
        let is_together = |place: &usize| matches!(self.entries[*place].split, Split::Together { .. });
        let place = ranked.iter().copied().find(is_together).unwrap_or(most);
        let together = (0..self.entries.len()).find(is_together).map(capacity).filter(|&load| load > 0.0);
        let ties = ranked.into_iter().filter(|&other| other != place).collect();
        Some(Best { place, ties, gain: together.map(|together| capacity(place) / together - 1.0) })
    }

    /// 64 bits of all runs, in the order of splits: equal digests are equal runs, wherever they were made.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let digests = self.entries.iter().filter_map(SplitEntry::answer).map(|answer| answer.digest());
        digests.fold(0xcbf2_9ce4_8422_2325, |all, one| (all ^ one).wrapping_mul(0x0100_0000_01b3))
    }
}

/// Whether what both carry differs by no more than chance.
fn is_tie(one: Option<&Answer>, other: Option<&Answer>) -> bool {
    let Some(((one, a), (other, b))) =
        one.and_then(|one| Some((one, one.capacity?))).zip(other.and_then(|other| Some((other, other.capacity?))))
    else {
        return false;
    };
    let seeds = one.left_out.iter().zip(&other.left_out).filter(|(a, b)| **a > 0.0 && **b > 0.0);
    is_by_chance(math::ln(a / b), &seeds.map(|(a, b)| math::ln(a / b)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::recommend::Exclusion;
    use crate::answers::recommend::exclusion::Kind;

    /// A trial whose requests meet up to so much load, but for one of a hundred where a seed is unlucky.
    fn trial(load: f64, seed: u32, capacity: f64) -> Trial {
        let num_met = if load <= capacity { 100 } else { 0 };
        Trial {
            load,
            seed,
            num_requests: 100,
            num_met,
            num_met_each: [num_met; 3],
            keeps_up: true,
            request_throughput: load,
            middle_throughput: load,
            output_throughput: 10.0 * load,
            latencies_ms: [[1.0; 3]; 3],
            kv_cache_peak: 0.5,
            num_preemptions: 0,
            waiting: (None, 0.0),
            digest: load.to_bits() ^ u64::from(seed),
        }
    }

    /// Searches splits of four that carry so much with each of two seeds; `None` for one that cannot be run.
    fn searched(capacities: [Option<[f64; 2]>; 4]) -> Splits {
        let splits = Split::all(4, 1, [1, 1]).expect("few");
        let mut search = Splits::new(splits, (LoadKind::Rate, 0.9), (5, 2));
        for _ in 0..100 {
            let wanted = search.wanted();
            if wanted.is_empty() {
                return search;
            }
            let run = |job: &Job| {
                let Some(of_seeds) = capacities[job.candidate] else {
                    return Done::Excluded(Exclusion { kind: Kind::Refused, why: "no".into() });
                };
                match job.kind {
                    JobKind::Saturated { .. } => Done::Rate(1.5 * of_seeds[0]),
                    JobKind::Trial { load, seed, .. } => {
                        Done::Trial(trial(load, seed, of_seeds[(seed - 5) as usize]).into())
                    }
                }
            };
            let done = wanted.iter().map(run).collect();
            search.take(done);
        }
        panic!("it does not end");
    }

    #[track_caller]
    fn check(capacities: [Option<[f64; 2]>; 4], expect: Option<(usize, &[usize])>) {
        let best = searched(capacities).best();
        assert_eq!(best.as_ref().map(|best| (best.place, &best.ties[..])), expect, "{best:?}");
    }

    #[test]
    fn the_split_that_carries_most_is_the_best_and_ties_are_said() {
        let same = |load: f64| Some([load, load]);
        check([same(10.0), same(12.0), same(8.0), same(3.0)], Some((1, &[])));
        check([same(10.0), same(8.0), same(14.0), same(3.0)], Some((2, &[])));
        // All together is simpler.
        check([same(10.0), same(10.0), same(8.0), same(3.0)], Some((0, &[1])));
        check([same(10.0), same(12.0), same(12.0), same(3.0)], Some((1, &[2])));
        check([None, same(12.0), None, same(3.0)], Some((1, &[])));
        check([None; 4], None);
    }

    #[test]
    fn a_difference_that_seeds_make_is_none() {
        // Once the one is better, once the other.
        check([Some([10.0, 12.0]), Some([12.0, 10.0]), Some([5.0, 5.0]), Some([3.0, 3.0])], Some((0, &[1])));
        let search = searched([Some([10.0, 10.0]), Some([12.0, 12.0]), Some([5.0, 5.0]), None]);
        let gain = search.best().and_then(|best| best.gain).expect("a gain");
        assert!((gain - 0.2).abs() < 0.02, "{gain}");
        assert_eq!(
            search.digest(),
            searched([Some([10.0, 10.0]), Some([12.0, 12.0]), Some([5.0, 5.0]), None]).digest()
        );
    }
}
