//! What the device keeps up: one large product over and over, timed in a burst after a rest, when it is warm, and at the
//! end of a load. Clocks and power are read while it runs; after it they rise and fall again within milliseconds.

use std::time::Duration;

use anyhow::Result;
use sim_core::operators::sustained::{LoadReading, UnderLoad};

use super::Timer;
use super::sites::format_name;
use crate::cuda::number::Storage;
use crate::cuda::shape::Matrix;

/// The product: large enough that it waits for arithmetic alone, and to fill any GPU.
pub(crate) const LOADED: Matrix = Matrix { rows: 8192, columns: 8192 };
pub(crate) const LOADED_ROWS: u32 = 8192;
/// Before the first burst, so that the clock is as high as it gets: it rises again within a quarter of a second.
pub(crate) const REST: Duration = Duration::from_secs(2);
/// After so long a clock has fallen, and the chip is not yet hot.
const WARM_S: f64 = 1.0;

/// When a load of so many seconds is read: the burst, warm, half way, at its end.
fn moments(load_s: f64) -> Vec<f64> {
    let mut moments = vec![0.0];
    for after in [WARM_S, load_s / 2.0, load_s] {
        if moments.last().is_some_and(|&last| after > last) && after <= load_s {
            moments.push(after);
        }
    }
    moments
}

/// The product's rates under a load of that time, in each number format; nothing if the time is 0.
///
/// # Errors
/// If the device or a library fails.
pub(super) fn under_load(timer: &mut dyn Timer, storages: &[Storage], time: Duration) -> Result<Vec<UnderLoad>> {
    if time.is_zero() {
        return Ok(vec![]);
    }
    let moments = moments(time.as_secs_f64());
    let shape = vec![LOADED.rows, LOADED.columns, LOADED_ROWS];
    storages
        .iter()
        .map(|&storage| {
            let readings = timer.under_load(storage, &moments)?;
            Ok(UnderLoad { format: format_name(storage).to_owned(), shape: shape.clone(), readings })
        })
        .collect()
}

/// For the pack's notes: how far rates fell, and why if the device said so.
pub(super) fn notes(loads: &[UnderLoad]) -> Vec<String> {
    let of = |load: &UnderLoad| {
        let (first, last) = (load.readings.first()?, load.readings.last()?);
        Some(format!(
            "After {:.0} s of products of {} × {} with {} rows in {} the device computed {:.0} TFLOPS, {:.0} % of the \
             first burst's{}.",
            last.after_s,
            LOADED.rows,
            LOADED.columns,
            LOADED_ROWS,
            load.format,
            last.flops / 1e12,
            100.0 * last.flops / first.flops,
            state(first, last)
        ))
    };
    loads.iter().filter_map(of).collect()
}

fn state(first: &LoadReading, last: &LoadReading) -> String {
    let clock = first.sm_clock_mhz.zip(last.sm_clock_mhz).map(|(first, last)| format!("clock {first} to {last} MHz"));
    let power = last.power_w.map(|power| format!("{power:.0} W at the end"));
    let known: Vec<String> = clock.into_iter().chain(power).collect();
    if known.is_empty() { ", clock and power unknown".to_owned() } else { format!(", {}", known.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::moments;

    #[test]
    fn a_load_is_read_at_growing_times_and_at_its_end() {
        assert_eq!(moments(60.0), [0.0, 1.0, 30.0, 60.0]);
        assert_eq!(moments(1.0), [0.0, 1.0]);
        assert_eq!(moments(0.5), [0.0, 0.25, 0.5]);
        assert_eq!(moments(1.5), [0.0, 1.0, 1.5]);
    }
}
