//! Everything of a model that lies in the device's memory.

use std::sync::Arc;

use anyhow::{Context, Result};
use cudarc::driver::{CudaSlice, CudaStream, DeviceRepr, ValidAsZeroBits};

use super::launcher::{Address, Argument, Launcher, address};
use crate::cuda::buffers::BufferSizes;
use crate::cuda::kernels::Kernel;
use crate::cuda::layout::Layout;
use crate::cuda::number::Storage;
use crate::cuda::shape::{Matrix, Shape};

/// Blocks of threads that fill a buffer with random numbers.
const FILL_BLOCKS: u32 = 4096;

/// Floats from one scale of weights to the next: 16 bytes, as addresses of vectors are.
const SCALE_PITCH: usize = 4;
/// The largest number of e4m3, which a quantised matrix reaches.
const FP8_LARGEST: f32 = 448.0;

/// A matrix of weights.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(crate) matrix: Matrix,
    numbers: CudaSlice<u8>,
    pub(crate) at: Address,
    /// Of the weights' scale; `None` if they are in 16 bits.
    pub(crate) scale: Option<Address>,
}

/// One layer: norms (before attention, before the MLP, of query heads, of key heads), matrices, keys, values.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) norms: [CudaSlice<u8>; 4],
    pub(crate) matrices: [Weights; 4],
    pub(crate) keys: CudaSlice<u8>,
    pub(crate) values: CudaSlice<u8>,
}

/// All weights and the KV cache. The layers together are larger than any cache of the device, but for small models, so
/// that each pass finds its weights cold, as in vLLM.
#[derive(Debug)]
pub(crate) struct Resident {
    pub(crate) layers: Vec<Layer>,
    pub(crate) embedding: Weights,
    /// `None` if they are the embedding's.
    pub(crate) head: Option<Weights>,
    pub(crate) last_norm: CudaSlice<u8>,
    /// What the scales' addresses point into.
    _scales: CudaSlice<f32>,
}

/// What passes work in; see [`BufferSizes`].
#[derive(Debug)]
pub(crate) struct Buffers {
    pub(crate) residual: CudaSlice<u16>,
    pub(crate) normed: CudaSlice<u16>,
    pub(crate) output: CudaSlice<u16>,
    pub(crate) qkv: CudaSlice<u16>,
    pub(crate) attended: CudaSlice<u16>,
    pub(crate) gate_up: CudaSlice<u16>,
    pub(crate) activated: CudaSlice<u16>,
    pub(crate) gathered: CudaSlice<u16>,
    pub(crate) logits: CudaSlice<u16>,
    /// Inputs of products in 8 bits, and their rows' scales.
    pub(crate) quantized: CudaSlice<u8>,
    pub(crate) row_scales: CudaSlice<f32>,
    pub(crate) partial: CudaSlice<f32>,
    pub(crate) stats: CudaSlice<f32>,
    pub(crate) tables: CudaSlice<i32>,
    pub(crate) token_ids: CudaSlice<i32>,
    pub(crate) sampled: CudaSlice<i32>,
    pub(crate) positions: CudaSlice<i32>,
    pub(crate) requests: CudaSlice<i32>,
    pub(crate) contexts: CudaSlice<i32>,
    pub(crate) tiles: CudaSlice<i32>,
    pub(crate) starts: CudaSlice<i32>,
    pub(crate) last_rows: CudaSlice<i32>,
}

/// Memory of `count` zeros.
pub(crate) fn zeros<T: DeviceRepr + ValidAsZeroBits>(stream: &Arc<CudaStream>, count: u64) -> Result<CudaSlice<T>> {
    // A buffer without a number has no address.
    let count = usize::try_from(count.max(1))?;
    let advice = "a smaller --gpu-memory-utilization leaves more room; so does ending other programs on the device";
    stream.alloc_zeros(count).with_context(|| format!("{count} numbers do not fit in the device's memory; {advice}"))
}

/// Memory of `count` random numbers between `-scale` and `scale`. Zeros would take less power and so less time.
pub(super) fn random(
    launcher: &Launcher,
    stream: &Arc<CudaStream>,
    storage: Storage,
    count: u64,
    seed: u64,
    scale: f32,
) -> Result<CudaSlice<u8>> {
    let numbers = zeros::<u8>(stream, count * storage.num_bytes())?;
    let arguments = [
        Argument::Pointer(address(&numbers, stream)),
        Argument::Count(count),
        Argument::Count(seed << 40),
        Argument::Float(scale),
    ];
    let kernel = if storage == Storage::Fp8 { Kernel::FillRandomFp8 } else { Kernel::FillRandom };
    launcher.launch(kernel, [FILL_BLOCKS, 1, 1], 256, &arguments)?;
    Ok(numbers)
}

/// Weights are uniform and so large that a product is about as large as its input.
#[expect(clippy::cast_possible_truncation, reason = "a number between 0 and 2")]
fn weight_scale(matrix: Matrix) -> f32 {
    (3.0 / f64::from(matrix.columns)).sqrt() as f32
}

impl Resident {
    pub(crate) fn new(launcher: &Launcher, stream: &Arc<CudaStream>, shape: &Shape, num_slots: u64) -> Result<Self> {
        let mut seed = 0;
        let mut numbers = |storage: Storage, count: u64, scale: f32| {
            seed += 1;
            random(launcher, stream, storage, count, seed, scale)
        };
        let mut half = |matrix: Matrix| -> Result<Weights> {
            let numbers = numbers(Storage::Half, matrix.num_weights(), weight_scale(matrix))?;
            let at = address(&numbers, stream);
            Ok(Weights { matrix, numbers, at, scale: None })
        };
        let embedding = half(shape.head_matrix())?;
        let head = if shape.is_tied { None } else { Some(half(shape.head_matrix())?) };
        // Scales are SCALE_PITCH apart; matrices of the same place in a layer share one, which makes no difference.
        let mut scales = [0.0; 4 * SCALE_PITCH];
        for (index, matrix) in shape.layer_matrices().into_iter().enumerate() {
            scales[index * SCALE_PITCH] = weight_scale(matrix) / FP8_LARGEST;
        }
        let scales = stream.clone_htod(&scales)?;
        let scales_at = address(&scales, stream);
        let mut of_layer = |index: u64, matrix: Matrix| -> Result<Weights> {
            let scale = if shape.linear == Storage::Fp8 { FP8_LARGEST } else { weight_scale(matrix) };
            let numbers = numbers(shape.linear, matrix.num_weights(), scale)?;
            let at = address(&numbers, stream);
            let scale_at = scales_at + 4 * SCALE_PITCH as u64 * index;
            Ok(Weights { matrix, numbers, at, scale: (shape.linear == Storage::Fp8).then_some(scale_at) })
        };
        let mut matrices = vec![];
        for _ in 0..shape.num_layers {
            let [qkv, out, gate_up, down] = shape.layer_matrices();
            matrices.push([of_layer(0, qkv)?, of_layer(1, out)?, of_layer(2, gate_up)?, of_layer(3, down)?]);
        }
        let num_cached = num_slots * u64::from(shape.kv_heads) * u64::from(shape.head_dim);
        let mut norm = |width: u32| numbers(Storage::Half, u64::from(width), 1.0);
        let mut norms = vec![];
        for _ in 0..shape.num_layers {
            norms.push([norm(shape.hidden)?, norm(shape.hidden)?, norm(shape.head_dim)?, norm(shape.head_dim)?]);
        }
        let last_norm = norm(shape.hidden)?;
        let mut layers = vec![];
        for (matrices, norms) in matrices.into_iter().zip(norms) {
            let mut cache = || numbers(shape.kv_cache, num_cached, 1.0);
            let (keys, values) = (cache()?, cache()?);
            layers.push(Layer { norms, matrices, keys, values });
        }
        Ok(Self { layers, embedding, head, last_norm, _scales: scales })
    }

    /// The weights that give the logits.
    pub(crate) fn head(&self) -> &Weights {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// Bytes of the matrices.
    pub(crate) fn matrix_bytes(&self) -> u64 {
        let of_layers = self.layers.iter().flat_map(|layer| &layer.matrices);
        let all = of_layers.chain([&self.embedding]).chain(&self.head);
        all.map(|weights| u64::try_from(weights.numbers.num_bytes()).unwrap_or(u64::MAX)).sum()
    }
}

impl Buffers {
    pub(crate) fn new(stream: &Arc<CudaStream>, shape: &Shape, sizes: &BufferSizes) -> Result<Self> {
        let halves = |index: usize| zeros::<u16>(stream, sizes.activations(shape)[index]);
        let [quantized, row_scales] = sizes.quantized(shape);
        let [partial, stats] = sizes.partials(shape);
        let [tables, _] = sizes.indices();
        let (rows, requests) = (u64::from(sizes.max_rows), u64::from(sizes.max_num_seqs));
        let indices = |count: u64| zeros::<i32>(stream, count);
        // Tokens of this rank: those of others read nothing.
        let ids = (0..sizes.max_rows).map(|row| i32::try_from(u64::from(row) * 7919 % u64::from(shape.vocab_per_rank)));
        let ids = ids.collect::<Result<Vec<i32>, _>>()?;
        Ok(Self {
            residual: halves(0)?,
            normed: halves(1)?,
            output: halves(2)?,
            qkv: halves(3)?,
            attended: halves(4)?,
            gate_up: halves(5)?,
            activated: halves(6)?,
            gathered: halves(7)?,
            logits: halves(8)?,
            quantized: zeros(stream, quantized)?,
            row_scales: zeros(stream, row_scales)?,
            partial: zeros(stream, partial)?,
            stats: zeros(stream, stats)?,
            tables: indices(tables)?,
            token_ids: stream.clone_htod(&ids)?,
            sampled: indices(requests)?,
            positions: indices(rows)?,
            requests: indices(rows)?,
            contexts: indices(requests)?,
            tiles: indices(4 * (rows + requests))?,
            starts: indices(requests)?,
            last_rows: indices(requests)?,
        })
    }

    /// Brings a pass's layout to the device.
    pub(crate) fn upload(&mut self, stream: &Arc<CudaStream>, layout: &Layout) -> Result<()> {
        let copy = |numbers: &[i32], buffer: &mut CudaSlice<i32>| -> Result<()> {
            anyhow::ensure!(numbers.len() <= buffer.len(), "a pass larger than the engine's limits");
            if !numbers.is_empty() {
                stream.memcpy_htod(numbers, buffer)?;
            }
            Ok(())
        };
        copy(&layout.positions, &mut self.positions)?;
        copy(&layout.requests, &mut self.requests)?;
        copy(&layout.contexts, &mut self.contexts)?;
        copy(layout.tiles.as_flattened(), &mut self.tiles)?;
        copy(&layout.starts, &mut self.starts)?;
        copy(&layout.last_rows, &mut self.last_rows)
    }
}
