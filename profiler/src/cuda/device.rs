//! A device: what it is, how it is at the moment, and what a pass takes on it.

use std::collections::BTreeMap;

use anyhow::Result;
use sim_core::batch::BatchComposition;

use crate::measure::outliers::median;

/// What does not change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeviceProperties {
    /// As the driver names it.
    pub(crate) name: String,
    pub(crate) total_memory_bytes: u64,
    /// Taken before anything of the model was allocated: this program's context, and other programs.
    pub(crate) used_memory_bytes: u64,
    /// Major and minor.
    pub(crate) compute_capability: (u32, u32),
    pub(crate) num_multiprocessors: u32,
    /// Of a copy from device memory to device memory, bytes read and bytes written counted; `None` if not measured.
    pub(crate) copy_bytes_per_s: Option<f64>,
    /// Programs that take part, as (name, version): driver, libraries.
    pub(crate) versions: Vec<(String, String)>,
}

/// What changes; empty where NVML does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeviceState {
    /// Clock of the multiprocessors.
    pub(crate) sm_clock_mhz: Option<u32>,
    pub(crate) memory_clock_mhz: Option<u32>,
    /// Of the whole board, over the last second or less.
    pub(crate) power_mw: Option<u32>,
    pub(crate) temperature_c: Option<u32>,
    /// Why the clocks are lower than they could be, in NVML's words.
    pub(crate) throttle_reasons: Vec<&'static str>,
}

/// What one pass took, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PassTimes {
    /// Until its last operator's end, by the device's own clock. The device is idle before: what the first operator
    /// waits for its launch is in it, as in the time that is taken of vLLM.
    pub(crate) device: u64,
    /// What the host spent on giving it to the device.
    pub(crate) launch: u64,
}

/// A device with a model on it.
pub(crate) trait Device: std::fmt::Debug {
    /// How it is now.
    fn state(&self) -> DeviceState;

    /// Executes a pass and says what it took.
    ///
    /// # Errors
    /// If the device fails.
    fn time_pass(&mut self, batch: &BatchComposition) -> Result<PassTimes>;
}

/// What was seen of a device over all scripts since the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    num_states: u32,
    sm_clocks_mhz: Option<(u32, u32)>,
    /// How often each reason was seen.
    throttle_reasons: BTreeMap<&'static str, u32>,
    launches_us: Vec<f64>,
}

impl History {
    pub(crate) fn see(&mut self, state: &DeviceState) {
        self.num_states += 1;
        if let Some(clock) = state.sm_clock_mhz {
            let (low, high) = self.sm_clocks_mhz.unwrap_or((clock, clock));
            self.sm_clocks_mhz = Some((low.min(clock), high.max(clock)));
        }
        for &reason in &state.throttle_reasons {
            *self.throttle_reasons.entry(reason).or_default() += 1;
        }
    }

    pub(crate) fn see_launch(&mut self, launch_ns: u64) {
        self.launches_us.push(launch_ns as f64 / 1e3);
    }

    /// In words for a profile's notes.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = vec![];
        match self.sm_clocks_mhz {
            Some((low, high)) => notes.push(format!(
                "After {} scripts the multiprocessors' clock was between {low} and {high} MHz (NVML).",
                self.num_states
            )),
            None => notes.push("Clocks and throttling were not watched: NVML was not there.".to_owned()),
        }
        let reasons: Vec<String> = self
            .throttle_reasons
            .iter()
            .map(|(reason, count)| format!("{reason} after {count} of {} scripts", self.num_states))
            .collect();
        if !reasons.is_empty() {
            notes.push(format!("Throttled: {}.", reasons.join("; ")));
        }
        if let Some(launch) = median(self.launches_us.clone()) {
            notes.push(format!("Giving a pass to the device took the host {launch:.1} microseconds in the median."));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::{DeviceState, History};

    #[test]
    fn clocks_and_throttling_are_told_and_their_absence_too() {
        let mut history = History::default();
        assert!(history.notes()[0].contains("were not watched"), "{:?}", history.notes());
        for (clock, reasons) in [(1980, vec![]), (1410, vec!["software power cap"])] {
            let state = DeviceState { sm_clock_mhz: Some(clock), throttle_reasons: reasons, ..DeviceState::default() };
            history.see(&state);
        }
        let notes = history.notes().join(" ");
        assert!(notes.contains("between 1410 and 1980 MHz"), "{notes}");
        assert!(notes.contains("software power cap after 1 of 2 scripts"), "{notes}");
    }
}
