//! Operators captured as a CUDA graph, as vLLM runs them, and timed by replaying it.

use std::sync::Arc;

use anyhow::{Context, Result};
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{CudaGraph, CudaSlice, CudaStream};

use super::open::{Gpu, timed_event};
use crate::measure::outliers::median;

/// A replay is to take about so long, with at least and at most so many launches in it.
const REPLAY_US: f64 = 5000.0;
const FEWEST_REPEATS: f64 = 3.0;
/// What operators read is so often there, for each launch another: none finds it in a cache.
pub(super) const MOST_REPEATS: u64 = 64;
/// Replays, of which the median counts, after one that does not.
const NUM_ROUNDS: u32 = 3;

/// A graph of what `launch` launches. Libraries load their kernels at the first call, which a capture does not allow: it
/// must have been called before.
///
/// # Errors
/// If `launch` or the driver fails.
pub(super) fn captured(stream: &Arc<CudaStream>, launch: impl FnOnce() -> Result<()>) -> Result<CudaGraph> {
    stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)?;
    let launched = launch();
    // The capture ends in any case, or the stream is lost.
    let captured = stream.end_capture(CUgraphInstantiate_flags(0));
    launched?;
    let graph = captured?.context("the driver captured nothing")?;
    graph.upload()?;
    stream.synchronize()?;
    Ok(graph)
}

/// Microseconds of one `launch`, which is told how often it was called before, up to [`MOST_REPEATS`]. `flushed` is larger
/// than the device's caches and is zeroed before each replay.
///
/// # Errors
/// If `launch` or the driver fails.
pub(super) fn replayed_us(
    gpu: &Gpu,
    flushed: &mut CudaSlice<u8>,
    mut launch: impl FnMut(u64) -> Result<()>,
) -> Result<f64> {
    let stream = &gpu.stream;
    launch(0)?;
    stream.synchronize()?;
    let (start, end) = (timed_event(&gpu.context)?, timed_event(&gpu.context)?);
    start.record(stream)?;
    launch(1)?;
    end.record(stream)?;
    let once_us = 1e3 * f64::from(start.elapsed_ms(&end)?);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 3 to 64")]
    let num_repeats = (REPLAY_US / once_us.max(1.0)).clamp(FEWEST_REPEATS, MOST_REPEATS as f64) as u64;
    let graph = captured(stream, || (0..num_repeats).try_for_each(&mut launch))?;
    let mut times = vec![];
    for round in 0..=NUM_ROUNDS {
        // The device is busy with this until the graph is queued behind it, so that no launch is waited for.
        stream.memset_zeros(flushed)?;
        start.record(stream)?;
        graph.launch()?;
        end.record(stream)?;
        let replay_us = 1e3 * f64::from(start.elapsed_ms(&end)?);
        if round > 0 {
            times.push(replay_us / num_repeats as f64);
        }
    }
    median(times).context("no replay was timed")
}
