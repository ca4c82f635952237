//! When stores are kept from a tier that does not keep up: what a store took for each megabyte, smoothed, against two
//! marks.
//!
//! Source: `vllm/v1/kv_offload/tiering/backpressure.py`: `EMABackpressureDetector` with `ThrottledDropPolicy` or
//! `DropStorePolicy`.

use super::settings::{BackpressurePolicy, BackpressureSettings};
use crate::math;

const BYTES_PER_MIB: f64 = 1_048_576.0;
/// Stores in a row below the low mark after which nothing is asked any longer.
const HEALTHY_STREAK: u32 = 10;
/// How far above the high mark all stores are dropped, as a multiple of it (`ramp_factor`).
const RAMP_FACTOR: f64 = 2.0;

/// What is known of a tier's stores. Times are in seconds.
#[derive(Debug)]
pub(super) struct Backpressure {
    settings: BackpressureSettings,
    /// Smoothed seconds for each MiB.
    mean: f64,
    is_under_pressure: bool,
    num_stores: u32,
    /// What the first ones took, together.
    warmup: f64,
    last_update: f64,
    healthy_streak: u32,
    cleared_at: Option<f64>,
    num_cooldowns: u32,
    num_throttled: u32,
    /// Chunks that were kept from the tier since this was asked last.
    pub(super) num_dropped: u32,
}

impl Backpressure {
    pub(super) const fn new(settings: BackpressureSettings) -> Self {
        Self {
            settings,
            mean: 0.0,
            is_under_pressure: false,
            num_stores: 0,
            warmup: 0.0,
            last_update: 0.0,
            healthy_streak: 0,
            cleared_at: None,
            num_cooldowns: 0,
            num_throttled: 0,
            num_dropped: 0,
        }
    }

    /// A store of `num_bytes` is over that began at `begin`.
    pub(super) fn update(&mut self, now: f64, begin: f64, num_bytes: u64) {
        self.look(now);
        if num_bytes == 0 {
            return;
        }
        let settings = self.settings;
        let s_per_mib = (now - begin) / (math::u64_to_f64(num_bytes) / BYTES_PER_MIB);
        self.num_stores = self.num_stores.saturating_add(1);
        if self.num_stores <= settings.warmup_completions {
            self.warmup += s_per_mib;
            if self.num_stores == settings.warmup_completions {
                self.mean = self.warmup / math::u32_to_f64(settings.warmup_completions);
                self.last_update = now;
            }
            return;
        }
        self.mean = settings.alpha * s_per_mib + (1.0 - settings.alpha) * self.mean;
        self.last_update = now;
        if self.mean > settings.high_water_s {
            (self.is_under_pressure, self.cleared_at, self.healthy_streak) = (true, None, 0);
        } else if self.mean < settings.low_water_s {
            if self.is_under_pressure {
                self.clear(now);
            }
            self.healthy_streak = self.healthy_streak.saturating_add(1);
        } else {
            self.healthy_streak = 0;
        }
    }

    fn clear(&mut self, now: f64) {
        (self.is_under_pressure, self.cleared_at, self.num_cooldowns) = (false, Some(now), 0);
    }

    /// Lets the mean decay while it keeps stores away (`is_under_pressure`).
    fn look(&mut self, now: f64) {
        if !self.is_under_pressure || self.num_stores < self.settings.warmup_completions {
            return;
        }
        let span = now - self.last_update;
        if span > 0.0 && self.settings.decay_half_life_s > 0.0 {
            self.mean *= math::pow(0.5, span / self.settings.decay_half_life_s);
            self.last_update = now;
        }
        if self.mean < self.settings.low_water_s {
            self.clear(now);
        }
    }

    /// Whether a store of `num_chunks` chunks goes to the tier.
    pub(super) fn should_store(&mut self, now: f64, num_chunks: u32) -> bool {
        self.look(now);
        if !self.is_under_pressure && self.healthy_streak >= HEALTHY_STREAK {
            return true;
        }
        let cools = |cleared_at| now - cleared_at < self.settings.cooldown_s;
        let mut is_taken = true;
        if !self.is_under_pressure && self.cleared_at.is_some_and(cools) {
            self.num_cooldowns += 1;
            is_taken = !self.num_cooldowns.is_multiple_of(2);
        }
        let is_taken = is_taken && self.policy_takes();
        if !is_taken {
            self.num_dropped += num_chunks;
        }
        is_taken
    }

    fn policy_takes(&mut self) -> bool {
        if !self.is_under_pressure {
            return true;
        }
        let high = self.settings.high_water_s;
        if self.settings.policy == BackpressurePolicy::Drop || high <= 0.0 {
            return false;
        }
        let overshoot = math::max(0.0, self.mean - high) / high;
        let share = math::min(1.0, overshoot / RAMP_FACTOR);
        if share <= 0.0 || share >= 1.0 {
            return share <= 0.0;
        }
        self.num_throttled += 1;
        let period = math::f64_to_u32(rounded_to_even(1.0 / share)).max(2);
        !self.num_throttled.is_multiple_of(period)
    }
}

/// `round()` of Python.
fn rounded_to_even(number: f64) -> f64 {
    let below = math::floor(number);
    let rest = number - below;
    let is_up = rest > 0.5 || (rest >= 0.5 && !math::f64_to_u64(below).is_multiple_of(2));
    if is_up { below + 1.0 } else { below }
}
