//! How fast products are, and whether cuBLASLt's first choice of an algorithm is a good one.

use anyhow::Result;

use super::check::Bench;
use super::check_fp8::scales;
use super::launcher::address;
use super::memory::{random, zeros};
use super::products::{Factors, Products};
use super::speed::seconds;
use crate::cuda::number::Storage;
use crate::cuda::shape::Matrix;
use crate::cuda::verdict;

/// Bytes of the copies of a matrix that take turns: more than any L2 cache, so that each product finds its weights cold.
const COLD_BYTES: u64 = 512 << 20;
/// Every algorithm is timed so often, one after the other; its smallest time counts, as clocks drift.
const NUM_ROUNDS: u32 = 3;
/// Those of a layer of Llama-3.1-8B: queries, keys and values; attention's output; gate and up; down.
const MATRICES: [Matrix; 4] = [
    Matrix { rows: 6144, columns: 4096 },
    Matrix { rows: 4096, columns: 4096 },
    Matrix { rows: 28_672, columns: 4096 },
    Matrix { rows: 4096, columns: 14_336 },
];
const NUM_ROWS: [u32; 4] = [1, 64, 512, 4096];

/// A line for each size.
pub(super) fn lines(bench: &mut Bench<'_>, storage: Storage) -> Result<Vec<String>> {
    let mut lines = vec![];
    for matrix in MATRICES {
        for num_rows in NUM_ROWS {
            let seconds = of_algorithms(bench, matrix, num_rows, storage)?;
            lines.push(verdict::product_line(matrix, num_rows, storage, &seconds));
        }
    }
    Ok(lines)
}

/// Mean seconds of a product by each algorithm that cuBLASLt names, its first choice first.
fn of_algorithms(bench: &mut Bench<'_>, matrix: Matrix, num_rows: u32, storage: Storage) -> Result<Vec<f64>> {
    let gpu = bench.gpu;
    let num_copies = COLD_BYTES.div_ceil(storage.num_bytes() * matrix.num_weights()).max(2);
    // Random numbers: zeros take less power, and so less time where power is the limit.
    let launcher = &bench.operators.launcher;
    let copies: Vec<_> = (0..num_copies)
        .map(|copy| random(launcher, &gpu.stream, storage, matrix.num_weights(), copy + 1, 1.0))
        .collect::<Result<_>>()?;
    let input = bench.random_stored(storage, num_rows as usize * matrix.columns as usize)?;
    let one = scales(bench, &[1.0])?;
    let out = zeros::<u16>(&gpu.stream, u64::from(num_rows) * u64::from(matrix.rows))?;
    let out = address::<u16>(&out, &gpu.stream);
    let mut products = Products::new(&gpu.stream, bench.format)?;
    let mut fastest = vec![f64::INFINITY; products.num_algorithms(matrix, num_rows, storage)?];
    for _ in 0..NUM_ROUNDS {
        for (number, fastest) in fastest.iter_mut().enumerate() {
            let taken = seconds(gpu, |repeat| {
                let weights = address(&copies[repeat % copies.len()], &gpu.stream);
                let scale = (storage == Storage::Fp8).then_some(one.at);
                let factors = Factors { output: out, input: input.at, weights, scale };
                products.multiply_by(number, matrix, num_rows, factors)
            })?;
            *fastest = fastest.min(taken);
        }
    }
    Ok(fastest)
}
