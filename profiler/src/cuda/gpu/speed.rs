//! How fast the operators are that passes are made of, beside what the device can do.

use anyhow::Result;

use super::check::Bench;
use super::launcher::{Launcher, address};
use super::memory::zeros;
use super::open::{Gpu, timed_event};
use super::operators::{Cache, Heads, Operators};
use super::speed_products;
use crate::cuda::layout::{Layout, num_parts};
use crate::cuda::number::Storage;
use crate::cuda::shape::Shape;
use crate::cuda::verdict;
use crate::measure::limits::composition;

/// Repeats of what is timed, after one that is not.
const NUM_REPEATS: u32 = 20;
/// (requests, tokens of each): fewer than the target is for, then the same keys and values in more and more requests.
const DECODES: [(u32, u32); 4] = [(8, 4096), (64, 4096), (128, 2048), (256, 1024)];
const PROMPT: u32 = 8192;

/// A line for each of: copying, decodes' attention, a prompt's attention, products; with the targets that they have.
///
/// # Errors
/// If the device fails or has less than 6 GB free.
pub(crate) fn speeds(gpu: &Gpu, shape: &Shape, block_size: u32) -> Result<Vec<String>> {
    let launcher = Launcher::new(gpu, shape, block_size)?;
    let (kv_heads, table_width) = (8, PROMPT.div_ceil(block_size));
    let heads = Heads { q_heads: kv_heads * shape.group(), kv_heads, head_dim: shape.head_dim, table_width };
    let operators = Operators { launcher, stream: gpu.stream.clone(), heads, kv_scale: 1.0 };
    let random = sim_core::rng::Pcg64::stream(2, "speed");
    let mut bench = Bench { gpu, operators, format: shape.format, random };
    let mut lines = vec![];
    if let Some(rate) = gpu.properties.copy_bytes_per_s {
        lines.push(format!("copying: {:.0} GB/s, read and written", rate / 1e9));
    }
    for (count, context) in DECODES {
        lines.push(decodes(&bench, block_size, (count, context), shape.kv_cache)?);
    }
    lines.push(prompt(&bench, block_size, shape.kv_cache)?);
    lines.extend(speed_products::lines(&mut bench, shape.linear)?);
    Ok(lines)
}

/// Mean seconds of `launch`, which is told how often it was called.
pub(super) fn seconds(gpu: &Gpu, mut launch: impl FnMut(usize) -> Result<()>) -> Result<f64> {
    launch(0)?;
    gpu.stream.synchronize()?;
    let (start, end) = (timed_event(&gpu.context)?, timed_event(&gpu.context)?);
    start.record(&gpu.stream)?;
    for repeat in 1..=NUM_REPEATS as usize {
        launch(repeat)?;
    }
    end.record(&gpu.stream)?;
    Ok(f64::from(start.elapsed_ms(&end)?) / 1e3 / f64::from(NUM_REPEATS))
}

fn decodes(bench: &Bench<'_>, block_size: u32, (count, context): (u32, u32), kv_cache: Storage) -> Result<String> {
    let (gpu, heads) = (bench.gpu, bench.operators.heads);
    let layout = Layout::new(&composition(&[], count, u64::from(count) * u64::from(context)), block_size, &[]);
    let parts = num_parts(count, heads.kv_heads, gpu.properties.num_multiprocessors);
    let sums = u64::from(count * heads.q_heads * parts);
    let partial = zeros::<f32>(&gpu.stream, sums * u64::from(heads.head_dim))?;
    let stats = zeros::<f32>(&gpu.stream, 2 * sums)?;
    let contexts = bench.indices(&layout.contexts)?;
    let (seconds, bytes) = attended(bench, block_size, &layout, kv_cache, |cache, out| {
        let [partial, stats] = [&partial, &stats].map(|buffer| address::<f32>(buffer, &gpu.stream));
        let places = [out, partial, stats, bench.index_at(&contexts)];
        bench.operators.decode_attention(cache, places, count, parts)
    })?;
    let copied = gpu.properties.copy_bytes_per_s;
    Ok(verdict::decode_line((count, context), bytes / seconds, copied))
}

fn prompt(bench: &Bench<'_>, block_size: u32, kv_cache: Storage) -> Result<String> {
    let heads = bench.operators.heads;
    let layout = Layout::new(&composition(&[(PROMPT, 0)], 0, 0), block_size, &[]);
    let tiles = bench.indices(layout.tiles.as_flattened())?;
    let num_tiles = u32::try_from(layout.tiles.len())?;
    let (seconds, _) = attended(bench, block_size, &layout, kv_cache, |cache, out| {
        bench.operators.prefill_attention(cache, [out, bench.index_at(&tiles)], num_tiles)
    })?;
    // Logits and values, a multiplication and an addition each, of every token and those before it.
    let pairs = f64::from(PROMPT) * f64::from(PROMPT) / 2.0;
    let rate = 4.0 * pairs * f64::from(heads.q_heads * heads.head_dim) / seconds / 1e12;
    Ok(format!("prefill_attention, {PROMPT} tokens: {rate:.0} TFLOP/s"))
}

/// Mean seconds of attention over a cache of zeros, and the bytes of the requests' keys and values.
fn attended(
    bench: &Bench<'_>,
    block_size: u32,
    layout: &Layout,
    kv_cache: Storage,
    mut launch: impl FnMut(Cache, u64) -> Result<()>,
) -> Result<(f64, f64)> {
    let (gpu, heads) = (bench.gpu, bench.operators.heads);
    let num_reqs = u32::try_from(layout.starts.len())?;
    let num_rows = u64::try_from(layout.positions.len())?;
    let tokens: u64 = layout
        .last_rows
        .iter()
        .filter_map(|&row| layout.positions.get(usize::try_from(row).ok()?))
        .map(|&position| u64::from(position.unsigned_abs()) + 1)
        .sum();
    let num_blocks = u32::try_from(tokens.div_ceil(u64::from(block_size)))? + num_reqs;
    let width = u64::from(heads.kv_heads * heads.head_dim);
    let slots = u64::from(num_blocks) * u64::from(block_size) * width;
    let num_bytes = kv_cache.num_bytes() * slots;
    let (keys, values) = (zeros::<u8>(&gpu.stream, num_bytes)?, zeros::<u8>(&gpu.stream, num_bytes)?);
    let q_width = u64::from(heads.q_heads * heads.head_dim);
    let (qkv, out) =
        (zeros::<u16>(&gpu.stream, num_rows * (q_width + 2 * width))?, zeros::<u16>(&gpu.stream, num_rows * q_width)?);
    let tables = zeros::<i32>(&gpu.stream, u64::from(num_reqs * heads.table_width))?;
    let starts = bench.indices(&layout.starts)?;
    bench.operators.fill_tables(bench.index_at(&tables), bench.index_at(&starts), num_reqs, num_blocks)?;
    let [qkv, out] = [&qkv, &out].map(|buffer| address::<u16>(buffer, &gpu.stream));
    let [keys, values] = [&keys, &values].map(|buffer| address::<u8>(buffer, &gpu.stream));
    let cache = Cache { qkv, keys, values, tables: bench.index_at(&tables) };
    let seconds = seconds(gpu, |_| launch(cache, out))?;
    Ok((seconds, (2 * kv_cache.num_bytes() * tokens * width) as f64))
}
