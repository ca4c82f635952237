//! One large product over and over, its rate, the clock and the power read while it runs.

use std::thread::sleep;
use std::time::Instant;

use anyhow::{Result, ensure};
use sim_core::operators::sustained::LoadReading;

use super::alone::{COLD_BYTES, GpuTimer};
use super::launcher::address;
use super::memory::{random, zeros};
use super::open::timed_event;
use super::products::Factors;
use super::replay::{MOST_REPEATS, captured};
use crate::cuda::alone::Timer as _;
use crate::cuda::alone::load::{LOADED, LOADED_ROWS, REST};
use crate::cuda::number::Storage;

/// Launches in a graph: 5 to 20 ms, in which a clock that is to fall has begun to.
const NUM_LAUNCHES: u64 = 8;

/// A reading at each of the moments, seconds after the load's begin.
pub(super) fn under_load(timer: &mut GpuTimer, storage: Storage, after_s: &[f64]) -> Result<Vec<LoadReading>> {
    timer.compile((128, 4, storage))?;
    let num_bytes = storage.num_bytes() * LOADED.num_weights();
    let num_copies = COLD_BYTES.div_ceil(num_bytes).clamp(2, MOST_REPEATS);
    let (launcher, stream) = (&timer.operators.launcher, timer.gpu.stream.clone());
    // Random numbers: zeros take less power, and so less time where power is the limit.
    let weights = random(launcher, &stream, storage, num_copies * LOADED.num_weights(), 1, 1.0)?;
    let num_inputs = u64::from(LOADED_ROWS) * u64::from(LOADED.columns);
    let input = random(launcher, &stream, storage, num_inputs, 2, 1.0)?;
    let output = zeros::<u16>(&stream, u64::from(LOADED_ROWS) * u64::from(LOADED.rows))?;
    let [weights_at, input_at] = [&weights, &input].map(|buffer| address::<u8>(buffer, &stream));
    let output_at = address::<u16>(&output, &stream);
    let scale = (storage == Storage::Fp8).then(|| address::<f32>(&timer.one, &stream));
    let products = &mut timer.products;
    let mut launch = |repeat: u64| {
        let weights = weights_at + repeat % num_copies * num_bytes;
        products.multiply(LOADED, LOADED_ROWS, Factors { output: output_at, input: input_at, weights, scale })
    };
    // A library loads its kernels at the first call, which a capture does not allow.
    launch(0)?;
    stream.synchronize()?;
    let graph = captured(&stream, || (0..NUM_LAUNCHES).try_for_each(&mut launch))?;
    let (start, end) = (timed_event(&timer.gpu.context)?, timed_event(&timer.gpu.context)?);
    sleep(REST);
    let operations = 2.0 * LOADED.num_weights() as f64 * f64::from(LOADED_ROWS) * NUM_LAUNCHES as f64;
    let begin = Instant::now();
    let mut readings = vec![];
    for &after_s in after_s {
        while begin.elapsed().as_secs_f64() < after_s {
            graph.launch()?;
            stream.synchronize()?;
        }
        start.record(&stream)?;
        graph.launch()?;
        end.record(&stream)?;
        // While it runs: behind it the clock rises again.
        let state = timer.state();
        let seconds = f64::from(start.elapsed_ms(&end)?) / 1e3;
        ensure!(seconds > 0.0, "the driver timed a product at 0 s");
        readings.push(LoadReading {
            after_s,
            flops: operations / seconds,
            sm_clock_mhz: state.sm_clock_mhz,
            power_w: state.power_mw.map(|power| f64::from(power) / 1e3),
        });
    }
    stream.synchronize()?;
    Ok(readings)
}
