//! A number for the content of every hash block, for those who are told of blocks ([`super::events`]). Nothing here needs
//! it: keys are compared exactly.

use alloc::vec::Vec;

use super::run_cursor::RunCursor;
use crate::request::TokenRun;

/// Hashes of all chains' hash blocks.
#[derive(Debug, Default)]
pub(super) struct BlockHashes {
    /// By chain and position in it.
    of_chain: Vec<Vec<u64>>,
}

impl BlockHashes {
    /// That of the hash block at `position` of `chain`.
    pub(super) fn get(&self, chain: u32, position: u32) -> u64 {
        self.of_chain[chain as usize][position as usize]
    }

    /// Learns the text of a new `chain` behind a block with the hash `before`: `runs`, of which the first hash block has
    /// `first_len` tokens and each other `len`.
    pub(super) fn learn(&mut self, chain: u32, before: u64, runs: &[TokenRun], (first_len, len): (u64, u64)) {
        if self.of_chain.len() <= chain as usize {
            self.of_chain.resize_with(chain as usize + 1, Vec::new);
        }
        let hashes = &mut self.of_chain[chain as usize];
        hashes.clear();
        let num_tokens: u64 = runs.iter().map(|run| u64::from(run.len)).sum();
        let (mut rest, mut left, mut hash, mut next_len) = (RunCursor::new(runs), num_tokens, before, first_len);
        while left >= next_len {
            hash = hash_block(hash, &mut rest, next_len);
            hashes.push(hash);
            left -= next_len;
            next_len = len;
        }
    }
}

/// The hash before the first block of a sequence.
pub(super) fn root(cache_salt: u32) -> u64 {
    mix(0x243f_6a88_85a3_08d3, u64::from(cache_salt))
}

/// The hash of the next `left` tokens behind a block with the hash `before`.
fn hash_block(before: u64, rest: &mut RunCursor<'_>, mut left: u64) -> u64 {
    let mut hash = mix(before, left);
    while left > 0
        && let Some(run) = rest.next_run(left)
    {
        // Token by token: how a text is divided into runs is no part of it.
        hash = (run.start..run.start.saturating_add(u64::from(run.len))).fold(hash, mix);
        left -= u64::from(run.len);
    }
    hash
}

/// The finaliser of `SplitMix64`, over a sequence.
const fn mix(hash: u64, number: u64) -> u64 {
    let mut mixed = hash.rotate_left(5) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(before: u64, runs: &[(u64, u32)], lens: (u64, u64)) -> Vec<u64> {
        let runs: Vec<TokenRun> = runs.iter().map(|&(start, len)| TokenRun { start, len }).collect();
        let mut hashes = BlockHashes::default();
        hashes.learn(0, before, &runs, lens);
        hashes.of_chain.remove(0)
    }

    #[test]
    fn hashes_are_of_all_tokens_so_far_and_of_nothing_else() {
        let whole = hashes(root(0), &[(5, 8)], (4, 4));
        assert_eq!(whole.len(), 2);
        assert_eq!(whole, hashes(root(0), &[(5, 1), (6, 6), (12, 2)], (4, 4)), "runs are no part of it");
        assert_eq!(whole[1..], hashes(whole[0], &[(9, 4)], (4, 4)), "a chain goes on where another was");
        let other = hashes(root(0), &[(4, 1), (6, 7)], (4, 4));
        assert!(whole.iter().all(|hash| !other.contains(hash)), "the first token is part of every hash");
        assert_ne!(whole[0], hashes(root(1), &[(5, 8)], (4, 4))[0], "so is a salt");
        assert_eq!(hashes(root(0), &[(5, 12)], (6, 4)).len(), 2, "a first block of 6, one of 4, and 2 tokens too few");
    }
}
