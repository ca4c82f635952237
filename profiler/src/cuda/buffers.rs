//! What lies in the device's memory beside weights and keys and values: counted before anything is allocated.

use super::layout::max_parts;
use super::number::Storage;
use super::shape::Shape;

/// Bytes that cuBLASLt may use for a product.
pub(crate) const WORKSPACE_BYTES: u64 = 32 << 20;

/// Lengths of the buffers, in numbers of 16 bits, 32 bits (floats) and 32 bits (indices).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BufferSizes {
    /// Most rows of a pass.
    pub(crate) max_rows: u32,
    /// Most requests of a pass.
    pub(crate) max_num_seqs: u32,
    /// Entries of a request's block table.
    pub(crate) table_width: u32,
    /// Most parts of the decodes' contexts together.
    pub(crate) max_parts: u32,
}

impl BufferSizes {
    pub(crate) fn new(shape: &Shape, max_rows: u32, max_num_seqs: u32, table_width: u32, multiprocessors: u32) -> Self {
        Self {
            max_rows,
            max_num_seqs,
            table_width,
            max_parts: max_parts(max_num_seqs, shape.kv_heads, multiprocessors),
        }
    }

    /// Numbers of 16 bits: residual stream, normed rows, output of a product; queries, keys and values; attention's
    /// output; gate and up; their product, unless it is in 8 bits at once; the rows that get logits; logits.
    pub(crate) fn activations(&self, shape: &Shape) -> [u64; 9] {
        let rows = u64::from(self.max_rows);
        let of_rows = |width: u32| rows * u64::from(width);
        let of_requests = |width: u32| u64::from(self.max_num_seqs) * u64::from(width);
        [
            of_rows(shape.hidden),
            of_rows(shape.hidden),
            of_rows(shape.hidden),
            of_rows(shape.qkv_width()),
            of_rows(shape.q_heads * shape.head_dim),
            of_rows(2 * shape.intermediate),
            if shape.linear == Storage::Half { of_rows(shape.intermediate) } else { 0 },
            of_requests(shape.hidden),
            // All of the vocabulary: what the other ranks have of it is gathered, though not here.
            of_requests(shape.vocab.max(shape.vocab_per_rank)),
        ]
    }

    /// Of products in 8 bits: numbers of 8 bits, and floats, the scales of rows.
    pub(crate) fn quantized(&self, shape: &Shape) -> [u64; 2] {
        let widest = shape.layer_matrices().iter().map(|matrix| matrix.columns).max().unwrap_or(0);
        let rows = u64::from(self.max_rows);
        if shape.linear == Storage::Fp8 { [rows * u64::from(widest), rows] } else { [0, 0] }
    }

    /// Floats: sums of the parts of contexts, and their largest logits and sums of exponentials.
    pub(crate) fn partials(&self, shape: &Shape) -> [u64; 2] {
        let parts = u64::from(self.max_parts) * u64::from(shape.q_heads);
        [parts * u64::from(shape.head_dim), 2 * parts]
    }

    /// Indices: block tables; everything else that has a row, a request or a tile.
    pub(crate) fn indices(&self) -> [u64; 2] {
        let (rows, requests) = (u64::from(self.max_rows), u64::from(self.max_num_seqs));
        [requests * u64::from(self.table_width), 3 * rows + 4 * (rows + requests) + 4 * requests]
    }

    /// All of it in bytes.
    pub(crate) fn bytes(&self, shape: &Shape) -> u64 {
        let halves: u64 = self.activations(shape).iter().sum();
        let words: u64 = self.partials(shape).iter().chain(&self.indices()).sum();
        let [eighths, scales] = self.quantized(shape);
        2 * halves + 4 * words + eighths + 4 * scales + WORKSPACE_BYTES
    }
}
