//! The kernels of attention and of the KV cache against the references.
//!
//! Requests' blocks are scattered over a small cache. New keys and values go there through the kernel that passes use;
//! what is compared then is read through the tables once more, on the processor.

use anyhow::{Result, ensure};

use super::check::{Bench, KernelCheck, Numbers};
use super::check_fp8::scales;
use super::launcher::address;
use super::memory::zeros;
use super::operators::{Cache, Heads, THETA};
use crate::cuda::layout::{Layout, block_stride};
use crate::cuda::number::Storage;
use crate::cuda::reference::{self, Context};
use crate::cuda::shape::Shape;
use crate::measure::limits::composition;

const NUM_BLOCKS: u32 = 101;

pub(super) fn check(bench: &mut Bench<'_>, block_size: u32, shape: &Shape) -> Result<Vec<KernelCheck>> {
    // More tokens than a tile, not a multiple of one; prompts with and without earlier tokens; one token alone.
    let mixed = Layout::new(&composition(&[(70, 37), (1, 0), (130, 0)], 3, 3 * 95), block_size, &[256]);
    let decodes = Layout::new(&composition(&[], 5, 777), block_size, &[8]);
    let mut checks = vec![];
    for (layout, num_parts) in [(&mixed, 1), (&decodes, 1), (&decodes, 7), (&decodes, 32)] {
        checks.extend(check_layout(bench, block_size, layout, num_parts, shape)?);
    }
    Ok(checks)
}

/// The cache and the rows of one pass.
struct Trial {
    cache: Cache,
    qkv: Numbers,
    keys: Numbers,
    values: Numbers,
    /// Of the rows of `qkv`; 1 where they have none.
    scales: Vec<f64>,
    tables: Vec<i32>,
    block_size: usize,
}

impl Trial {
    /// Whether a number of the cache is what was to be kept: in e4m3 half a step off, in 16 bits a rounding.
    fn is_kept(&self, bench: &Bench<'_>, cached: f64, wanted: f64) -> bool {
        let kv_scale = f64::from(bench.operators.kv_scale);
        let allowed = match self.keys.storage() {
            Storage::Fp8 => 1.01 * f64::max(wanted.abs() / 16.0, kv_scale / 1024.0),
            // 2^-25 is half of float16's smallest step.
            Storage::Half => f64::max(bench.format.epsilon() * wanted.abs() / 2.0, (-25_f64).exp2()),
        };
        (cached * kv_scale - wanted).abs() <= allowed
    }

    /// A request's keys or values in order, as the device has them.
    fn of_request(&self, cache: &[f64], request: usize, len: usize, heads: Heads) -> Vec<f64> {
        let width = (heads.kv_heads * heads.head_dim) as usize;
        let slot = |token: usize| {
            let block = self.tables[request * heads.table_width as usize + token / self.block_size];
            usize::try_from(block).unwrap_or(0) * self.block_size + token % self.block_size
        };
        (0..len).flat_map(|token| cache[slot(token) * width..(slot(token) + 1) * width].iter().copied()).collect()
    }
}

fn check_layout(
    bench: &mut Bench<'_>,
    block_size: u32,
    layout: &Layout,
    num_parts: u32,
    shape: &Shape,
) -> Result<Vec<KernelCheck>> {
    let heads = bench.operators.heads;
    let num_rows = u32::try_from(layout.positions.len())?;
    let num_decodes = u32::try_from(layout.contexts.len())?;
    let num_tiles = u32::try_from(layout.tiles.len())?;
    let slots = (NUM_BLOCKS * block_size * heads.kv_heads * heads.head_dim) as usize;
    let row_width = ((heads.q_heads + 2 * heads.kv_heads) * heads.head_dim) as usize;
    let out = bench.random_numbers(num_rows as usize * (heads.q_heads * heads.head_dim) as usize)?;
    let qkv = bench.random_numbers(num_rows as usize * row_width)?;
    let mut cache = || bench.random_stored(shape.kv_cache, slots);
    let (keys, values) = (cache()?, cache()?);
    let row_scales: Vec<f32> = (0..num_rows).map(|row| [1.5, 0.75, 2.0][row as usize % 3]).collect();
    let is_scaled = shape.linear == Storage::Fp8;
    let of_rows = scales(bench, &row_scales)?;
    let scales_at = if is_scaled { of_rows.at } else { 0 };
    let index = |numbers: &[i32]| bench.indices(if numbers.is_empty() { &[0] } else { numbers });
    let (positions, requests) = (index(&layout.positions)?, index(&layout.requests)?);
    let (contexts, starts) = (index(&layout.contexts)?, index(&layout.starts)?);
    let tiles = index(layout.tiles.as_flattened())?;
    let tables = index(&vec![-1; layout.starts.len() * heads.table_width as usize])?;
    bench.operators.fill_tables(
        bench.index_at(&tables),
        bench.index_at(&starts),
        u32::try_from(layout.starts.len())?,
        NUM_BLOCKS,
    )?;
    let on_host = bench.gpu.stream.clone_dtoh(&tables)?;
    bench.gpu.stream.synchronize()?;
    ensure!(on_host == expected_tables(layout, heads.table_width), "fill_tables gives other blocks");
    let cache = Cache { qkv: qkv.at, keys: keys.at, values: values.at, tables: bench.index_at(&tables) };
    let scales = row_scales.into_iter().map(|scale| if is_scaled { f64::from(scale) } else { 1.0 }).collect();
    let trial = Trial { cache, qkv, keys, values, scales, tables: on_host, block_size: block_size as usize };
    let rows = [bench.index_at(&positions), bench.index_at(&requests)];
    bench.operators.rope_and_cache(trial.cache, [scales_at; 2], rows, num_rows)?;
    let parts = u64::from(num_parts) * u64::from(num_decodes * heads.q_heads);
    let partial = zeros::<f32>(&bench.gpu.stream, parts * u64::from(heads.head_dim))?;
    let stats = zeros::<f32>(&bench.gpu.stream, 2 * parts)?;
    let [partial, stats] = [&partial, &stats].map(|buffer| address::<f32>(buffer, &bench.gpu.stream));
    if num_decodes > 0 {
        let places = [out.at, partial, stats, bench.index_at(&contexts)];
        bench.operators.decode_attention(trial.cache, places, num_decodes, num_parts)?;
    }
    if num_tiles > 0 {
        bench.operators.prefill_attention(trial.cache, [out.at, bench.index_at(&tiles)], num_tiles)?;
    }
    // The buffers live until the device is done with them.
    bench.gpu.stream.synchronize()?;
    Ok(vec![check_rope(bench, &trial, layout)?, check_attended(bench, &trial, layout, &out)?])
}

fn expected_tables(layout: &Layout, width: u32) -> Vec<i32> {
    let stride = block_stride(u64::from(NUM_BLOCKS));
    let block = |logical: u64| i32::try_from(logical % u64::from(NUM_BLOCKS) * stride % u64::from(NUM_BLOCKS));
    let of_request = |&start: &i32| {
        let start = u64::try_from(start).unwrap_or(0);
        (0..u64::from(width)).map(move |j| block(start + j).unwrap_or(-1))
    };
    layout.starts.iter().flat_map(of_request).collect()
}

/// Rotated queries and keys in their row, keys and values in the cache.
fn check_rope(bench: &Bench<'_>, trial: &Trial, layout: &Layout) -> Result<KernelCheck> {
    let heads = bench.operators.heads;
    let (head_dim, num_turned) = (heads.head_dim as usize, (heads.q_heads + heads.kv_heads) as usize);
    let row_width = trial.qkv.values.len() / layout.positions.len();
    let mut expect = vec![];
    let rows = trial.qkv.values.chunks(row_width).zip(&trial.scales);
    for ((row, scale), &position) in rows.zip(&layout.positions) {
        for (head, numbers) in row.chunks(head_dim).enumerate() {
            let turned = reference::rope(numbers, u32::try_from(position)?, THETA);
            let turned: Vec<f64> = turned.into_iter().map(|x| x * scale).collect();
            expect.extend(if head < num_turned { turned } else { numbers.to_vec() });
        }
    }
    let got = bench.read(&trial.qkv)?;
    let (keys, values) = (bench.read(&trial.keys)?, bench.read(&trial.values)?);
    for (row, (&request, &position)) in layout.requests.iter().zip(&layout.positions).enumerate() {
        let Ok(request) = usize::try_from(request) else { continue };
        let (position, width) = (usize::try_from(position)?, (heads.kv_heads * heads.head_dim) as usize);
        let new = &got[row * row_width + (heads.q_heads * heads.head_dim) as usize..(row + 1) * row_width];
        // Keys are scaled by what turned them; values still have to be.
        for (cache, new, scale) in [(&keys, &new[..width], 1.0), (&values, &new[width..], trial.scales[row])] {
            let all = trial.of_request(cache, request, position + 1, heads);
            let is_kept = |(cached, new): (&f64, &f64)| trial.is_kept(bench, *cached, new * scale);
            let are_kept = all[position * width..].iter().zip(new).all(is_kept);
            ensure!(are_kept, "rope_and_cache wrote something else to the cache");
        }
    }
    bench.compare("rope_and_cache", &got, &expect)
}

/// Attention's output of every row that is no padding.
fn check_attended(bench: &Bench<'_>, trial: &Trial, layout: &Layout, out: &Numbers) -> Result<KernelCheck> {
    let heads = bench.operators.heads;
    let (head_dim, q_heads) = (heads.head_dim as usize, heads.q_heads as usize);
    let [qkv, keys, values] = [&trial.qkv, &trial.keys, &trial.values].map(|numbers| bench.read(numbers));
    let (qkv, got) = (qkv?, bench.read(out)?);
    let kv_scale = f64::from(bench.operators.kv_scale);
    let [keys, values] = [keys?, values?].map(|cache| cache.into_iter().map(|x| x * kv_scale).collect::<Vec<f64>>());
    let row_width = qkv.len() / layout.positions.len();
    let (mut expect, mut attended) = (vec![], vec![]);
    for (row, (&request, &position)) in layout.requests.iter().zip(&layout.positions).enumerate() {
        let Ok(request) = usize::try_from(request) else { continue };
        let num_seen = usize::try_from(position)? + 1;
        let of_request = |cache: &[f64]| trial.of_request(cache, request, num_seen, heads);
        let (keys, values) = (of_request(&keys), of_request(&values));
        let context = Context { keys: &keys, values: &values, kv_heads: heads.kv_heads as usize, head_dim };
        for head in 0..q_heads {
            let query = &qkv[row * row_width + head * head_dim..][..head_dim];
            let kv_head = head * heads.kv_heads as usize / q_heads;
            expect.extend(reference::attention(query, context, kv_head, num_seen));
        }
        attended.extend(&got[row * q_heads * head_dim..(row + 1) * q_heads * head_dim]);
    }
    let name = if layout.tiles.is_empty() { "decode_attention" } else { "decode_attention, prefill_attention" };
    bench.compare(name, &attended, &expect)
}
