//! What each router is for, on a few requests.

use alloc::vec::Vec;

use super::{Arrival, Policy, ReplicaView, Router, RouterWeights};
use crate::fleet::data_parallel::balancer::EngineCounts;
use crate::request::{RequestId, TokenRun};
use crate::rng::Pcg64;

/// Replicas with so many requests of the router under way.
fn views(in_flight: &[u64]) -> Vec<ReplicaView> {
    let view = |(replica, &num_in_flight)| ReplicaView { replica, num_in_flight, scraped: EngineCounts::default() };
    in_flight.iter().enumerate().map(view).collect()
}

/// Where `policy` sends requests with these prompts (first token and length) and sessions, to replicas as loaded as said.
fn routed(policy: Policy, requests: &[(u64, u32, Option<u64>)], in_flight: &[u64]) -> Vec<usize> {
    let (mut router, mut rng) = (policy.router(), Pcg64::new(7));
    let send = |(id, &(start, len, session))| {
        let prompt = [TokenRun { start, len }];
        router.route(&Arrival { id: RequestId(id), prompt: &prompt, session }, &views(in_flight), &mut rng)
    };
    (0..).zip(requests).map(send).collect()
}

#[test]
fn names_are_those_of_routers() {
    for policy in Policy::ALL {
        assert_eq!(Policy::from_name(policy.name()), Ok(policy), "{}", policy.name());
    }
    let text = alloc::format!("{}", Policy::from_name("magic").expect_err("no router"));
    assert!(text.contains("round-robin") && text.contains("kv-cost"), "{text}");
}

#[test]
fn every_router_chooses_one_that_is_there_and_the_same_again() {
    let requests: Vec<_> = (0..60).map(|number| (number % 7 * 1000, 200, Some(number % 5))).collect();
    for policy in Policy::ALL {
        let places = routed(policy, &requests, &[3, 1, 4, 1]);
        assert!(places.iter().all(|&place| place < 4), "{}: {places:?}", policy.name());
        assert_eq!(places, routed(policy, &requests, &[3, 1, 4, 1]), "{}", policy.name());
        assert_eq!(routed(policy, &requests, &[9]), [0; 60], "{}: there is one", policy.name());
    }
}

#[test]
fn loads_are_spread() {
    let requests = [(0, 10, None); 6];
    assert_eq!(routed(Policy::RoundRobin, &requests, &[0, 0, 0, 0]), [0, 1, 2, 3, 0, 1], "in turn");
    assert_eq!(routed(Policy::LeastLoaded, &requests, &[5, 2, 2, 9]), [1; 6], "the first of the least loaded");
    assert_eq!(routed(Policy::PowerOfTwo, &requests, &[1, 2]), [0; 6], "both are drawn, the less loaded is taken");
}

#[test]
fn a_session_stays_and_few_move_when_a_replica_goes() {
    let sessions: Vec<_> = (0..200).map(|session| (0, 10, Some(session))).collect();
    let before = routed(Policy::ConsistentHash, &sessions, &[0; 5]);
    let after = routed(Policy::ConsistentHash, &sessions, &[0; 4]);
    assert!((0..5).all(|replica| before.iter().filter(|&&place| place == replica).count() > 15), "{before:?}");
    let stay = |(before, after): (&usize, &usize)| *before == 4 || before == after;
    assert!(before.iter().zip(&after).all(stay), "only sessions of the one that went move");
}

#[test]
fn prompts_go_where_their_beginning_is() {
    // A prompt, another one, the first again with more behind it.
    let requests = [(0, 320, None), (90_000, 320, None), (0, 640, None)];
    for policy in [Policy::PrefixAware, Policy::CacheAware, Policy::WeightedScorers] {
        let places = routed(policy, &requests, &[0, 0, 0]);
        assert_eq!(places[2], places[0], "{}", policy.name());
    }
    // Out of balance, a known beginning does not help.
    let unbalanced = routed(Policy::CacheAware, &[(0, 320, None), (0, 320, None)], &[40, 90]);
    assert_eq!(unbalanced, [0, 0], "the less loaded");
}

#[test]
fn a_request_that_ends_costs_nothing_any_longer() {
    let (mut router, mut rng) = (Policy::KvCost.router(), Pcg64::new(7));
    let mut send = |router: &mut dyn Router, id: u32, start: u64| {
        let prompt = [TokenRun { start, len: 1600 }];
        router.route(&Arrival { id: RequestId(id), prompt: &prompt, session: None }, &views(&[0, 0]), &mut rng)
    };
    let first = send(&mut *router, 0, 0);
    assert_eq!(send(&mut *router, 1, 1_000_000), 1 - first, "the other one has nothing to do");
    router.note_first_token(RequestId(0), first);
    router.note_end(RequestId(0), first);
    assert_eq!(send(&mut *router, 2, 2_000_000), first, "it is free again");
    for (id, replica) in [(1, 1 - first), (2, first)] {
        router.note_end(RequestId(id), replica);
    }
    assert_eq!(send(&mut *router, 3, 1_000_000), 1 - first, "of two that are free, the one that knows the prompt");
}

/// Where a router with `weights` sends prompts (first token and length), each to two replicas as loaded as said then.
fn weighed(policy: Policy, weights: RouterWeights, requests: &[((u64, u32), [u64; 2])]) -> Vec<usize> {
    let (mut router, mut rng) = (policy.router_with(&weights), Pcg64::new(7));
    let send = |(id, &((start, len), in_flight)): (u32, &((u64, u32), [u64; 2]))| {
        let prompt = [TokenRun { start, len }];
        router.route(&Arrival { id: RequestId(id), prompt: &prompt, session: None }, &views(&in_flight), &mut rng)
    };
    (0..).zip(requests).map(send).collect()
}

#[test]
fn weights_change_what_they_are_for() {
    let unsaid = RouterWeights::default();
    // The first replica knows 40 % of the second prompt, and has a little more to do.
    let known = |cache_threshold| {
        weighed(
            Policy::CacheAware,
            RouterWeights { cache_threshold, ..unsaid },
            &[((0, 160), [0, 0]), ((0, 400), [5, 0])],
        )
    };
    assert_eq!((known(0.3), known(0.5)), (alloc::vec![0, 0], alloc::vec![0, 1]), "cache threshold");
    let unbalanced = |balance_abs_threshold| {
        let weights = RouterWeights { balance_abs_threshold, ..unsaid };
        weighed(Policy::CacheAware, weights, &[((0, 320), [0, 0]), ((0, 320), [50, 0])])
    };
    assert_eq!((unbalanced(32), unbalanced(60)), (alloc::vec![0, 1], alloc::vec![0, 0]), "balance");
    // One has computed a prompt and decodes behind it; the other would have to compute it.
    let stays = |kv_overlap_score_weight, router_temperature| {
        let weights = RouterWeights { kv_overlap_score_weight, router_temperature, ..unsaid };
        let (mut router, mut rng) = (Policy::KvCost.router_with(&weights), Pcg64::new(7));
        let mut send = |router: &mut dyn Router, id: u32| {
            let prompt = [TokenRun { start: 0, len: 1600 }];
            router.route(&Arrival { id: RequestId(id), prompt: &prompt, session: None }, &views(&[0, 0]), &mut rng)
        };
        let first = send(&mut *router, 0);
        router.note_first_token(RequestId(0), first);
        let mut num_same = 0;
        for id in 1..41 {
            let place = send(&mut *router, id);
            num_same += u32::from(place == first);
            router.note_end(RequestId(id), place);
            if place != first {
                // It knows the prompt now, too.
                router.note_gone(place);
            }
        }
        num_same
    };
    assert_eq!(
        (stays(2.0, 0.0), stays(0.5, 0.0)),
        (40, 0),
        "a prompt's blocks count for more than a decode's, or less"
    );
    let drawn = stays(2.0, 1e6);
    assert!((10..=30).contains(&drawn), "a high temperature draws evenly: {drawn} of 40");
    let scored = |prefix_cache_scorer| {
        let weights = RouterWeights { prefix_cache_scorer, queue_scorer: 0.0, ..unsaid };
        weighed(Policy::WeightedScorers, weights, &[((0, 320), [0, 0]); 12])
    };
    assert!(scored(2.0).windows(2).all(|pair| pair[0] == pair[1]), "with its prefix it stays");
    assert!(scored(0.0).windows(2).any(|pair| pair[0] != pair[1]), "without, any will do");
}
