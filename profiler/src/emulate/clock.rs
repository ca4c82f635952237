//! The wall clock, as the simulated engine reads it.

use std::time::{Duration, Instant};

use sim_core::time::SimTime;

/// Simulated time goes on with real time, `scale` times as fast.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
    scale: f64,
}

impl Clock {
    /// A clock that begins now. `scale` is positive: simulated seconds for each second.
    pub(crate) fn new(scale: f64) -> Self {
        Self { origin: Instant::now(), scale }
    }

    /// The simulated time of `instant`.
    pub(crate) fn time_of(&self, instant: Instant) -> SimTime {
        SimTime::from_secs_f64(instant.saturating_duration_since(self.origin).as_secs_f64() * self.scale)
    }

    /// The simulated time now.
    pub(crate) fn now(&self) -> SimTime {
        self.time_of(Instant::now())
    }

    /// When it will be `time`.
    pub(crate) fn instant_of(&self, time: SimTime) -> Instant {
        let wait = Duration::try_from_secs_f64(time.as_secs_f64() / self.scale).unwrap_or(Duration::MAX);
        // A date that the system cannot tell is as good as never.
        self.origin.checked_add(wait).unwrap_or_else(|| self.origin + Duration::from_secs(1 << 30))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_clock_runs_faster_and_finds_its_way_back() {
        for scale in [0.5, 1.0, 40.0] {
            let clock = Clock::new(scale);
            let later = clock.origin + Duration::from_millis(1500);
            let time = clock.time_of(later);
            assert!((time.as_secs_f64() - 1.5 * scale).abs() < 1e-6, "{scale}: {time:?}");
            let back = clock.instant_of(time);
            let off = back.max(later).duration_since(back.min(later));
            assert!(off < Duration::from_micros(1), "{scale}: {off:?}");
        }
        let clock = Clock::new(1.0);
        assert_eq!(clock.time_of(clock.origin), SimTime::ZERO);
        assert!(clock.instant_of(SimTime::MAX) > clock.origin);
    }
}
