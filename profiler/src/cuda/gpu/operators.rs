//! The operators other than products, each with its grid: launched by passes and by the check alike.

use std::sync::Arc;

use anyhow::{Result, ensure};
use cudarc::driver::CudaStream;

use super::launcher::Argument::{Count, Float, Int, Pointer};
use super::launcher::{Address, Launcher};
use crate::cuda::kernels::Kernel;
use crate::cuda::layout::block_stride;

/// Added to the mean square before its root.
pub(crate) const EPS: f32 = 1e-5;
/// Base of the rotation's angles; it makes no difference to the time.
pub(crate) const THETA: f64 = 10_000.0;

/// Sizes of heads and of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heads {
    pub(crate) q_heads: u32,
    pub(crate) kv_heads: u32,
    pub(crate) head_dim: u32,
    /// Entries of a request's block table.
    pub(crate) table_width: u32,
}

/// Where queries, keys and values are, and how to find a request's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cache {
    pub(crate) qkv: Address,
    pub(crate) keys: Address,
    pub(crate) values: Address,
    pub(crate) tables: Address,
}

/// Where the input of a product goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// In 16 bits.
    Half(Address),
    /// In e4m3, with a scale for each row. The product is to be multiplied by them when it is read.
    Fp8 { numbers: Address, scales: Address },
}

impl Input {
    pub(crate) const fn at(self) -> Address {
        match self {
            Self::Half(at) | Self::Fp8 { numbers: at, .. } => at,
        }
    }

    /// Of its rows; 0 if they have none.
    pub(crate) const fn scales(self) -> Address {
        match self {
            Self::Half(_) => 0,
            Self::Fp8 { scales, .. } => scales,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Operators {
    pub(crate) launcher: Launcher,
    pub(crate) stream: Arc<CudaStream>,
    pub(crate) heads: Heads,
    /// What keys and values in e4m3 are to be multiplied by; 1 where they are in 16 bits.
    pub(crate) kv_scale: f32,
}

fn int(count: u32) -> super::launcher::Argument {
    Int(i32::try_from(count).unwrap_or(i32::MAX))
}

impl Operators {
    /// The logits' factor, in units of log 2, with that of the keys.
    fn scale(&self) -> super::launcher::Argument {
        let scale = f64::from(self.kv_scale) * std::f64::consts::LOG2_E / f64::from(self.heads.head_dim).sqrt();
        #[expect(clippy::cast_possible_truncation, reason = "a factor below 1")]
        let scale = scale as f32;
        Float(scale)
    }

    /// Gives `num_reqs` requests their blocks.
    pub(crate) fn fill_tables(&self, tables: Address, starts: Address, num_reqs: u32, num_blocks: u32) -> Result<()> {
        let width = self.heads.table_width;
        let num_blocks = u64::from(num_blocks);
        let arguments =
            [Pointer(tables), Pointer(starts), int(width), Count(block_stride(num_blocks)), Count(num_blocks)];
        self.launcher.launch(Kernel::FillTables, [width.div_ceil(128), num_reqs, 1], 128, &arguments)
    }

    /// Rows of the embedding.
    pub(crate) fn embed(&self, [out, table, ids]: [Address; 3], num_rows: u32, hidden: u32) -> Result<()> {
        let arguments = [Pointer(out), Pointer(table), Pointer(ids), int(hidden)];
        self.launcher.launch(Kernel::Embed, [num_rows, 1, 1], 128, &arguments)
    }

    /// Chosen rows, one after the other.
    pub(crate) fn gather(&self, [out, input, rows]: [Address; 3], num_rows: u32, hidden: u32) -> Result<()> {
        let arguments = [Pointer(out), Pointer(input), Pointer(rows), int(hidden)];
        self.launcher.launch(Kernel::GatherRows, [num_rows, 1, 1], 128, &arguments)
    }

    /// Adds `addend` to the residual stream, if there is one (0 otherwise), and norms it. Rows of the addend are
    /// multiplied by `scales` before, unless that is 0.
    pub(crate) fn norm(
        &self,
        out: Input,
        [residual, addend, scales, weight]: [Address; 4],
        num_rows: u32,
        hidden: u32,
    ) -> Result<()> {
        let (kernel, outs) = match out {
            Input::Half(out) => (Kernel::AddRmsNorm, vec![Pointer(out)]),
            Input::Fp8 { numbers, scales } => (Kernel::AddRmsNormFp8, vec![Pointer(numbers), Pointer(scales)]),
        };
        let pointers = [residual, addend, scales, weight].map(Pointer);
        let arguments = [&outs[..], &pointers, &[int(hidden), Float(EPS)]].concat();
        self.launcher.launch(kernel, [num_rows, 1, 1], 256, &arguments)
    }

    /// Rows of 16 bits as the input of a product: copied to e4m3, if that is where it goes.
    pub(crate) fn quantize(&self, out: Input, rows: Address, num_rows: u32, width: u32) -> Result<()> {
        let Input::Fp8 { numbers, scales } = out else { return Ok(()) };
        ensure!(width.is_multiple_of(8), "{width} numbers in a row: eight are read at a time");
        let arguments = [Pointer(numbers), Pointer(scales), Pointer(rows), int(width)];
        self.launcher.launch(Kernel::QuantizeRows, [num_rows, 1, 1], 256, &arguments)
    }

    /// Norms query and key heads one by one; their rows are multiplied by `scales` before, unless that is 0.
    pub(crate) fn qk_norm(&self, [qkv, scales, of_queries, of_keys]: [Address; 4], num_rows: u32) -> Result<()> {
        let Heads { q_heads, kv_heads, .. } = self.heads;
        let pointers = [qkv, scales, of_queries, of_keys].map(Pointer);
        let arguments = [&pointers[..], &[int(q_heads), int(kv_heads), Float(EPS)]].concat();
        self.launcher.launch(Kernel::QkNorm, [num_rows, q_heads + kv_heads, 1], 32, &arguments)
    }

    /// Rotates queries and keys and writes keys and values to the cache. Rows of queries and keys, and those of values,
    /// are multiplied by `scales` before, unless that is 0.
    pub(crate) fn rope_and_cache(
        &self,
        cache: Cache,
        scales: [Address; 2],
        [positions, requests]: [Address; 2],
        num_rows: u32,
    ) -> Result<()> {
        let Heads { q_heads, kv_heads, table_width, .. } = self.heads;
        #[expect(clippy::cast_possible_truncation, reason = "a logarithm below 20")]
        let log2_theta = THETA.log2() as f32;
        let arguments = [
            Pointer(cache.qkv),
            Pointer(scales[0]),
            Pointer(scales[1]),
            Pointer(cache.keys),
            Pointer(cache.values),
            Pointer(positions),
            Pointer(requests),
            Pointer(cache.tables),
            int(table_width),
            int(q_heads),
            int(kv_heads),
            Float(log2_theta),
            Float(self.kv_scale),
        ];
        self.launcher.launch(Kernel::RopeAndCache, [num_rows, 1, 1], 256, &arguments)
    }

    /// Attention of the first `num_decodes` requests and rows: `[out, partial, stats, contexts]`.
    pub(crate) fn decode_attention(
        &self,
        cache: Cache,
        [out, partial, stats, contexts]: [Address; 4],
        num_decodes: u32,
        num_parts: u32,
    ) -> Result<()> {
        let Heads { q_heads, kv_heads, head_dim, table_width } = self.heads;
        let arguments = [
            Pointer(partial),
            Pointer(stats),
            Pointer(cache.qkv),
            Pointer(cache.keys),
            Pointer(cache.values),
            Pointer(cache.tables),
            Pointer(contexts),
            int(table_width),
            int(kv_heads),
            self.scale(),
            Float(self.kv_scale),
        ];
        self.launcher.launch(Kernel::DecodeAttention, [num_parts, kv_heads, num_decodes], 128, &arguments)?;
        let arguments = [Pointer(out), Pointer(partial), Pointer(stats), int(num_parts)];
        self.launcher.launch(Kernel::MergeParts, [q_heads, num_decodes, 1], head_dim, &arguments)
    }

    /// Attention of prompt parts, whose keys and values are in the cache.
    pub(crate) fn prefill_attention(&self, cache: Cache, [out, tiles]: [Address; 2], num_tiles: u32) -> Result<()> {
        let Heads { q_heads, kv_heads, table_width, .. } = self.heads;
        let arguments = [
            Pointer(out),
            Pointer(cache.qkv),
            Pointer(cache.keys),
            Pointer(cache.values),
            Pointer(cache.tables),
            Pointer(tiles),
            int(table_width),
            int(q_heads),
            int(kv_heads),
            self.scale(),
            Float(self.kv_scale),
        ];
        self.launcher.launch(Kernel::PrefillAttention, [num_tiles, q_heads, 1], 128, &arguments)
    }

    /// The activation of the MLP. Rows in e4m3 come of rows that are to be multiplied by `scales` before.
    pub(crate) fn silu_and_mul(
        &self,
        out: Input,
        [gate_up, scales]: [Address; 2],
        num_rows: u32,
        intermediate: u32,
    ) -> Result<()> {
        ensure!(intermediate.is_multiple_of(8), "{intermediate} numbers in a row: eight are read at a time");
        match out {
            Input::Half(out) => {
                let arguments = [Pointer(out), Pointer(gate_up), int(intermediate)];
                self.launcher.launch(Kernel::SiluAndMul, [num_rows, intermediate.div_ceil(2048), 1], 256, &arguments)
            }
            Input::Fp8 { numbers, scales: of_rows } => {
                let pointers = [numbers, of_rows, gate_up, scales].map(Pointer);
                let arguments = [&pointers[..], &[int(intermediate)]].concat();
                self.launcher.launch(Kernel::SiluAndMulFp8, [num_rows, 1, 1], 512, &arguments)
            }
        }
    }

    /// The token with the largest logit of each row.
    pub(crate) fn argmax(&self, [out, logits]: [Address; 2], num_rows: u32, vocab: u32) -> Result<()> {
        self.launcher.launch(Kernel::Argmax, [num_rows, 1, 1], 1024, &[Pointer(out), Pointer(logits), int(vocab)])
    }
}
