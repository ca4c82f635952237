//! One matrix product over its rows, by cuBLASLt's first choice of an algorithm, its weights cold.

use anyhow::Result;

use super::alone::{COLD_BYTES, GpuTimer};
use super::launcher::address;
use super::memory::{random, zeros};
use super::products::Factors;
use super::replay::{MOST_REPEATS, replayed_us};
use crate::cuda::alone::sites::{ROWS, is_timed};
use crate::cuda::number::Storage;
use crate::cuda::shape::Matrix;

/// A time for each of [`ROWS`]; `None` where inputs and outputs do not fit.
pub(super) fn product(timer: &mut GpuTimer, matrix: Matrix, storage: Storage) -> Result<Vec<Option<f64>>> {
    timer.compile((128, 4, storage))?;
    let num_bytes = storage.num_bytes() * matrix.num_weights();
    let num_copies = COLD_BYTES.div_ceil(num_bytes).clamp(2, MOST_REPEATS);
    let room = timer.room()?.saturating_sub(num_copies * num_bytes);
    let row_bytes = storage.num_bytes() * u64::from(matrix.columns) + 2 * u64::from(matrix.rows);
    let fits = |rows: u32| is_timed(matrix, rows) && u64::from(rows) * row_bytes <= room;
    let Some(most) = ROWS.into_iter().filter(|&rows| fits(rows)).max() else { return Ok(vec![None; ROWS.len()]) };
    // Random numbers: zeros take less power, and so less time where power is the limit.
    let (launcher, stream) = (&timer.operators.launcher, timer.gpu.stream.clone());
    let weights = random(launcher, &stream, storage, num_copies * matrix.num_weights(), 1, 1.0)?;
    let input = random(launcher, &stream, storage, u64::from(most) * u64::from(matrix.columns), 2, 1.0)?;
    let output = zeros::<u16>(&stream, u64::from(most) * u64::from(matrix.rows))?;
    let [weights_at, input_at] = [&weights, &input].map(|buffer| address::<u8>(buffer, &stream));
    let output_at = address::<u16>(&output, &stream);
    let scale = (storage == Storage::Fp8).then(|| address::<f32>(&timer.one, &stream));
    let GpuTimer { products, flushed, gpu, .. } = timer;
    let mut times = vec![];
    for rows in ROWS {
        if rows > most {
            times.push(None);
            continue;
        }
        let time = replayed_us(gpu, flushed, |repeat| {
            let weights = weights_at + repeat % num_copies * num_bytes;
            products.multiply(matrix, rows, Factors { output: output_at, input: input_at, weights, scale })
        })?;
        times.push(Some(time));
    }
    Ok(times)
}
