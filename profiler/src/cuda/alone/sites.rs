//! What is timed alone: sites, each an operator of one shape over counts that are the same for all, in the order of their
//! worth. When time runs out, the shapes of common models were timed in 16 bits first.

use std::fmt;

use crate::cuda::collectives::timed_sizes;
use crate::cuda::number::Storage;
use crate::cuda::shape::Matrix;

/// Rows of a product.
pub(crate) const ROWS: [u32; 22] =
    [1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 3072, 4096, 8192, 16384];
/// Tokens of a prompt.
pub(crate) const PROMPTS: [u32; 14] = [16, 32, 64, 128, 256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 16384];
/// Requests with one new token.
pub(crate) const SEQS: [u32; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
/// Tokens that each of them attends to.
pub(crate) const CONTEXTS: [u32; 12] = [2, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 32768, 131_072];
/// Bytes that are summed, and that each rank sends when all gather, at most.
pub(crate) const ALL_REDUCE_BYTES: u64 = 256 << 20;
pub(crate) const ALL_GATHER_BYTES: u64 = 64 << 20;
/// Most numbers of a result: more are no model's, and take long.
const MOST_RESULTS: u64 = 1 << 30;

/// Outputs and inputs of a layer of Llama-3.1-8B and of its logits, and a net that spans what other models have.
const FIRST_MATRICES: [(u32, u32); 17] = [
    (6144, 4096),
    (4096, 4096),
    (28_672, 4096),
    (4096, 14_336),
    (128_256, 4096),
    (512, 2048),
    (2048, 2048),
    (8192, 2048),
    (32_768, 2048),
    (2048, 8192),
    (8192, 8192),
    (32_768, 8192),
    (2048, 512),
    (8192, 512),
    (8192, 28_672),
    (131_072, 8192),
    (131_072, 2048),
];
/// A finer net, with the ranks' parts of the first.
const MORE_MATRICES: [(u32, u32); 22] = [
    (3072, 4096),
    (4096, 2048),
    (14_336, 4096),
    (4096, 7168),
    (64_128, 4096),
    (10_240, 8192),
    (57_344, 8192),
    (8192, 14_336),
    (1536, 4096),
    (1024, 1024),
    (4096, 1024),
    (16_384, 1024),
    (1024, 4096),
    (16_384, 4096),
    (1024, 16_384),
    (4096, 16_384),
    (16_384, 16_384),
    (256, 2048),
    (512, 8192),
    (512, 512),
    (2048, 5120),
    (5120, 2048),
];
/// Query heads, key heads, elements of a head: those of Llama 3 in 8 and 70 billion parameters on 1 to 8 ranks.
const FIRST_HEADS: [(u32, u32, u32); 8] =
    [(32, 8, 128), (16, 4, 128), (8, 2, 128), (4, 1, 128), (64, 8, 128), (32, 4, 128), (16, 2, 128), (8, 1, 128)];
/// Other groups, and narrow heads.
const MORE_HEADS: [(u32, u32, u32); 18] = [
    (40, 8, 128),
    (20, 4, 128),
    (5, 1, 128),
    (28, 4, 128),
    (7, 1, 128),
    (16, 8, 128),
    (2, 1, 128),
    (32, 32, 128),
    (8, 8, 128),
    (24, 8, 128),
    (3, 1, 128),
    (32, 8, 64),
    (4, 1, 64),
    (64, 8, 64),
    (8, 1, 64),
    (14, 2, 64),
    (7, 1, 64),
    (16, 16, 64),
];
/// GPUs that sum together.
const RANKS: [u32; 3] = [2, 4, 8];

/// Sizes of attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HeadCounts {
    pub(crate) q_heads: u32,
    pub(crate) kv_heads: u32,
    pub(crate) head_dim: u32,
}

impl HeadCounts {
    /// Query heads that share a key head.
    pub(crate) const fn group(self) -> u32 {
        self.q_heads / self.kv_heads
    }

    /// As packs have it: no window.
    pub(crate) fn sizes(self) -> Vec<u32> {
        vec![self.q_heads, self.kv_heads, self.head_dim, 0]
    }
}

/// An operator of one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Site {
    /// A product with weights and inputs kept so, over [`ROWS`].
    Product(Matrix, Storage),
    /// Attention of one whole prompt over a cache kept so, over [`PROMPTS`].
    Prompt(HeadCounts, Storage),
    /// Attention of requests with one new token, over [`SEQS`] and, for each, [`CONTEXTS`].
    Decode(HeadCounts, Storage),
    /// NCCL's all-reduce and then its all-gather between so many GPUs, over bytes.
    Collectives(u32),
}

impl Site {
    /// Times that it has.
    pub(crate) fn num_points(self) -> usize {
        match self {
            Self::Product(..) => ROWS.len(),
            Self::Prompt(..) => PROMPTS.len(),
            Self::Decode(..) => SEQS.len() * CONTEXTS.len(),
            Self::Collectives(_) => timed_sizes(ALL_REDUCE_BYTES).len() + timed_sizes(ALL_GATHER_BYTES).len(),
        }
    }
}

/// A storage as packs call it.
pub(crate) const fn format_name(storage: Storage) -> &'static str {
    match storage {
        Storage::Half => "bfloat16",
        Storage::Fp8 => "fp8",
    }
}

impl fmt::Display for Site {
    /// Its name in the journal: no two have the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Product(matrix, storage) => {
                write!(f, "product of {} x {} in {}", matrix.rows, matrix.columns, format_name(storage))
            }
            Self::Prompt(heads, storage) | Self::Decode(heads, storage) => {
                let HeadCounts { q_heads, kv_heads, head_dim } = heads;
                let whose = if matches!(self, Self::Prompt(..)) { "prompt" } else { "decode" };
                let format = format_name(storage);
                write!(f, "{whose} attention of {q_heads} heads, {kv_heads} key heads of {head_dim}, cache in {format}")
            }
            Self::Collectives(num_ranks) => write!(f, "collectives over {num_ranks} GPUs"),
        }
    }
}

/// Whether a product of so many rows is timed, if there is memory for it.
pub(crate) fn is_timed(matrix: Matrix, rows: u32) -> bool {
    u64::from(rows) * u64::from(matrix.rows) <= MOST_RESULTS
}

/// All sites of a device with so many of its kind beside it, itself included.
pub(crate) fn sites(has_fp8: bool, num_devices: u32) -> Vec<Site> {
    let storages = if has_fp8 { &[Storage::Half, Storage::Fp8][..] } else { &[Storage::Half] };
    let mut all = vec![];
    for &storage in storages {
        all.extend(products(&FIRST_MATRICES, storage));
        all.extend(attention(&FIRST_HEADS, storage));
        if storage == Storage::Half {
            all.extend(RANKS.into_iter().filter(|&ranks| ranks <= num_devices).map(Site::Collectives));
        }
    }
    for &storage in storages {
        all.extend(products(&MORE_MATRICES, storage));
        all.extend(attention(&MORE_HEADS, storage));
    }
    all
}

fn products(shapes: &[(u32, u32)], storage: Storage) -> impl Iterator<Item = Site> {
    shapes.iter().map(move |&(rows, columns)| Site::Product(Matrix { rows, columns }, storage))
}

fn attention(shapes: &[(u32, u32, u32)], storage: Storage) -> impl Iterator<Item = Site> {
    shapes.iter().flat_map(move |&(q_heads, kv_heads, head_dim)| {
        let heads = HeadCounts { q_heads, kv_heads, head_dim };
        [Site::Prompt(heads, storage), Site::Decode(heads, storage)]
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Site, sites};

    #[test]
    fn every_site_has_a_name_of_its_own_and_sizes_that_the_kernels_take() {
        let all = sites(true, 8);
        let names: BTreeSet<String> = all.iter().map(Site::to_string).collect();
        assert_eq!(names.len(), all.len());
        for site in &all {
            match site {
                Site::Product(matrix, _) => assert!(matrix.rows % 16 == 0 && matrix.columns % 16 == 0, "{site}"),
                Site::Prompt(heads, _) | Site::Decode(heads, _) => {
                    assert!(heads.q_heads == heads.group() * heads.kv_heads && heads.group() <= 8, "{site}");
                    assert!([64, 128].contains(&heads.head_dim), "{site}");
                }
                Site::Collectives(_) => {}
            }
        }
        assert!(sites(false, 1).iter().all(|site| !matches!(site, Site::Collectives(_))), "a GPU alone sums nothing");
        assert_eq!(sites(false, 3).iter().filter(|site| matches!(site, Site::Collectives(_))).count(), 1);
    }
}
