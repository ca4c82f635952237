//! Which loads are tried, and what follows: first the whole curve, then closer and closer to where the objectives stop
//! being met.
//!
//! All loads are tried with the same seeds (common random numbers): lengths are the same, and gaps shrink in proportion.
//! So a difference between two loads is that of the loads. Requests of all seeds count together. Even so the share that
//! meets goes up and down a little from one load to the next, as requests meet in other passes; what is carried is where
//! the closest falling course through all that was tried (isotonic regression: Ayer et al., *An Empirical Distribution
//! Function for Sampling with Incomplete Information*, 1955) crosses the share that is asked for. How far that depends on
//! the seeds is said by leaving each out once (the jackknife: Efron, *The Jackknife, the Bootstrap and Other Resampling
//! Plans*, 1982).

use alloc::vec;
use alloc::vec::Vec;

use super::trial::{LoadKind, Point, Trial};
use crate::math;

/// Loads of the first look, as shares of what is answered when all comes at once.
const FIRST_LOOK: [f64; 10] = [0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25];
/// Concurrency, or users, of the first look; the rest is tried while nothing misses.
const FIRST_CONCURRENCY: [f64; 12] = [1.0, 4.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0];
/// Loads tried between two that are further apart than [`MAX_BRACKET`], as shares of the way.
const BETWEEN: [f64; 4] = [0.2, 0.4, 0.6, 0.8];
/// Two loads, one that meets and one that does not, are close if the higher is at most this many times the lower.
const MAX_BRACKET: f64 = 1.1;
/// Then these are tried, around what is known so far, and then those.
const AROUND: [&[f64]; 2] =
    [&[0.95, 0.964, 0.978, 0.993, 1.007, 1.022, 1.036, 1.05], &[0.98, 0.986, 0.99, 0.9965, 1.0035, 1.01, 1.014, 1.02]];
/// At last the answer itself, and what is beyond it, to see how sharp the knee is.
const BEYOND: [f64; 3] = [1.0, 1.05, 1.1];
/// Halvings below the lowest load of the first look before nothing is said to be carried.
const MAX_LOWER: u32 = 6;
/// 97.5 % quantiles of Student's distribution, by degrees of freedom from 1.
const STUDENT: [f64; 9] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

/// How far a search is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Looking for two loads that are close, so many times lower than planned.
    Bracket(u32),
    /// Trying loads around what is known.
    Around(usize),
    /// Everything was tried.
    Over,
}

/// A search under way.
#[derive(Debug, Clone)]
pub struct Search {
    kind: LoadKind,
    required_share: f64,
    /// Above this rate the queue no longer empties.
    saturated: f64,
    /// Tried, by load.
    points: Vec<Point>,
    /// To be tried next.
    wanted: Vec<f64>,
    stage: Stage,
    /// The answer, once all that it follows from was tried.
    settled: Option<f64>,
}

/// How much is carried.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The highest load that meets; `None` if not even the lowest one that was tried does.
    pub capacity: Option<f64>,
    /// 95 % confidence interval over seeds; `None` of a single seed, or where nothing misses.
    pub interval: Option<(f64, f64)>,
    /// What is carried by the runs of all seeds but one, in the order of the seeds; empty of a single seed, or where
    /// nothing misses. Answers of the same seeds are compared by it: what moves both is no difference.
    pub left_out: Vec<f64>,
    /// Whether some load misses; if not, more than the capacity may be carried.
    pub is_limited: bool,
    /// Everything tried, by load.
    pub curve: Vec<Point>,
}

impl Answer {
    /// 64 bits of all runs behind it, by load and seed: equal digests are equal runs, wherever they were made.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let digests = self.curve.iter().flat_map(|point| &point.trials).map(|trial| trial.digest);
        digests.fold(0xcbf2_9ce4_8422_2325, |all, one| (all ^ one).wrapping_mul(0x0100_0000_01b3))
    }

    /// The trials at the capacity.
    #[must_use]
    pub fn at_capacity(&self) -> Option<&Point> {
        self.curve.iter().rev().find(|point| self.capacity.is_some_and(|capacity| point.load <= capacity))
    }
}

impl Search {
    /// A search for the highest load at which `required_share` of the requests meet the objectives. `saturated` is what is
    /// answered a second while a queue never empties: more cannot be carried, whatever a short run's latencies are. Of a
    /// concurrency it is not asked.
    #[must_use]
    pub fn new(kind: LoadKind, required_share: f64, saturated: f64) -> Self {
        let wanted = match kind {
            LoadKind::Rate => FIRST_LOOK.map(|share| kind.rounded(share * saturated)).to_vec(),
            LoadKind::Concurrency | LoadKind::Users => FIRST_CONCURRENCY[..5].to_vec(),
        };
        let saturated = if kind == LoadKind::Rate { saturated } else { f64::INFINITY };
        Self { kind, required_share, saturated, points: Vec::new(), wanted, stage: Stage::Bracket(0), settled: None }
    }

    /// The loads to be tried now, each with all seeds; none when the search is over.
    #[must_use]
    pub fn wanted(&self) -> &[f64] {
        &self.wanted
    }

    /// Takes in the trials of all wanted loads, each load's in the order of the seeds.
    pub fn take(&mut self, tried: impl IntoIterator<Item = (f64, Vec<Trial>)>) {
        for (load, trials) in tried {
            let place = self.points.partition_point(|point| point.load < load);
            self.points.insert(place, Point { load, trials });
        }
        // What is wanted may have been tried before.
        loop {
            self.wanted = self.next();
            self.wanted.dedup();
            self.wanted.retain(|load| self.points.iter().all(|point| point.load.to_bits() != load.to_bits()));
            if !self.wanted.is_empty() || self.stage == Stage::Over {
                return;
            }
        }
    }

    /// The next loads, and the stage after them.
    fn next(&mut self) -> Vec<f64> {
        let lowest = self.points.first().map_or(0.0, |point| point.load);
        let Some((low, crossing, high)) = self.crossing(&self.points) else {
            return self.higher();
        };
        let near =
            |shares: &[f64]| -> Vec<f64> { shares.iter().map(|share| self.kind.rounded(share * crossing)).collect() };
        match self.stage {
            Stage::Bracket(num_lower) if low.is_none() => {
                let is_hopeless = num_lower == MAX_LOWER || self.kind.is_closed();
                self.stage = if is_hopeless { Stage::Over } else { Stage::Bracket(num_lower + 1) };
                if is_hopeless { vec![] } else { vec![self.kind.rounded(lowest / 2.0)] }
            }
            Stage::Bracket(num_lower) => {
                let low = low.unwrap_or(lowest);
                let between: Vec<f64> = BETWEEN.iter().map(|way| self.kind.rounded(low + way * (high - low))).collect();
                let is_new = |load: &f64| self.points.iter().all(|point| point.load.to_bits() != load.to_bits());
                if high > MAX_BRACKET * low && between.iter().any(is_new) {
                    self.stage = Stage::Bracket(num_lower);
                    return between;
                }
                self.stage = Stage::Around(1);
                near(AROUND[0])
            }
            Stage::Around(number) => {
                self.stage = Stage::Around(number + 1);
                if let Some(around) = AROUND.get(number) {
                    return near(around);
                }
                self.stage = Stage::Over;
                let settled = self.highest_below(crossing);
                self.settled = Some(settled);
                BEYOND.iter().map(|beyond| self.kind.rounded(beyond * settled)).collect()
            }
            Stage::Over => vec![],
        }
    }

    /// Where `points` stop meeting what is asked, or the rate is more than the engine can answer, whichever comes first.
    fn crossing(&self, points: &[Point]) -> Option<Crossing> {
        let of_objectives = crossing(points, self.required_share).filter(|found| found.1 <= self.saturated);
        of_objectives.or_else(|| {
            let high = points.iter().find(|point| point.load > self.saturated)?.load;
            let low = points.iter().rev().find(|point| point.load <= self.saturated).map(|point| point.load);
            Some((low, self.saturated, high))
        })
    }

    /// All that was tried meets: more is tried, of a rate up to what was planned.
    fn higher(&mut self) -> Vec<f64> {
        let highest = self.points.last().map_or(0.0, |point| point.load);
        let next = FIRST_CONCURRENCY.into_iter().find(|&load| load > highest);
        match next {
            Some(load) if self.kind.is_closed() => vec![load],
            _ => {
                self.stage = Stage::Over;
                vec![]
            }
        }
    }

    /// The load that can be asked for and meets, if `crossing` is where loads cease to: between two whole numbers the lower.
    fn highest_below(&self, crossing: f64) -> f64 {
        match self.kind {
            LoadKind::Rate => self.kind.rounded(crossing),
            LoadKind::Concurrency | LoadKind::Users => math::floor(crossing).max(1.0),
        }
    }

    /// What is known.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let found = self.crossing(&self.points);
        let capacity = match found {
            None => self.points.last().map(|point| point.load),
            Some((low, crossing, _)) => low.map(|_| crossing),
        };
        let left_out = capacity.filter(|_| found.is_some()).map(|_| self.left_out()).unwrap_or_default();
        let interval = capacity.and_then(|capacity| interval(capacity, &left_out));
        let capacity = self.settled.or(capacity.map(|capacity| self.highest_below(capacity)));
        Answer { capacity, interval, left_out, is_limited: found.is_some(), curve: self.points.clone() }
    }

    /// Where loads cease to meet without each seed; empty if they do not without one.
    fn left_out(&self) -> Vec<f64> {
        let num_seeds = self.points.iter().map(|point| point.trials.len()).min().unwrap_or(0);
        let without = |seed: usize| {
            let mut points = self.points.clone();
            for point in &mut points {
                point.trials.remove(seed);
            }
            self.crossing(&points).map(|(_, crossing, _)| crossing)
        };
        let is_any = num_seeds > 1;
        (0..num_seeds).filter(|_| is_any).map(without).collect::<Option<Vec<f64>>>().unwrap_or_default()
    }
}

/// The jackknife's interval around `capacity`.
fn interval(capacity: f64, left_out: &[f64]) -> Option<(f64, f64)> {
    let student = STUDENT[left_out.len().checked_sub(2)?.min(STUDENT.len() - 1)];
    let half = student * standard_error(left_out);
    Some(((capacity - half).max(0.0), capacity + half))
}

/// The jackknife's standard error of a figure, of its values with each seed left out once; 0 of fewer than two.
#[must_use]
pub fn standard_error(left_out: &[f64]) -> f64 {
    let count = math::usize_to_f64(left_out.len().max(1));
    let mean = left_out.iter().sum::<f64>() / count;
    let squares: f64 = left_out.iter().map(|value| (value - mean) * (value - mean)).sum();
    math::sqrt((count - 1.0) / count * squares)
}

/// The last load that meets, if any, the crossing, and the first load that misses.
pub type Crossing = (Option<f64>, f64, f64);

/// Where the falling course through the shares of good requests of `points` crosses `required_share`: straight between
/// the two loads beside it. `None` if none misses.
#[must_use]
pub fn crossing(points: &[Point], required_share: f64) -> Option<Crossing> {
    let course = falling(&points.iter().map(Point::share_met).collect::<Vec<f64>>());
    let miss = course.iter().position(|&share| share < required_share)?;
    let high = points.get(miss)?.load;
    let Some(before) = miss.checked_sub(1) else { return Some((None, high, high)) };
    let low = points.get(before)?.load;
    let (above, below) = (course[before] - required_share, course[miss] - required_share);
    Some((Some(low), low + above / (above - below) * (high - low), high))
}

/// The values that never rise with the least squared distance from `values`: neighbours that rise are pooled.
fn falling(values: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for &value in values {
        let mut pool = (value, 1);
        while let Some(&(sum, count)) = pools.last()
            && sum * math::usize_to_f64(pool.1) < pool.0 * math::usize_to_f64(count)
        {
            pool = (pool.0 + sum, pool.1 + count);
            pools.pop();
        }
        pools.push(pool);
    }
    pools.iter().flat_map(|&(sum, count)| core::iter::repeat_n(sum / math::usize_to_f64(count), count)).collect()
}
