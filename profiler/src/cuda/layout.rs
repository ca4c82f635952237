//! Where the tokens of a pass lie: what the kernels are told beside the model's sizes.
//!
//! Decodes come first, one row each, then the prompt parts, then padding up to the CUDA graph. Requests are numbered in
//! the same order.

use sim_core::batch::BatchComposition;

/// New tokens that a block of threads of `prefill_attention` takes.
pub(crate) const TILE: u32 = 64;
/// Most parts that a decode's context is divided into.
const MAX_PARTS: u32 = 32;
/// Blocks of threads that each multiprocessor is to get of a decode's attention.
const BLOCKS_PER_MULTIPROCESSOR: u32 = 4;

/// The contents of the index buffers; numbers are 32 bits wide and signed, as the kernels read them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Of each row; 0 for padding.
    pub(crate) positions: Vec<i32>,
    /// Of each row; -1 for padding.
    pub(crate) requests: Vec<i32>,
    /// Tokens that each decode attends to.
    pub(crate) contexts: Vec<i32>,
    /// First row, rows, position of the first row, request.
    pub(crate) tiles: Vec<[i32; 4]>,
    /// KV blocks that the requests before have together.
    pub(crate) starts: Vec<i32>,
    /// The last row of each request, whose logits are computed.
    pub(crate) last_rows: Vec<i32>,
}

/// All that decides which operators a pass has and over how many threads: passes with the same key share a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LaunchKey {
    /// Rows, padding included.
    pub(crate) num_rows: u32,
    pub(crate) num_reqs: u32,
    pub(crate) num_decodes: u32,
    /// Parts of each decode's context.
    pub(crate) num_parts: u32,
    pub(crate) num_tiles: u32,
}

/// Parts of the context of each of `num_decodes` requests: as many as keep the device busy, few where it is anyway.
pub(crate) fn num_parts(num_decodes: u32, kv_heads: u32, num_multiprocessors: u32) -> u32 {
    let wanted = BLOCKS_PER_MULTIPROCESSOR * num_multiprocessors;
    wanted.div_ceil((num_decodes * kv_heads).max(1)).clamp(1, MAX_PARTS)
}

/// Most parts of all decodes of a pass together.
pub(crate) fn max_parts(max_num_seqs: u32, kv_heads: u32, num_multiprocessors: u32) -> u32 {
    max_num_seqs + (BLOCKS_PER_MULTIPROCESSOR * num_multiprocessors).div_ceil(kv_heads.max(1))
}

impl Layout {
    /// Of a pass, with tokens padded to the smallest of `capture_sizes` (ascending) that holds them.
    pub(crate) fn new(batch: &BatchComposition, block_size: u32, capture_sizes: &[u32]) -> Self {
        let mut layout = Self::default();
        let mut num_blocks = 0;
        for decode in 0..batch.num_decodes {
            let context = context_of(batch, decode);
            layout.contexts.push(signed(context));
            layout.push_request(1, context - 1, block_size, &mut num_blocks);
        }
        for chunk in &batch.prefill_chunks {
            let request = signed_len(&layout.starts);
            for first in (0..chunk.num_tokens).step_by(TILE as usize) {
                let row = signed_len(&layout.positions) + signed(first);
                let num_rows = TILE.min(chunk.num_tokens - first);
                let position = chunk.num_computed_tokens + first;
                layout.tiles.push([row, signed(num_rows), signed(position), request]);
            }
            layout.push_request(chunk.num_tokens, chunk.num_computed_tokens, block_size, &mut num_blocks);
        }
        let num_tokens = batch.num_tokens();
        let padded = capture_sizes.iter().copied().find(|&size| size >= num_tokens).unwrap_or(num_tokens);
        layout.positions.resize(padded as usize, 0);
        layout.requests.resize(padded as usize, -1);
        layout
    }

    /// What the pass's graph depends on.
    pub(crate) fn key(&self, kv_heads: u32, num_multiprocessors: u32) -> LaunchKey {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let num_decodes = count(self.contexts.len());
        LaunchKey {
            num_rows: count(self.positions.len()),
            num_reqs: count(self.starts.len()),
            num_decodes,
            num_parts: num_parts(num_decodes, kv_heads, num_multiprocessors),
            num_tiles: count(self.tiles.len()),
        }
    }

    fn push_request(&mut self, num_tokens: u32, num_computed_tokens: u32, block_size: u32, num_blocks: &mut u32) {
        let request = signed_len(&self.starts);
        self.starts.push(signed(*num_blocks));
        *num_blocks += (num_computed_tokens + num_tokens).div_ceil(block_size);
        self.positions.extend((0..num_tokens).map(|token| signed(num_computed_tokens + token)));
        self.requests.resize(self.positions.len(), request);
        self.last_rows.push(signed_len(&self.positions) - 1);
    }
}

/// Tokens that a decode attends to: the pass only knows their sum.
fn context_of(batch: &BatchComposition, decode: u32) -> u32 {
    let num_decodes = u64::from(batch.num_decodes.max(1));
    let (each, more) = (batch.decode_context_tokens / num_decodes, batch.decode_context_tokens % num_decodes);
    u32::try_from(each + u64::from(u64::from(decode) < more)).unwrap_or(u32::MAX).max(1)
}

/// Counts are below 2^26 (`Profile::validate`).
fn signed(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn signed_len<T>(list: &[T]) -> i32 {
    i32::try_from(list.len()).unwrap_or(i32::MAX)
}

/// A step from block to block that visits all `num_blocks` of them and is never the next one: about 0.62 of them, with
/// no common divisor.
pub(crate) fn block_stride(num_blocks: u64) -> u64 {
    let golden = num_blocks / 1000 * 618 + num_blocks % 1000 * 618 / 1000;
    let has_no_divisor = |&stride: &u64| greatest_common_divisor(stride, num_blocks) == 1;
    (golden.max(1)..num_blocks.max(2)).find(has_no_divisor).unwrap_or(1)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::{Layout, TILE, block_stride, max_parts, num_parts};
    use crate::measure::limits::composition;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_has_its_request_and_position() {
        let layout = Layout::new(&composition(&[(70, 32), (3, 0)], 2, 41), 16, &[]);
        assert_eq!(layout.contexts, [21, 20]);
        assert_eq!(layout.positions[..4], [20, 19, 32, 33]);
        assert_eq!(layout.positions[72..], [0, 1, 2]);
        assert_eq!((layout.requests[1], layout.requests[71], layout.requests[74]), (1, 2, 3));
        assert_eq!(layout.tiles, [[2, 64, 32, 2], [66, 6, 96, 2], [72, 3, 0, 3]]);
        assert_eq!((layout.starts, layout.last_rows), (vec![0, 2, 4, 11], vec![0, 1, 71, 74]));
    }

    #[test]
    fn rows_are_padded_to_the_graph_and_to_nothing_beyond_it() {
        let rows = |num_decodes: u32| {
            let layout = Layout::new(&composition(&[], num_decodes, u64::from(num_decodes) * 9), 16, &[1, 2, 4, 8]);
            assert_eq!(layout.requests.iter().filter(|&&request| request >= 0).count(), num_decodes as usize);
            layout.key(8, 132).num_rows
        };
        assert_eq!([1, 3, 8, 9].map(rows), [1, 4, 8, 9]);
    }

    #[test]
    fn tiles_cover_every_new_token_of_prompts_once() {
        let layout = Layout::new(&composition(&[(TILE, 0), (TILE + 1, 16), (1, 0)], 0, 0), 16, &[]);
        let covered: Vec<i32> = layout.tiles.iter().flat_map(|tile| tile[0]..tile[0] + tile[1]).collect();
        assert_eq!(covered, (0..130).collect::<Vec<i32>>());
    }

    #[test]
    fn few_decodes_are_divided_and_many_are_not() {
        assert_eq!([1, 8, 64, 256].map(|decodes| num_parts(decodes, 8, 132)), [32, 9, 2, 1]);
        for max_num_seqs in [1, 7, 300] {
            let most = (1..=max_num_seqs).map(|decodes| decodes * num_parts(decodes, 8, 132)).max().unwrap_or(0);
            assert!(most <= max_parts(max_num_seqs, 8, 132), "{max_num_seqs}: {most}");
        }
    }

    #[test]
    fn the_stride_visits_every_block() {
        for num_blocks in [1, 2, 3, 10, 24, 1001, 4096] {
            let stride = block_stride(num_blocks);
            let visited: BTreeSet<u64> = (0..num_blocks).map(|i| i * stride % num_blocks).collect();
            assert_eq!(visited.len() as u64, num_blocks);
        }
    }
}
