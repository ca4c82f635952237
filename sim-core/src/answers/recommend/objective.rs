//! What is asked of a setup, and how setups compare by it.

use super::figures::{Figures, Hardware};
use crate::answers::capacity::LoadKind;
use crate::math;

/// What is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// What is to be carried for the least money; without a demand the least money for a token.
    Cost,
    /// The most output tokens a second and GPU.
    Throughput,
    /// The most output tokens a second and user, at the demand.
    Interactivity,
    /// The shortest P99 of end-to-end latency, at the demand.
    Latency,
}

impl Objective {
    /// Whether setups are compared at the demand, and not by what they carry.
    #[must_use]
    pub const fn is_at_demand(self) -> bool {
        matches!(self, Self::Interactivity | Self::Latency)
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What is best.
    pub objective: Objective,
    /// What a load is.
    pub kind: LoadKind,
    /// Whether there are objectives at all; without, an engine carries what it answers.
    pub has_goodput: bool,
    /// Share of requests that must meet the objectives.
    pub required_share: f64,
    /// Load that all engines together are to carry; `None` for as much as they can.
    pub demand: Option<f64>,
    /// GPUs of one kind that there are.
    pub num_gpus: u32,
    /// Seed of the first run.
    pub first_seed: u32,
    /// Seeds at each load of the whole search.
    pub num_seeds: u32,
    /// Requests of a run of the whole search; shorter ones have fewer.
    pub num_prompts: u32,
}

/// How good a setup is; the lower, the better. Without value it is not a choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// By the objective; infinite for what is no choice.
    pub value: f64,
    /// Among equals.
    pub then: f64,
}

impl Standing {
    /// What is no choice: those that come nearer first.
    const fn none(then: f64) -> Self {
        Self { value: f64::INFINITY, then }
    }

    /// Whether it is a choice.
    #[must_use]
    pub const fn is_choice(self) -> bool {
        self.value.is_finite()
    }

    /// How many times better it is than `other`: load for the same money or GPUs, the inverse of a latency, or tokens a
    /// second and user. Among equals by the objective, what decides among these. Both are a choice.
    #[must_use]
    pub fn times_better(self, other: Self) -> f64 {
        let is_equal = self.value.total_cmp(&other.value).is_eq();
        match (is_equal, self.then.total_cmp(&other.then).is_eq()) {
            (true, true) => 1.0,
            (true, false) => other.then / self.then,
            // The more tokens a second, the lower.
            (false, _) if self.value < 0.0 => self.value / other.value,
            (false, _) => other.value / self.value,
        }
    }

    /// In order, the best first.
    #[must_use]
    pub fn order(self, other: Self) -> core::cmp::Ordering {
        self.value.total_cmp(&other.value).then(self.then.total_cmp(&other.then))
    }
}

impl Plan {
    /// Engines that the GPUs are enough for.
    #[must_use]
    pub fn most_replicas(&self, hardware: Hardware) -> u32 {
        self.num_gpus.checked_div(hardware.num_gpus).unwrap_or(0)
    }

    /// Engines beside each other: as many as carry the demand, where setups are compared by what they carry; else as many
    /// as there are GPUs for. `None` if these are not enough.
    #[must_use]
    pub fn replicas(&self, hardware: Hardware, capacity: f64) -> Option<u32> {
        let most = self.most_replicas(hardware);
        match self.demand.filter(|_| !self.objective.is_at_demand()) {
            None => Some(most).filter(|&most| most > 0),
            Some(demand) if capacity > 0.0 => {
                let needed = math::ceil(demand / capacity).max(1.0);
                (needed <= math::u32_to_f64(most)).then(|| math::u64_to_u32(math::f64_to_u64(needed)))
            }
            Some(_) => None,
        }
    }

    /// The part of the demand that one of `replicas` engines has.
    #[must_use]
    pub fn share_of_demand(&self, replicas: u32) -> Option<f64> {
        let demand = self.demand?;
        let share = demand / math::u32_to_f64(replicas.max(1));
        // In a closed loop no engine has a part of a request: the fullest one counts.
        Some(if self.kind.is_closed() { math::ceil(share) } else { self.kind.rounded(share) })
    }

    /// How good an engine is that carries `capacity`.
    #[must_use]
    pub fn by_capacity(&self, hardware: Hardware, capacity: f64) -> Standing {
        let num_gpus = math::u32_to_f64(hardware.num_gpus);
        if capacity <= 0.0 {
            return Standing::none(0.0);
        }
        let for_all = match self.demand {
            None => num_gpus / capacity,
            Some(_) => match self.replicas(hardware, capacity) {
                Some(replicas) => num_gpus * math::u32_to_f64(replicas),
                None => return Standing::none(-capacity / num_gpus),
            },
        };
        match (self.objective, hardware.usd_per_gpu_hour) {
            (Objective::Cost, None) => Standing::none(-capacity / num_gpus),
            (Objective::Cost, Some(usd)) => Standing { value: for_all * usd, then: usd * num_gpus / capacity },
            _ => Standing { value: for_all, then: num_gpus / capacity },
        }
    }

    /// How good an engine is at its share of the demand.
    #[must_use]
    pub fn by_figures(&self, figures: &Figures) -> Standing {
        let value = match self.objective {
            Objective::Latency => figures.p99_ms[2],
            _ => -figures.tokens_per_second_per_user,
        };
        let meets = figures.share_met >= self.required_share || !self.has_goodput;
        if meets { Standing { value, then: 0.0 } } else { Standing::none(-figures.share_met) }
    }
}
