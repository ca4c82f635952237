//! The kernels on the device against the references on the processor.

use anyhow::{Result, ensure};
use cudarc::driver::CudaSlice;
use sim_core::rng::Pcg64;

use super::launcher::{Address, Launcher, address};
use super::open::Gpu;
use super::operators::{EPS, Heads, Input, Operators};
use super::products::{Factors, Products};
use crate::cuda::number::{Format, Storage, fp8_bits, fp8_to_f64};
use crate::cuda::reference;
use crate::cuda::shape::{Matrix, Shape};

/// Roundings of a result's largest number that an error may have: the result's own, and those on the way.
const MAX_ROUNDINGS: f64 = 2.0;

/// How one kernel did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KernelCheck {
    pub(crate) name: &'static str,
    /// Largest error as a share of what is allowed.
    pub(crate) error: f64,
}

impl KernelCheck {
    pub(crate) fn is_passed(&self) -> bool {
        self.error <= 1.0
    }
}

/// Numbers on the device and what they are.
pub(super) struct Numbers {
    pub(super) values: Vec<f64>,
    device: Stored,
    pub(super) at: Address,
}

impl Numbers {
    pub(super) const fn storage(&self) -> Storage {
        match self.device {
            Stored::Half(_) => Storage::Half,
            Stored::Fp8(_) => Storage::Fp8,
        }
    }
}

enum Stored {
    Half(CudaSlice<u16>),
    Fp8(CudaSlice<u8>),
}

/// What the checks of one model's kernels share.
pub(super) struct Bench<'a> {
    pub(super) gpu: &'a Gpu,
    pub(super) operators: Operators,
    pub(super) format: Format,
    pub(super) random: Pcg64,
}

impl Bench<'_> {
    /// Numbers between -1 and 1 in 16 bits.
    pub(super) fn random_numbers(&mut self, count: usize) -> Result<Numbers> {
        self.random_stored(Storage::Half, count)
    }

    /// Numbers between -1 and 1; what is in e4m3 is not multiplied by a scale.
    pub(super) fn random_stored(&mut self, storage: Storage, count: usize) -> Result<Numbers> {
        let stream = &self.gpu.stream;
        let numbers = (0..count).map(|_| 2.0 * self.random.random() - 1.0);
        Ok(match storage {
            Storage::Half => {
                let bits: Vec<u16> = numbers.map(|x| self.format.bits(x)).collect();
                let device = stream.clone_htod(&bits)?;
                let at = address(&device, stream);
                let values = bits.into_iter().map(|bits| self.format.to_f64(bits)).collect();
                Numbers { values, device: Stored::Half(device), at }
            }
            Storage::Fp8 => {
                let bits: Vec<u8> = numbers.map(fp8_bits).collect();
                let device = stream.clone_htod(&bits)?;
                let at = address(&device, stream);
                Numbers { values: bits.into_iter().map(fp8_to_f64).collect(), device: Stored::Fp8(device), at }
            }
        })
    }

    /// What is on the device now.
    pub(super) fn read(&self, numbers: &Numbers) -> Result<Vec<f64>> {
        let stream = &self.gpu.stream;
        match &numbers.device {
            Stored::Half(device) => {
                let bits = stream.clone_dtoh(device)?;
                stream.synchronize()?;
                Ok(bits.into_iter().map(|bits| self.format.to_f64(bits)).collect())
            }
            Stored::Fp8(device) => {
                let bits = stream.clone_dtoh(device)?;
                stream.synchronize()?;
                Ok(bits.into_iter().map(fp8_to_f64).collect())
            }
        }
    }

    pub(super) fn indices(&self, numbers: &[i32]) -> Result<CudaSlice<i32>> {
        Ok(self.gpu.stream.clone_htod(numbers)?)
    }

    pub(super) fn index_at(&self, indices: &CudaSlice<i32>) -> Address {
        address(indices, &self.gpu.stream)
    }

    /// The largest error, over the allowed one.
    pub(super) fn compare(&self, name: &'static str, got: &[f64], expect: &[f64]) -> Result<KernelCheck> {
        ensure!(got.len() == expect.len(), "{name}: {} numbers instead of {}", got.len(), expect.len());
        let largest = expect.iter().fold(0.0, |largest, x| f64::max(largest, x.abs()));
        let allowed = MAX_ROUNDINGS * self.format.epsilon() * largest;
        // No number is the worst error.
        let error = |(got, expect): (&f64, &f64)| if got.is_nan() { f64::INFINITY } else { (got - expect).abs() };
        let worst = got.iter().zip(expect).map(error).fold(0.0, f64::max);
        Ok(KernelCheck { name, error: worst / allowed })
    }
}

/// Compiles the kernels for a model's heads and number format and compares all of them.
///
/// # Errors
/// If something fails; a kernel that computes something else does not.
pub(crate) fn check(gpu: &Gpu, shape: &Shape, block_size: u32) -> Result<Vec<KernelCheck>> {
    let launcher = Launcher::new(gpu, shape, block_size)?;
    let heads = Heads { q_heads: 2 * shape.group(), kv_heads: 2, head_dim: shape.head_dim, table_width: 32 };
    // Another scale than 1, or a missing factor would go unseen.
    let kv_scale = if shape.kv_cache == Storage::Fp8 { 0.75 } else { 1.0 };
    let operators = Operators { launcher, stream: gpu.stream.clone(), heads, kv_scale };
    let random = Pcg64::stream(1, "kernel check");
    let mut bench = Bench { gpu, operators, format: shape.format, random };
    let mut checks = vec![
        check_norm(&mut bench, true)?,
        check_norm(&mut bench, false)?,
        check_qk_norm(&mut bench)?,
        check_activation(&mut bench)?,
        check_rows(&mut bench)?,
        check_argmax(&mut bench)?,
        check_product(&mut bench)?,
    ];
    if shape.linear == Storage::Fp8 {
        checks.extend(super::check_fp8::check(&mut bench)?);
    }
    checks.extend(super::check_attention::check(&mut bench, block_size, shape)?);
    Ok(checks)
}

fn check_norm(bench: &mut Bench<'_>, has_addend: bool) -> Result<KernelCheck> {
    let (rows, hidden) = (5, 264);
    let (out, residual) = (bench.random_numbers(rows * hidden)?, bench.random_numbers(rows * hidden)?);
    let (input, weight) = (bench.random_numbers(rows * hidden)?, bench.random_numbers(hidden)?);
    let addend = if has_addend { input.at } else { 0 };
    bench.operators.norm(Input::Half(out.at), [residual.at, addend, 0, weight.at], 5, 264)?;
    // The kernel norms what it wrote to the residual stream.
    let sums = bench.read(&residual)?;
    let mut expect = vec![];
    let mut expect_sums = vec![];
    for row in 0..rows {
        let of = |numbers: &[f64]| numbers[row * hidden..(row + 1) * hidden].to_vec();
        let added = if has_addend { of(&input.values) } else { vec![0.0; hidden] };
        expect_sums.extend(reference::add_rms_norm(&added, &of(&residual.values), &weight.values, f64::from(EPS)).0);
        expect.extend(reference::rms_norm(&of(&sums), &weight.values, f64::from(EPS)));
    }
    let name = if has_addend { "add_rms_norm" } else { "add_rms_norm without addend" };
    let of_sums = bench.compare(name, &sums, &expect_sums)?;
    let of_norms = bench.compare(name, &bench.read(&out)?, &expect)?;
    Ok(KernelCheck { name, error: of_sums.error.max(of_norms.error) })
}

fn check_qk_norm(bench: &mut Bench<'_>) -> Result<KernelCheck> {
    let Heads { q_heads, kv_heads, head_dim, .. } = bench.operators.heads;
    let (rows, num_heads, width) = (3, (q_heads + 2 * kv_heads) as usize, head_dim as usize);
    let qkv = bench.random_numbers(rows * num_heads * width)?;
    let (of_queries, of_keys) = (bench.random_numbers(width)?, bench.random_numbers(width)?);
    bench.operators.qk_norm([qkv.at, 0, of_queries.at, of_keys.at], 3)?;
    let mut expect = vec![];
    for (index, head) in qkv.values.chunks(width).enumerate() {
        let weight = match index % num_heads {
            head if head < q_heads as usize => &of_queries.values,
            head if head < (q_heads + kv_heads) as usize => &of_keys.values,
            _ => {
                expect.extend(head);
                continue;
            }
        };
        expect.extend(reference::rms_norm(head, weight, f64::from(EPS)));
    }
    bench.compare("qk_norm", &bench.read(&qkv)?, &expect)
}

fn check_activation(bench: &mut Bench<'_>) -> Result<KernelCheck> {
    let (rows, intermediate) = (3, 2056);
    let (out, gate_up) = (bench.random_numbers(rows * intermediate)?, bench.random_numbers(2 * rows * intermediate)?);
    bench.operators.silu_and_mul(Input::Half(out.at), [gate_up.at, 0], 3, 2056)?;
    let expect: Vec<f64> = gate_up.values.chunks(2 * intermediate).flat_map(reference::silu_and_mul).collect();
    bench.compare("silu_and_mul", &bench.read(&out)?, &expect)
}

/// Embedding and gathering copy rows: exactly.
fn check_rows(bench: &mut Bench<'_>) -> Result<KernelCheck> {
    let (out, again, table) =
        (bench.random_numbers(3 * 64)?, bench.random_numbers(3 * 64)?, bench.random_numbers(9 * 64)?);
    let rows = bench.indices(&[7, 0, 8])?;
    let order = bench.indices(&[2, 2, 1])?;
    bench.operators.embed([out.at, table.at, bench.index_at(&rows)], 3, 64)?;
    bench.operators.gather([again.at, out.at, bench.index_at(&order)], 3, 64)?;
    let row = |index: usize| &table.values[index * 64..(index + 1) * 64];
    let are_equal = bench.read(&out)? == [row(7), row(0), row(8)].concat()
        && bench.read(&again)? == [row(8), row(8), row(0)].concat();
    Ok(KernelCheck { name: "embed, gather_rows", error: if are_equal { 0.0 } else { f64::INFINITY } })
}

fn check_argmax(bench: &mut Bench<'_>) -> Result<KernelCheck> {
    let (rows, vocab) = (4, 12_008);
    let logits = bench.random_numbers(rows * vocab)?;
    let places = bench.indices(&[-1; 4])?;
    bench.operators.argmax([bench.index_at(&places), logits.at], 4, 12_008)?;
    let got = bench.gpu.stream.clone_dtoh(&places)?;
    bench.gpu.stream.synchronize()?;
    let expect: Vec<usize> = logits.values.chunks(vocab).map(reference::argmax).collect();
    let are_equal = got.iter().zip(expect).all(|(&got, expect)| usize::try_from(got) == Ok(expect));
    Ok(KernelCheck { name: "argmax", error: if are_equal { 0.0 } else { f64::INFINITY } })
}

fn check_product(bench: &mut Bench<'_>) -> Result<KernelCheck> {
    let (rows, matrix) = (5, Matrix { rows: 96, columns: 128 });
    let (out, input, weights) =
        (bench.random_numbers(rows * 96)?, bench.random_numbers(rows * 128)?, bench.random_numbers(96 * 128)?);
    let mut products = Products::new(&bench.gpu.stream, bench.format)?;
    let factors = Factors { output: out.at, input: input.at, weights: weights.at, scale: None };
    products.multiply(matrix, 5, factors)?;
    let expect: Vec<f64> = input.values.chunks(128).flat_map(|row| reference::product(row, &weights.values)).collect();
    bench.compare("cuBLASLt", &bench.read(&out)?, &expect)
}
