//! Which blocks have equal content, exactly and without hashing tokens.
//!
//! vLLM gives a full block a key: a hash over its tokens and the key of the block before it. Two blocks have the same
//! key exactly if all tokens from position 0 to their end are the same. So a key is a place in the tree of all
//! sequences. Here the tree is stored as *chains*: unbranched stretches of blocks. A sequence that follows known text
//! and then departs from it gets a chain of its own that starts at the point of departure. A key is then a pair of
//! dense numbers, (chain, position in it); comparing sequences costs one step per [`TokenRun`], not per token; and no
//! hash can collide.
//!
//! A chain lives while a live request uses it, a block is registered under it, or a chain departs from it. When
//! none does, the same text gets a new chain the next time, which is indistinguishable. So the tree never holds more
//! than the cache and the live requests do.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::free_block_queue::{BlockId, NULL_BLOCK};
use crate::math;
use crate::request::TokenRun;

/// A full block's identity: position `index` of chain `chain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockKey {
    pub(super) chain: u32,
    pub(super) index: u32,
}

impl BlockKey {
    /// The key of a block that has none.
    pub(super) const NONE: Self = Self { chain: u32::MAX, index: 0 };

    pub(super) const fn is_some(self) -> bool {
        self.chain != u32::MAX
    }
}

/// The blocks `from..from + len` of a request have the keys `0..len` of `chain`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChainSlice {
    pub(super) chain: u32,
    pub(super) from: u32,
    pub(super) len: u32,
}

/// The keys of a request's full blocks, those of its future output included.
#[derive(Debug, Clone, Default)]
pub struct KeyPath {
    pub(super) slices: Vec<ChainSlice>,
}

/// Where a chain departs, and with what first block: `parent` is `u32::MAX` for the start of all sequences.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Departure {
    parent: u32,
    position: u32,
    cache_salt: u32,
    first: TokenRun,
    /// The first block's further runs; nearly always none, and then without an allocation.
    rest: Vec<TokenRun>,
}

#[derive(Debug)]
struct Chain {
    /// Per position the oldest block registered under that key, or [`NULL_BLOCK`].
    registered: Vec<BlockId>,
    num_registered: u32,
    /// Live requests and departing chains that hold it.
    num_holders: u32,
    /// Its tokens: as many as `registered` has blocks.
    runs: Vec<TokenRun>,
    departure: Departure,
}

/// The tree of all block contents that matter now.
#[derive(Debug)]
pub struct BlockKeys {
    block_size: u32,
    chains: Vec<Chain>,
    unused: Vec<u32>,
    departures: BTreeMap<Departure, u32>,
}

impl BlockKeys {
    pub(super) const fn new(block_size: u32) -> Self {
        Self { block_size, chains: Vec::new(), unused: Vec::new(), departures: BTreeMap::new() }
    }

    /// Finds the keys of the first `num_blocks` full blocks of the sequence `runs`, and holds them for a request until
    /// [`Self::release`].
    pub(super) fn resolve(&mut self, runs: &[TokenRun], num_blocks: u32, cache_salt: u32, path: &mut KeyPath) {
        path.slices.clear();
        let mut rest = RunCursor::new(runs);
        let (mut parent, mut position, mut from) = (u32::MAX, 0, 0);
        while from < num_blocks {
            // The salt is part of the first block's key; later blocks inherit it through the chain.
            let salt = if from == 0 { cache_salt } else { 0 };
            let departure = rest.departure(parent, position, salt, self.block_size);
            let chain = match self.departures.get(&departure) {
                Some(&chain) => chain,
                None => self.grow(departure, &rest, num_blocks - from),
            };
            let known = &self.chains[chain as usize];
            let most = math::usize_to_u32(known.registered.len()).min(num_blocks - from);
            let len = rest.common_tokens(&known.runs, u64::from(most) * u64::from(self.block_size));
            let len = math::u64_to_u32(len / u64::from(self.block_size));
            assert!(len > 0, "a chain's first block is the one it was found by");
            self.chains[chain as usize].num_holders += 1;
            path.slices.push(ChainSlice { chain, from, len });
            rest.skip(u64::from(len) * u64::from(self.block_size));
            (parent, position, from) = (chain, len, from + len);
        }
    }

    /// Lets go of what [`Self::resolve`] held.
    pub(super) fn release(&mut self, path: &mut KeyPath) {
        // The last first: a chain that ends here lets go of the one that it departs from.
        while let Some(slice) = path.slices.pop() {
            self.chains[slice.chain as usize].num_holders -= 1;
            self.drop_unused(slice.chain);
        }
    }

    /// The block that holds the content `key`: of several the one registered first.
    pub(super) fn registered(&self, chain: u32, index: u32) -> BlockId {
        self.chains[chain as usize].registered[index as usize]
    }

    /// Per position of `chain`, the block registered or [`NULL_BLOCK`].
    pub(super) fn registered_blocks(&self, chain: u32) -> &[BlockId] {
        &self.chains[chain as usize].registered
    }

    /// Makes `block` the one to be found under `key`.
    pub(super) fn set_registered(&mut self, key: BlockKey, block: BlockId) {
        self.chains[key.chain as usize].registered[key.index as usize] = block;
    }

    pub(super) fn count_registration(&mut self, key: BlockKey) {
        self.chains[key.chain as usize].num_registered += 1;
    }

    /// One block less is registered under `key`.
    pub(super) fn count_eviction(&mut self, key: BlockKey) {
        let chain = &mut self.chains[key.chain as usize];
        chain.num_registered -= 1;
        if chain.num_registered == 0 {
            self.drop_unused(key.chain);
        }
    }

    /// A new chain of `num_blocks` blocks with the tokens at `rest`.
    fn grow(&mut self, departure: Departure, rest: &RunCursor<'_>, num_blocks: u32) -> u32 {
        if departure.parent != u32::MAX {
            self.chains[departure.parent as usize].num_holders += 1;
        }
        let index = self.unused.pop().unwrap_or_else(|| {
            self.chains.push(Chain {
                registered: Vec::new(),
                num_registered: 0,
                num_holders: 0,
                runs: Vec::new(),
                departure: departure.clone(),
            });
            math::usize_to_u32(self.chains.len() - 1)
        });
        let chain = &mut self.chains[index as usize];
        chain.registered.resize(num_blocks as usize, NULL_BLOCK);
        rest.copy_tokens(u64::from(num_blocks) * u64::from(self.block_size), &mut chain.runs);
        chain.departure = departure.clone();
        self.departures.insert(departure, index);
        index
    }

    fn drop_unused(&mut self, mut index: u32) {
        loop {
            let chain = &mut self.chains[index as usize];
            if chain.num_holders > 0 || chain.num_registered > 0 {
                return;
            }
            chain.registered.clear();
            chain.runs.clear();
            self.departures.remove(&chain.departure);
            self.unused.push(index);
            index = chain.departure.parent;
            if index == u32::MAX {
                return;
            }
            self.chains[index as usize].num_holders -= 1;
        }
    }

    /// Number of chains alive.
    #[must_use]
    pub fn num_chains(&self) -> usize {
        self.chains.len() - self.unused.len()
    }
}

/// A place in a sequence given as runs.
#[derive(Debug, Clone, Copy)]
struct RunCursor<'a> {
    runs: &'a [TokenRun],
    /// Tokens of the first run that are behind the cursor.
    offset: u32,
}

impl<'a> RunCursor<'a> {
    const fn new(runs: &'a [TokenRun]) -> Self {
        Self { runs, offset: 0 }
    }

    fn next_run(&mut self, max_tokens: u64) -> Option<TokenRun> {
        let (&run, rest) = self.runs.split_first()?;
        let left = run.len - self.offset;
        let start = run.start + u64::from(self.offset);
        if u64::from(left) <= max_tokens {
            *self = Self { runs: rest, offset: 0 };
            Some(TokenRun { start, len: left })
        } else {
            let len = math::u64_to_u32(max_tokens);
            self.offset += len;
            (len > 0).then_some(TokenRun { start, len })
        }
    }

    fn skip(&mut self, mut num_tokens: u64) {
        while num_tokens > 0
            && let Some(run) = self.next_run(num_tokens)
        {
            num_tokens -= u64::from(run.len);
        }
    }

    fn copy_tokens(mut self, mut num_tokens: u64, to: &mut Vec<TokenRun>) {
        to.clear();
        while num_tokens > 0
            && let Some(run) = self.next_run(num_tokens)
        {
            num_tokens -= u64::from(run.len);
            to.push(run);
        }
    }

    /// Number of leading tokens that are the same here and in `other`, at most `max_tokens`.
    fn common_tokens(self, other: &[TokenRun], max_tokens: u64) -> u64 {
        let (mut ours, mut theirs) = (self, RunCursor::new(other));
        let mut common = 0;
        while common < max_tokens {
            let (mut a, mut b) = (ours, theirs);
            let (Some(x), Some(y)) = (a.next_run(max_tokens - common), b.next_run(max_tokens - common)) else { break };
            if x.start != y.start {
                break;
            }
            let step = u64::from(x.len.min(y.len));
            ours.skip(step);
            theirs.skip(step);
            common += step;
        }
        common
    }

    fn departure(mut self, parent: u32, position: u32, cache_salt: u32, block_size: u32) -> Departure {
        let mut left = u64::from(block_size);
        let mut runs = core::iter::from_fn(|| {
            let run = self.next_run(left)?;
            left -= u64::from(run.len);
            Some(run)
        });
        let first = runs.next().unwrap_or(TokenRun { start: 0, len: 0 });
        Departure { parent, position, cache_salt, first, rest: runs.collect() }
    }
}
