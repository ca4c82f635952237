//! What quantises, and what reads products of quantised rows, against the references.

use anyhow::Result;
use cudarc::driver::CudaSlice;

use super::check::{Bench, KernelCheck, Numbers};
use super::launcher::{Address, address};
use super::operators::{EPS, Heads, Input};
use super::products::{Factors, Products};
use crate::cuda::number::Storage;
use crate::cuda::reference;
use crate::cuda::shape::Matrix;

/// Scales of rows, of weights: any numbers that are not 1.
const SCALES: [f32; 5] = [0.25, 3.0, 1.5, 0.7, 2.0];

pub(super) fn check(bench: &mut Bench<'_>) -> Result<Vec<KernelCheck>> {
    Ok(vec![check_norm(bench)?, check_qk_norm(bench)?, check_rows(bench)?, check_product(bench)?])
}

/// Scales on the device.
pub(super) struct Scales {
    device: CudaSlice<f32>,
    pub(super) at: Address,
}

pub(super) fn scales(bench: &Bench<'_>, scales: &[f32]) -> Result<Scales> {
    let device = bench.gpu.stream.clone_htod(scales)?;
    let at = address(&device, &bench.gpu.stream);
    Ok(Scales { device, at })
}

/// The largest error of quantised rows.
fn compare(
    bench: &Bench<'_>,
    name: &'static str,
    rows: &Numbers,
    scales: &Scales,
    expect: &[f64],
) -> Result<KernelCheck> {
    let codes = bench.read(rows)?;
    let scales = bench.gpu.stream.clone_dtoh(&scales.device)?;
    bench.gpu.stream.synchronize()?;
    let width = expect.len() / scales.len();
    let rows = codes.chunks(width).zip(expect.chunks(width)).zip(&scales);
    let errors = rows.map(|((codes, expect), &scale)| reference::quantized_error(codes, f64::from(scale), expect));
    Ok(KernelCheck { name, error: errors.fold(0.0, f64::max) })
}

/// An addend whose rows have scales; the scales of the result go where those were.
fn check_norm(bench: &mut Bench<'_>) -> Result<KernelCheck> {
    let (rows, hidden) = (SCALES.len(), 264);
    let out = bench.random_stored(Storage::Fp8, rows * hidden)?;
    let (residual, input) = (bench.random_numbers(rows * hidden)?, bench.random_numbers(rows * hidden)?);
    let weight = bench.random_numbers(hidden)?;
    let of_rows = scales(bench, &SCALES)?;
    let to = Input::Fp8 { numbers: out.at, scales: of_rows.at };
    bench.operators.norm(to, [residual.at, input.at, of_rows.at, weight.at], 5, 264)?;
    let sums = bench.read(&residual)?;
    let scaled = input.values.iter().enumerate().map(|(i, x)| x * f64::from(SCALES[i / hidden]));
    let expect_sums: Vec<f64> = scaled.zip(&residual.values).map(|(x, before)| x + before).collect();
    let normed = sums.chunks(hidden).flat_map(|row| reference::rms_norm(row, &weight.values, f64::from(EPS)));
    let normed: Vec<f64> = normed.collect();
    let of_sums = bench.compare("add_rms_norm_fp8", &sums, &expect_sums)?;
    let of_norms = compare(bench, "add_rms_norm_fp8", &out, &of_rows, &normed)?;
    Ok(KernelCheck { error: of_sums.error.max(of_norms.error), ..of_sums })
}

/// A norm of rows with scales; the values are left to the kernel that comes after.
fn check_qk_norm(bench: &mut Bench<'_>) -> Result<KernelCheck> {
    let Heads { q_heads, kv_heads, head_dim, .. } = bench.operators.heads;
    let (num_heads, width) = ((q_heads + 2 * kv_heads) as usize, head_dim as usize);
    let qkv = bench.random_numbers(SCALES.len() * num_heads * width)?;
    let weight = bench.random_numbers(width)?;
    let of_rows = scales(bench, &SCALES)?;
    bench.operators.qk_norm([qkv.at, of_rows.at, weight.at, weight.at], 5)?;
    let mut expect = vec![];
    for (index, head) in qkv.values.chunks(width).enumerate() {
        if index % num_heads < (q_heads + kv_heads) as usize {
            let scaled: Vec<f64> = head.iter().map(|x| x * f64::from(SCALES[index / num_heads])).collect();
            expect.extend(reference::rms_norm(&scaled, &weight.values, f64::from(EPS)));
        } else {
            expect.extend(head);
        }
    }
    bench.compare("qk_norm of scaled rows", &bench.read(&qkv)?, &expect)
}

fn check_rows(bench: &mut Bench<'_>) -> Result<KernelCheck> {
    let (rows, intermediate) = (SCALES.len(), 2064);
    let out = bench.random_stored(Storage::Fp8, rows * intermediate)?;
    let gate_up = bench.random_numbers(2 * rows * intermediate)?;
    let of_rows = scales(bench, &SCALES)?;
    let to = Input::Fp8 { numbers: out.at, scales: of_rows.at };
    bench.operators.silu_and_mul(to, [gate_up.at, of_rows.at], 5, 2064)?;
    let mut expect = vec![];
    for (row, scale) in gate_up.values.chunks(2 * intermediate).zip(SCALES) {
        let scaled: Vec<f64> = row.iter().map(|x| x * f64::from(scale)).collect();
        expect.extend(reference::silu_and_mul(&scaled));
    }
    let activated = compare(bench, "silu_and_mul_fp8, quantize_rows", &out, &of_rows, &expect)?;
    bench.operators.quantize(to, gate_up.at, 5, 2064)?;
    let copied = compare(bench, activated.name, &out, &of_rows, &gate_up.values[..rows * intermediate])?;
    Ok(KernelCheck { error: activated.error.max(copied.error), ..activated })
}

/// Exact products of e4m3; what is allowed are roundings of the result.
fn check_product(bench: &mut Bench<'_>) -> Result<KernelCheck> {
    let (rows, matrix) = (5, Matrix { rows: 96, columns: 128 });
    let out = bench.random_numbers(rows * 96)?;
    let input = bench.random_stored(Storage::Fp8, rows * 128)?;
    let weights = bench.random_stored(Storage::Fp8, 96 * 128)?;
    let of_weights = scales(bench, &SCALES[..1])?;
    let mut products = Products::new(&bench.gpu.stream, bench.format)?;
    let factors = Factors { output: out.at, input: input.at, weights: weights.at, scale: Some(of_weights.at) };
    products.multiply(matrix, 5, factors)?;
    let rows = input.values.chunks(128).flat_map(|row| reference::product(row, &weights.values));
    let expect: Vec<f64> = rows.map(|x| x * f64::from(SCALES[0])).collect();
    bench.compare("cuBLASLt in e4m3", &bench.read(&out)?, &expect)
}
