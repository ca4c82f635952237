//! A model on a GPU: passes, captured once and replayed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use anyhow::{Result, ensure};
use cudarc::driver::{CudaEvent, CudaGraph};
use sim_core::batch::BatchComposition;

use super::launcher::{Address, Launcher, address};
use super::memory::{Buffers, Layer, Resident, Weights};
use super::open::{Gpu, timed_event};
use super::operators::{Cache, Heads, Input, Operators};
use super::products::{Factors, Products};
use super::replay::captured;
use crate::cuda::buffers::BufferSizes;
use crate::cuda::device::{Device, DeviceState, PassTimes};
use crate::cuda::layout::{LaunchKey, Layout};
use crate::cuda::number::Storage;
use crate::cuda::shape::Shape;
use crate::engine::EngineFacts;

/// Graphs that are kept; each holds a few megabytes.
const MAX_GRAPHS: usize = 128;

/// vLLM's scale of keys and values, unless a checkpoint brings another.
const KV_SCALE: f32 = 1.0;

/// See the module.
pub(crate) struct GpuDevice {
    // Graphs go before what they point to.
    graphs: BTreeMap<LaunchKey, CudaGraph>,
    products: Products,
    operators: Operators,
    resident: Resident,
    buffers: Buffers,
    events: [CudaEvent; 2],
    shape: Shape,
    sizes: BufferSizes,
    block_size: u32,
    num_blocks: u32,
    capture_sizes: Vec<u32>,
    gpu: Gpu,
}

impl fmt::Debug for GpuDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuDevice").field("shape", &self.shape).field("properties", &self.gpu.properties).finish()
    }
}

impl GpuDevice {
    /// Puts a model with random weights and its KV cache on the device.
    ///
    /// # Errors
    /// If a kernel does not compile or memory is short.
    pub(crate) fn new(gpu: Gpu, shape: Shape, facts: &EngineFacts, sizes: BufferSizes) -> Result<Self> {
        let block_size = facts.config.block_size();
        let num_blocks = facts.config.num_gpu_blocks;
        let launcher = Launcher::new(&gpu, &shape, block_size)?;
        let heads = Heads {
            q_heads: shape.q_heads,
            kv_heads: shape.kv_heads,
            head_dim: shape.head_dim,
            table_width: sizes.table_width,
        };
        let num_slots = u64::from(num_blocks) * u64::from(block_size);
        let resident = Resident::new(&launcher, &gpu.stream, &shape, num_slots)?;
        let allocated = resident.matrix_bytes();
        ensure!(allocated <= shape.weight_bytes(), "{allocated} bytes of matrices, {} counted", shape.weight_bytes());
        Ok(Self {
            graphs: BTreeMap::new(),
            products: Products::new(&gpu.stream, shape.format)?,
            buffers: Buffers::new(&gpu.stream, &shape, &sizes)?,
            events: [timed_event(&gpu.context)?, timed_event(&gpu.context)?],
            operators: Operators { launcher, stream: gpu.stream.clone(), heads, kv_scale: KV_SCALE },
            resident,
            shape,
            sizes,
            block_size,
            num_blocks,
            capture_sizes: facts.capture_sizes.clone(),
            gpu,
        })
    }

    /// All operators of a pass, in order.
    fn launch_pass(&mut self, key: LaunchKey) -> Result<()> {
        let Self { products, operators, resident, buffers, shape, gpu, .. } = self;
        let stream = &gpu.stream;
        let at = |buffer| address::<u16>(buffer, stream);
        let bytes = |buffer| address::<u8>(buffer, stream);
        let index = |buffer| address::<i32>(buffer, stream);
        let (rows, hidden) = (key.num_rows, shape.hidden);
        let [residual, normed, output] = [&buffers.residual, &buffers.normed, &buffers.output].map(at);
        let [qkv, attended, gate_up, activated] =
            [&buffers.qkv, &buffers.attended, &buffers.gate_up, &buffers.activated].map(at);
        // Where the operators before a product put its input: in e4m3 all in the same place.
        let input = |half: Address| match shape.linear {
            Storage::Half => Input::Half(half),
            Storage::Fp8 => Input::Fp8 {
                numbers: address(&buffers.quantized, stream),
                scales: address(&buffers.row_scales, stream),
            },
        };
        let scales = input(0).scales();
        let mut multiply = |weights: &Weights, num_rows: u32, output: Address, input: Address| {
            let factors = Factors { output, input, weights: weights.at, scale: weights.scale };
            products.multiply(weights.matrix, num_rows, factors)
        };
        operators.embed([residual, resident.embedding.at, index(&buffers.token_ids)], rows, hidden)?;
        // The embedding is in the residual stream already.
        let mut addend = 0;
        for layer in &resident.layers {
            let Layer { norms, matrices: [to_qkv, to_output, to_gate_up, down], .. } = layer;
            operators.norm(input(normed), [residual, addend, scales, bytes(&norms[0])], rows, hidden)?;
            multiply(to_qkv, rows, qkv, input(normed).at())?;
            attend(operators, buffers, layer, scales, shape.has_qk_norm, key)?;
            operators.quantize(input(attended), attended, rows, to_output.matrix.columns)?;
            multiply(to_output, rows, output, input(attended).at())?;
            operators.norm(input(normed), [residual, output, scales, bytes(&norms[1])], rows, hidden)?;
            multiply(to_gate_up, rows, gate_up, input(normed).at())?;
            operators.silu_and_mul(input(activated), [gate_up, scales], rows, shape.intermediate)?;
            multiply(down, rows, output, input(activated).at())?;
            addend = output;
        }
        let [gathered, logits] = [&buffers.gathered, &buffers.logits].map(at);
        let last = [residual, addend, scales, bytes(&resident.last_norm)];
        operators.norm(Input::Half(normed), last, rows, hidden)?;
        operators.gather([gathered, normed, index(&buffers.last_rows)], key.num_reqs, hidden)?;
        multiply(resident.head(), key.num_reqs, logits, gathered)?;
        operators.argmax([index(&buffers.sampled), logits], key.num_reqs, shape.vocab)
    }

    /// Sees to it that there is a graph of such passes.
    fn capture(&mut self, key: LaunchKey) -> Result<()> {
        if self.graphs.contains_key(&key) {
            return Ok(());
        }
        if self.graphs.len() >= MAX_GRAPHS {
            self.graphs.clear();
        }
        // Once without capture: libraries load their kernels at the first call, which a capture does not allow.
        self.launch_pass(key)?;
        let stream = self.gpu.stream.clone();
        stream.synchronize()?;
        let graph = captured(&stream, || self.launch_pass(key))?;
        self.graphs.insert(key, graph);
        Ok(())
    }
}

/// What is between the product that gives queries, keys and values, whose rows have these scales, and the one that takes
/// attention's output.
fn attend(
    operators: &Operators,
    buffers: &Buffers,
    layer: &Layer,
    scales: Address,
    has_qk_norm: bool,
    key: LaunchKey,
) -> Result<()> {
    let stream = &operators.stream;
    let at = |buffer| address::<u16>(buffer, stream);
    let bytes = |buffer| address::<u8>(buffer, stream);
    let index = |buffer| address::<i32>(buffer, stream);
    let cache = Cache {
        qkv: at(&buffers.qkv),
        keys: bytes(&layer.keys),
        values: bytes(&layer.values),
        tables: index(&buffers.tables),
    };
    let out = at(&buffers.attended);
    if has_qk_norm {
        operators.qk_norm([cache.qkv, scales, bytes(&layer.norms[2]), bytes(&layer.norms[3])], key.num_rows)?;
    }
    // What was normed is scaled already.
    let scales = [if has_qk_norm { 0 } else { scales }, scales];
    operators.rope_and_cache(cache, scales, [index(&buffers.positions), index(&buffers.requests)], key.num_rows)?;
    if key.num_decodes > 0 {
        let [partial, stats] = [&buffers.partial, &buffers.stats].map(|buffer| address::<f32>(buffer, stream));
        let places = [out, partial, stats, index(&buffers.contexts)];
        operators.decode_attention(cache, places, key.num_decodes, key.num_parts)?;
    }
    if key.num_tiles > 0 {
        operators.prefill_attention(cache, [out, index(&buffers.tiles)], key.num_tiles)?;
    }
    Ok(())
}

impl Device for GpuDevice {
    fn state(&self) -> DeviceState {
        self.gpu.watch.as_ref().map(super::watch::Watch::state).unwrap_or_default()
    }

    fn time_pass(&mut self, batch: &BatchComposition) -> Result<PassTimes> {
        let layout = Layout::new(batch, self.block_size, &self.capture_sizes);
        let key = layout.key(self.shape.kv_heads, self.gpu.properties.num_multiprocessors);
        ensure!(
            key.num_rows <= self.sizes.max_rows && key.num_reqs <= self.sizes.max_num_seqs,
            "a pass of {} rows and {} requests is larger than the engine's limits",
            key.num_rows,
            key.num_reqs
        );
        let stream = self.gpu.stream.clone();
        self.buffers.upload(&stream, &layout)?;
        let [tables, starts] =
            [&self.buffers.tables, &self.buffers.starts].map(|buffer| address::<i32>(buffer, &stream));
        self.operators.fill_tables(tables, starts, key.num_reqs, self.num_blocks)?;
        let is_graph = !self.capture_sizes.is_empty();
        if is_graph {
            self.capture(key)?;
        }
        stream.synchronize()?;
        self.events[0].record(&stream)?;
        let start = Instant::now();
        match self.graphs.get(&key) {
            Some(graph) => graph.launch()?,
            None => self.launch_pass(key)?,
        }
        let launch = u64::try_from(start.elapsed().as_nanos())?;
        self.events[1].record(&stream)?;
        let milliseconds = f64::from(self.events[0].elapsed_ms(&self.events[1])?);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the time of a pass")]
        let device = (milliseconds * 1e6).round() as u64;
        Ok(PassTimes { device, launch })
    }
}
