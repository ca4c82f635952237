//! Attention alone: whole prompts, and requests with one new token, over random keys and values in scattered blocks.

use anyhow::Result;
use cudarc::driver::CudaSlice;

use super::alone::{COLD_BYTES, GpuTimer};
use super::launcher::{Address, address};
use super::memory::{random, zeros};
use super::operators::{Cache, Heads};
use super::replay::{MOST_REPEATS, replayed_us};
use crate::cuda::alone::sites::{CONTEXTS, HeadCounts, PROMPTS, SEQS};
use crate::cuda::layout::{Layout, num_parts};
use crate::cuda::number::Storage;
use crate::cuda::start::BLOCK_SIZE;
use crate::measure::limits::composition;

/// Most bytes of keys and values of a layer: more is for no served model's batch.
const MOST_CACHE_BYTES: u64 = 8 << 30;

/// Random keys and values in blocks.
struct Pool {
    keys: CudaSlice<u8>,
    values: CudaSlice<u8>,
    num_blocks: u64,
}

impl Pool {
    fn new(timer: &GpuTimer, heads: HeadCounts, storage: Storage, num_blocks: u64) -> Result<Self> {
        let (launcher, stream) = (&timer.operators.launcher, &timer.gpu.stream);
        let count = num_blocks * u64::from(BLOCK_SIZE) * u64::from(heads.kv_heads * heads.head_dim);
        let [keys, values] = [1, 2].map(|seed| random(launcher, stream, storage, count, seed, 1.0));
        Ok(Self { keys: keys?, values: values?, num_blocks })
    }

    fn cache(&self, timer: &GpuTimer, qkv: Address, tables: Address) -> Cache {
        let [keys, values] = [&self.keys, &self.values].map(|buffer| address::<u8>(buffer, &timer.gpu.stream));
        Cache { qkv, keys, values, tables }
    }
}

/// Bytes of keys and values of a block.
fn block_bytes(heads: HeadCounts, storage: Storage) -> u64 {
    2 * storage.num_bytes() * u64::from(BLOCK_SIZE) * u64::from(heads.kv_heads * heads.head_dim)
}

/// Compiles the kernels and tells the operators of the heads.
fn prepare(timer: &mut GpuTimer, heads: HeadCounts, storage: Storage) -> Result<()> {
    timer.compile((heads.head_dim, heads.group(), storage))?;
    let HeadCounts { q_heads, kv_heads, head_dim } = heads;
    timer.operators.heads = Heads { q_heads, kv_heads, head_dim, table_width: 1 };
    Ok(())
}

/// Rows of queries, keys and values, and where attention's output goes.
fn rows(timer: &GpuTimer, heads: HeadCounts, num_rows: u32) -> Result<(CudaSlice<u8>, CudaSlice<u16>)> {
    let (launcher, stream) = (&timer.operators.launcher, &timer.gpu.stream);
    let width = |num_heads: u32| u64::from(num_rows) * u64::from(num_heads * heads.head_dim);
    let qkv = random(launcher, stream, Storage::Half, width(heads.q_heads + 2 * heads.kv_heads), 3, 1.0)?;
    Ok((qkv, zeros::<u16>(stream, width(heads.q_heads))?))
}

/// A time for each of [`PROMPTS`].
pub(super) fn prompts(timer: &mut GpuTimer, heads: HeadCounts, storage: Storage) -> Result<Vec<Option<f64>>> {
    prepare(timer, heads, storage)?;
    let longest = PROMPTS.into_iter().max().unwrap_or(0);
    let pool = Pool::new(timer, heads, storage, u64::from(longest.div_ceil(BLOCK_SIZE)))?;
    let (qkv, out) = rows(timer, heads, longest)?;
    let stream = timer.gpu.stream.clone();
    let (qkv_at, out_at) = (address::<u8>(&qkv, &stream), address::<u16>(&out, &stream));
    PROMPTS
        .into_iter()
        .map(|tokens| {
            let layout = Layout::new(&composition(&[(tokens, 0)], 0, 0), BLOCK_SIZE, &[]);
            let tiles = stream.clone_htod(layout.tiles.as_flattened())?;
            let starts = stream.clone_htod(&[0])?;
            let width = tokens.div_ceil(BLOCK_SIZE);
            let tables = zeros::<i32>(&stream, u64::from(width))?;
            let [tiles_at, starts_at, tables_at] =
                [&tiles, &starts, &tables].map(|buffer| address::<i32>(buffer, &stream));
            timer.operators.heads.table_width = width;
            timer.operators.fill_tables(tables_at, starts_at, 1, u32::try_from(pool.num_blocks)?)?;
            let cache = pool.cache(timer, qkv_at, tables_at);
            let num_tiles = u32::try_from(layout.tiles.len())?;
            let GpuTimer { operators, flushed, gpu, .. } = &mut *timer;
            let time =
                replayed_us(gpu, flushed, |_| operators.prefill_attention(cache, [out_at, tiles_at], num_tiles))?;
            // The buffers live until the device is done with them.
            stream.synchronize()?;
            Ok(Some(time))
        })
        .collect()
}

/// A time for each of [`SEQS`] and [`CONTEXTS`]; `None` where keys and values do not fit.
pub(super) fn decodes(timer: &mut GpuTimer, heads: HeadCounts, storage: Storage) -> Result<Vec<Option<f64>>> {
    prepare(timer, heads, storage)?;
    let most_bytes = MOST_CACHE_BYTES.min(timer.room()? / 2);
    let num_blocks = most_bytes / block_bytes(heads, storage);
    let pool = Pool::new(timer, heads, storage, num_blocks)?;
    let most_seqs = SEQS.into_iter().max().unwrap_or(0);
    let (qkv, out) = rows(timer, heads, most_seqs)?;
    let stream = timer.gpu.stream.clone();
    let places = [address::<u8>(&qkv, &stream), address::<u16>(&out, &stream)];
    let mut times = vec![];
    for num_seqs in SEQS {
        for context in CONTEXTS {
            let needed = u64::from(num_seqs) * u64::from(context.div_ceil(BLOCK_SIZE));
            let fits = needed <= num_blocks;
            times.push(if fits { Some(decode(timer, &pool, storage, places, [num_seqs, context])?) } else { None });
        }
    }
    Ok(times)
}

/// So many requests over so many tokens each. As layers have caches of their own, each launch reads other blocks, as far as
/// there are any and one after the other does not fit in a cache anyway.
fn decode(
    timer: &mut GpuTimer,
    pool: &Pool,
    storage: Storage,
    [qkv, out]: [Address; 2],
    [num_seqs, context]: [u32; 2],
) -> Result<f64> {
    let stream = timer.gpu.stream.clone();
    let Heads { q_heads, kv_heads, head_dim, .. } = timer.operators.heads;
    let width = context.div_ceil(BLOCK_SIZE);
    let needed = u64::from(num_seqs) * u64::from(width);
    let bytes = needed * block_bytes(HeadCounts { q_heads, kv_heads, head_dim }, storage);
    let num_sets = COLD_BYTES.div_ceil(bytes).clamp(1, MOST_REPEATS).min(pool.num_blocks / needed.max(1)).max(1);
    let table_len = u64::from(num_seqs) * u64::from(width);
    let tables = zeros::<i32>(&stream, num_sets * table_len)?;
    let tables_at = address::<i32>(&tables, &stream);
    timer.operators.heads.table_width = width;
    let mut all_starts = vec![];
    for set in 0..num_sets {
        let start = |request: u32| i32::try_from(set * needed + u64::from(request) * u64::from(width));
        let starts = stream.clone_htod(&(0..num_seqs).map(start).collect::<Result<Vec<i32>, _>>()?)?;
        let at = [tables_at + 4 * set * table_len, address::<i32>(&starts, &stream)];
        timer.operators.fill_tables(at[0], at[1], num_seqs, u32::try_from(pool.num_blocks)?)?;
        all_starts.push(starts);
    }
    let contexts = stream.clone_htod(&vec![i32::try_from(context)?; num_seqs as usize])?;
    let parts = num_parts(num_seqs, kv_heads, timer.gpu.properties.num_multiprocessors);
    let sums = u64::from(num_seqs) * u64::from(q_heads * parts);
    let partial = zeros::<f32>(&stream, sums * u64::from(head_dim))?;
    let stats = zeros::<f32>(&stream, 2 * sums)?;
    let [partial_at, stats_at] = [&partial, &stats].map(|buffer| address::<f32>(buffer, &stream));
    let places = [out, partial_at, stats_at, address::<i32>(&contexts, &stream)];
    let cache = pool.cache(timer, qkv, tables_at);
    let GpuTimer { operators, flushed, gpu, .. } = timer;
    let time = replayed_us(gpu, flushed, |repeat| {
        let cache = Cache { tables: tables_at + 4 * (repeat % num_sets) * table_len, ..cache };
        operators.decode_attention(cache, places, num_seqs, parts)
    })?;
    // The buffers live until the device is done with them.
    stream.synchronize()?;
    Ok(time)
}
