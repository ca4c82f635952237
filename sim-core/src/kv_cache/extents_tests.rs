//! What is done with blocks many at once is what is done with them one by one: drawn requests with common text, in caches
//! that are too small for them.

use alloc::vec;
use alloc::vec::Vec;

use super::manager::KvCacheManager;
use super::request_blocks::{AdmissionLimits, RequestBlocks, SlotDemand};
use crate::config::EngineConfig;
use crate::request::TokenRun;
use crate::rng::Pcg64;

const BLOCK_SIZE: u32 = 4;
const LIMITS: AdmissionLimits = AdmissionLimits { reserve_full: false, keep_watermark: false };

#[derive(Default)]
struct Request {
    blocks: [RequestBlocks; 2],
    num_computed_tokens: u32,
    num_tokens: u32,
}

/// The two ways, each with the same requests.
struct Both {
    managers: [KvCacheManager; 2],
    num_hit_tokens: u32,
}

impl Both {
    /// What both say, which must be the same.
    #[track_caller]
    fn ask<T: PartialEq + core::fmt::Debug>(
        &mut self,
        request: &mut Request,
        mut what: impl FnMut(&mut KvCacheManager, &mut RequestBlocks) -> T,
    ) -> T {
        let [one_by_one, at_once] = &mut self.managers;
        let [blocks, extents] = &mut request.blocks;
        let expect = what(one_by_one, blocks);
        assert_eq!(what(at_once, extents), expect, "blocks at once");
        let counts = |manager: &KvCacheManager| (manager.num_free_blocks(), manager.pool().num_evictions());
        assert_eq!(counts(at_once), counts(one_by_one), "free blocks and evictions");
        at_once.pool().assert_invariants();
        expect
    }

    /// A request with the first `common_len` tokens of a text that others have, and some of its own.
    fn admit(&mut self, number: u32, (text, common_len, own_len): (u32, u32, u32), num_new: u32) -> Option<Request> {
        let own = 100 + number;
        let runs = [(text, common_len), (own, own_len)].map(|(segment, len)| TokenRun::segment(segment, len));
        let runs: Vec<TokenRun> = runs.into_iter().filter(|run| run.len > 0).collect();
        let num_tokens = common_len + own_len;
        let mut request = Request { num_tokens, ..Request::default() };
        self.ask(&mut request, |manager, blocks| manager.register_content(blocks, &runs, (num_tokens, num_tokens), 0));
        let num_hit_tokens = self.ask(&mut request, |manager, blocks| manager.get_computed_blocks(blocks, num_tokens));
        let num_new_tokens = num_new.min(num_tokens - num_hit_tokens);
        let is_admitted = self.ask(&mut request, |manager, blocks| {
            manager.allocate_slots_at_admission(blocks, num_new_tokens, num_tokens, LIMITS)
        });
        self.num_hit_tokens += num_hit_tokens;
        request.num_computed_tokens = num_hit_tokens + num_new_tokens;
        if !is_admitted {
            self.end(request);
            return None;
        }
        Some(request)
    }

    /// Whether there are blocks for so many tokens more.
    fn grow(&mut self, request: &mut Request, num_new_tokens: u32) -> bool {
        let (num_computed_tokens, num_tokens) = (request.num_computed_tokens, request.num_tokens);
        let num_new_tokens = num_new_tokens.min(num_tokens - num_computed_tokens);
        let demand = SlotDemand { num_computed_tokens, num_new_tokens, num_tokens, num_in_flight_tokens: 0 };
        let fits = num_new_tokens > 0 && self.ask(request, |manager, blocks| manager.allocate_slots(blocks, demand));
        request.num_computed_tokens += num_new_tokens;
        fits
    }

    fn end(&mut self, mut request: Request) {
        self.ask(&mut request, KvCacheManager::free);
        self.ask(&mut request, KvCacheManager::forget_content);
    }
}

/// Draws `num_steps` steps; returns tokens found, and blocks that lost what they held.
fn check(seed: u64, num_steps: u32) -> (u32, u64) {
    let mut random = Pcg64::new(seed);
    let num_gpu_blocks = random.integers(2, 60);
    let config = EngineConfig {
        enable_prefix_caching: !seed.is_multiple_of(8),
        ..EngineConfig::new(BLOCK_SIZE, num_gpu_blocks, 10_000)
    };
    let managers = [false, true].map(|by_extent| KvCacheManager::new(&config, by_extent));
    let (mut both, mut live) = (Both { managers, num_hit_tokens: 0 }, vec![]);
    for number in 0..num_steps {
        let place = random.integers(0, 7) as usize;
        if place >= live.len() {
            let lens = (random.integers(0, 2), random.integers(0, 80), random.integers(0, 3) * random.integers(0, 20));
            if lens.1 + lens.2 > 0 {
                live.extend(both.admit(number, lens, random.integers(1, 100)));
            }
        } else if !both.grow(&mut live[place], random.integers(1, 9)) {
            // It is complete, or others need its blocks.
            both.end(live.swap_remove(place));
        }
    }
    live.into_iter().for_each(|request| both.end(request));
    let [one_by_one, at_once] = &both.managers;
    assert_eq!(at_once.num_free_blocks(), at_once.num_usable_blocks(), "all blocks are free in the end");
    (both.num_hit_tokens, one_by_one.pool().num_evictions())
}

#[test]
fn blocks_taken_at_once_are_those_taken_one_by_one() {
    let totals = (0..200).map(|seed| check(seed, 300));
    let (num_hit_tokens, num_evictions) = totals.fold((0, 0), |sums, run| (sums.0 + run.0, sums.1 + run.1));
    assert!(num_hit_tokens > 10_000 && num_evictions > 10_000, "{num_hit_tokens} found, {num_evictions} evicted");
}
