//! Which blocks have equal content, exactly and without hashing tokens.
//!
//! vLLM gives a full block a key: a hash over its tokens and the key of the block before it. Two blocks have the same
//! key exactly if all tokens from position 0 to their end are the same. So a key is a place in the tree of all
//! sequences. Here the tree is stored as *chains*: unbranched stretches of blocks. A sequence that follows known text
//! and then departs from it gets a chain of its own that starts at the point of departure. A key is then a pair of
//! dense numbers, (chain, position in it); comparing sequences costs one step per [`TokenRun`], not per token; and no
//! two different texts can be taken for the same.
//!
//! A chain lives while a live request uses it, a block is registered under it, or a chain departs from it. When
//! none does, the same text gets a new chain the next time, which is indistinguishable. So the tree never holds more
//! than the cache and the live requests do.
//!
//! Keys are as fine as hashes are in vLLM: one for every `hash_block_size` tokens. A group whose blocks are longer uses
//! every so-manieth. Each group of layers has blocks of its own, so a key is registered for a group. A key may also
//! depend on some tokens behind its block (`num_hash_lookahead_tokens`): then all boundaries lie so much later.

use alloc::vec::Vec;

use super::block_hashes::BlockHashes;
use super::chain_index::ChainIndex;
use super::departure::Departure;
use super::run_cursor::RunCursor;
use crate::math;
use crate::request::TokenRun;

/// Number of a registration of a block under a key. A block's first registration has the block's own number
/// ([`BlockPool`](super::block_pool::BlockPool) says what the others have); 0, the null block's, stands for none.
pub(crate) type RegistrationId = u32;

/// No registration.
pub(crate) const NO_REGISTRATION: RegistrationId = 0;

/// A hash block's identity for one group: `slot` is its position in chain `chain` times the number of groups, plus the
/// group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockKey {
    pub(super) chain: u32,
    pub(super) slot: u32,
}

impl BlockKey {
    /// The key of a block that has none.
    pub(crate) const NONE: Self = Self { chain: u32::MAX, slot: 0 };

    pub(super) const fn is_some(self) -> bool {
        self.chain != u32::MAX
    }
}

/// The hash blocks `from..from + len` of a request are at the positions `0..len` of `chain`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChainSlice {
    pub(super) chain: u32,
    pub(super) from: u32,
    pub(super) len: u32,
}

/// Where a request's hash blocks are in the tree, those of its future output included.
#[derive(Debug, Clone, Default)]
pub struct KeyPath {
    pub(super) slices: Vec<ChainSlice>,
}

impl KeyPath {
    /// The slice with the hash block `block`.
    fn slice(&self, block: u32) -> Option<&ChainSlice> {
        let after = self.slices.partition_point(|slice| slice.from <= block);
        self.slices[..after].last().filter(|slice| block - slice.from < slice.len)
    }
}

/// An unbranched stretch of hash blocks.
#[derive(Debug)]
pub(super) struct Chain {
    num_blocks: u32,
    /// Per position and group the oldest registration under that key, or [`NO_REGISTRATION`]; empty where
    /// [`super::extents`] has them.
    pub(super) registered: Vec<RegistrationId>,
    pub(super) num_registered: u32,
    /// Live requests and departing chains that hold it.
    num_holders: u32,
    /// Whether its one holder gives its blocks their keys later: see [`BlockKeys::defer`].
    is_deferred: bool,
    /// Hash blocks before it in every sequence that has it.
    num_blocks_before: u32,
    /// Its tokens: as many as its hash blocks have.
    pub(super) runs: Vec<TokenRun>,
    pub(super) departure: Departure,
    departure_hash: u32,
}

/// The tree of all block contents that matter now.
#[derive(Debug)]
pub struct BlockKeys {
    hash_block_size: u32,
    /// Tokens behind a hash block that its key covers, too.
    num_lookahead_tokens: u32,
    num_groups: u32,
    pub(super) chains: Vec<Chain>,
    unused: Vec<u32>,
    /// The chains alive by where they depart.
    departures: ChainIndex,
    /// Chains with deferred keys that have another holder now.
    shared: Vec<u32>,
    /// Whether blocks are registered one by one.
    pub(super) registers_blocks: bool,
    /// Where others are told of blocks.
    pub(super) hashes: Option<BlockHashes>,
}

impl BlockKeys {
    pub(crate) fn new(hash_block_size: u32, num_lookahead_tokens: u32, num_groups: u32) -> Self {
        Self {
            hash_block_size,
            num_lookahead_tokens,
            num_groups,
            chains: Vec::new(),
            unused: Vec::new(),
            departures: ChainIndex::new(),
            shared: Vec::new(),
            registers_blocks: true,
            hashes: None,
        }
    }

    /// Tokens of a hash block.
    pub(super) const fn hash_block_size(&self) -> u32 {
        self.hash_block_size
    }

    /// Groups of layers.
    pub(super) const fn num_groups(&self) -> u32 {
        self.num_groups
    }

    /// Tokens behind a hash block that its key covers.
    pub(super) const fn num_lookahead_tokens(&self) -> u32 {
        self.num_lookahead_tokens
    }

    /// Hash blocks whose keys are known once `num_tokens` tokens are.
    #[inline]
    pub(super) const fn num_hash_blocks(&self, num_tokens: u32) -> u32 {
        num_tokens.saturating_sub(self.num_lookahead_tokens) / self.hash_block_size
    }

    /// Tokens of the first `num_blocks` hash blocks from where a chain departs: at the start of all sequences the keys'
    /// look-ahead comes on top.
    pub(super) const fn num_tokens(&self, parent: u32, num_blocks: u32) -> u64 {
        let lookahead = if parent == u32::MAX { self.num_lookahead_tokens } else { 0 };
        num_blocks as u64 * self.hash_block_size as u64 + lookahead as u64
    }

    /// Finds the keys of the first `num_blocks` hash blocks of the sequence `runs`, and holds them for a request until
    /// [`Self::release`].
    pub(crate) fn resolve(&mut self, runs: &[TokenRun], num_blocks: u32, cache_salt: u32, path: &mut KeyPath) {
        path.slices.clear();
        let mut rest = RunCursor::new(runs);
        let (mut parent, mut position, mut from) = (u32::MAX, 0, 0);
        while from < num_blocks {
            // The salt is part of the first block's key; later blocks inherit it through the chain.
            let salt = if from == 0 { cache_salt } else { 0 };
            let departure = Departure::new(rest, [parent, position, salt], self.num_tokens(parent, 1));
            let hash = departure.hash();
            let is_it = |chain: u32| self.chains[chain as usize].departure == departure;
            let Some(chain) = self.departures.find(hash, is_it) else {
                let len = num_blocks - from;
                let chain = self.grow((departure, hash), &rest, from, len);
                self.hold(chain);
                path.slices.push(ChainSlice { chain, from, len });
                return;
            };
            let known = &self.chains[chain as usize];
            let most = known.num_blocks.min(num_blocks - from);
            let common = rest.common_tokens(&known.runs, self.num_tokens(parent, most));
            let len = math::u64_to_u32((common - self.num_tokens(parent, 0)) / u64::from(self.hash_block_size));
            assert!(len > 0, "a chain's first block is the one it was found by");
            self.hold(chain);
            path.slices.push(ChainSlice { chain, from, len });
            rest.skip(self.num_tokens(parent, len));
            (parent, position, from) = (chain, len, from + len);
        }
    }

    fn hold(&mut self, index: u32) {
        let chain = &mut self.chains[index as usize];
        chain.num_holders += 1;
        if core::mem::take(&mut chain.is_deferred) {
            self.shared.push(index);
        }
    }

    /// Whether the keys of the blocks of `path` from `block` on can be given later: nobody can ask for them, as nobody
    /// else has text of that chain. [`Self::take_shared`] says when somebody has.
    pub(super) fn defer(&mut self, path: &KeyPath, block: u32) -> bool {
        let Some(slice) = path.slices.last().filter(|slice| slice.from <= block) else { return false };
        let chain = &mut self.chains[slice.chain as usize];
        chain.is_deferred = chain.num_holders == 1;
        chain.is_deferred
    }

    /// The deferred keys of `path` are given now.
    pub(super) fn end_deferring(&mut self, path: &KeyPath) {
        if let Some(slice) = path.slices.last() {
            self.chains[slice.chain as usize].is_deferred = false;
        }
    }

    /// A chain whose deferred keys have to be given now.
    pub(super) fn take_shared(&mut self) -> Option<u32> {
        self.shared.pop()
    }

    /// The key of the hash block `block` of a request for `group`; `None` behind the last that the request can have.
    pub(crate) fn key(&self, path: &KeyPath, block: u32, group: u32) -> Option<BlockKey> {
        let slice = path.slice(block)?;
        Some(BlockKey { chain: slice.chain, slot: (block - slice.from) * self.num_groups + group })
    }

    /// Tokens from the start of a sequence to the end of the hash block `key` (`block_hash_num_tokens`).
    pub(super) fn num_tokens_to(&self, key: BlockKey) -> u32 {
        let before = self.chains[key.chain as usize].num_blocks_before;
        (before + key.slot / self.num_groups + 1) * self.hash_block_size
    }

    /// Lets go of what [`Self::resolve`] held.
    pub(crate) fn release(&mut self, path: &mut KeyPath) {
        // The last first: a chain that ends here lets go of the one that it departs from.
        while let Some(slice) = path.slices.pop() {
            self.chains[slice.chain as usize].num_holders -= 1;
            self.drop_unused(slice.chain);
        }
    }

    /// A new chain of `num_blocks` hash blocks with the tokens at `rest`, behind `num_blocks_before` others.
    fn grow(
        &mut self,
        (departure, departure_hash): (Departure, u32),
        rest: &RunCursor<'_>,
        num_blocks_before: u32,
        num_blocks: u32,
    ) -> u32 {
        if departure.parent != u32::MAX {
            self.chains[departure.parent as usize].num_holders += 1;
        }
        let index = self.unused.pop().unwrap_or_else(|| {
            self.chains.push(Chain {
                num_blocks,
                registered: Vec::new(),
                num_registered: 0,
                num_holders: 0,
                is_deferred: false,
                num_blocks_before,
                runs: Vec::new(),
                departure: departure.clone(),
                departure_hash,
            });
            math::usize_to_u32(self.chains.len() - 1)
        });
        let num_tokens = self.num_tokens(departure.parent, num_blocks);
        let chain = &mut self.chains[index as usize];
        chain.num_blocks = num_blocks;
        if self.registers_blocks {
            chain.registered.resize(num_blocks as usize * self.num_groups as usize, NO_REGISTRATION);
        }
        chain.num_blocks_before = num_blocks_before;
        rest.copy_tokens(num_tokens, &mut chain.runs);
        (chain.departure, chain.departure_hash) = (departure, departure_hash);
        self.learn_hashes(index);
        self.departures.insert(departure_hash, index);
        index
    }

    /// Forgets a chain that nobody uses, and those that it departs from if nobody uses them either.
    pub(super) fn drop_unused(&mut self, mut index: u32) {
        loop {
            let chain = &mut self.chains[index as usize];
            if chain.num_holders > 0 || chain.num_registered > 0 {
                return;
            }
            chain.registered.clear();
            chain.runs.clear();
            self.departures.remove(chain.departure_hash, index);
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
