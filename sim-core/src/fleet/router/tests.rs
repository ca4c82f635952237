//! What each router is for, on a few requests.

use alloc::vec::Vec;

use super::prefixes::PrefixAware;
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

/// Replicas without requests of the router, whose metrics said: waiting, running, share of KV in use.
fn scraped(metrics: &[(u64, u64, f64)]) -> Vec<ReplicaView> {
    let view = |(replica, &(num_waiting, num_running, kv_cache_usage))| {
        let scraped = EngineCounts { num_waiting, num_running, kv_cache_usage };
        ReplicaView { replica, num_in_flight: 0, scraped }
    };
    metrics.iter().enumerate().map(view).collect()
}

#[test]
fn metrics_decide_where_they_are_read() {
    // Whatever is drawn.
    let chosen = |policy: Policy, weights: RouterWeights, metrics: &[(u64, u64, f64)]| {
        let arrival = Arrival { id: RequestId(0), prompt: &[TokenRun { start: 0, len: 160 }], session: None };
        let route = |seed| policy.router_with(&weights).route(&arrival, &scraped(metrics), &mut Pcg64::new(seed));
        let mut places: Vec<_> = (0..10).map(route).collect();
        places.dedup();
        places
    };
    let unsaid = RouterWeights::default();
    let either = chosen(Policy::PowerOfTwo, unsaid, &[(9, 9, 0.9), (0, 0, 0.0)]);
    assert!(either.contains(&0) && either.contains(&1), "it goes by its own requests: {either:?}");
    let queue = RouterWeights { prefix_cache_scorer: 0.0, kv_cache_utilization_scorer: 0.0, ..unsaid };
    assert_eq!(chosen(Policy::WeightedScorers, queue, &[(4, 0, 0.0), (0, 9, 0.9), (2, 0, 0.0)]), [1], "shortest queue");
    let kv = RouterWeights { prefix_cache_scorer: 0.0, queue_scorer: 0.0, ..unsaid };
    assert_eq!(chosen(Policy::WeightedScorers, kv, &[(0, 0, 0.9), (8, 9, 0.2), (0, 0, 0.5)]), [1], "emptiest cache");
    // 1 + 0.1, 0.5 + 1 and 0 + 1: the length of a queue counts as a share of the range.
    let both = RouterWeights { prefix_cache_scorer: 0.0, ..unsaid };
    assert_eq!(chosen(Policy::WeightedScorers, both, &[(0, 0, 0.9), (5, 0, 0.0), (10, 0, 0.0)]), [1], "both");
}

#[test]
fn limits_are_where_their_sources_have_them() {
    let unsaid = RouterWeights::default();
    let second = |prompt: u32, in_flight| {
        weighed(Policy::CacheAware, unsaid, &[((0, 160), [0, 0]), ((0, prompt), in_flight)])[1]
    };
    assert_eq!((second(319, [5, 0]), second(320, [5, 0])), (0, 1), "half of a prompt is not more than the threshold");
    assert_eq!((second(160, [439, 400]), second(160, [441, 400])), (0, 1), "39 more is a lot, and less than a tenth");
    // Fifteen known tokens are no block: nobody costs less.
    let stays = |num_known: u32| {
        let stays = |seed: &u64| {
            let (mut router, mut rng) = (Policy::KvCost.router(), Pcg64::new(*seed));
            let mut send = |router: &mut dyn Router, id: u32, len: u32| {
                let prompt = [TokenRun { start: 0, len }];
                router.route(&Arrival { id: RequestId(id), prompt: &prompt, session: None }, &views(&[0; 2]), &mut rng)
            };
            let first = send(&mut *router, 0, num_known);
            router.note_end(RequestId(0), first);
            send(&mut *router, 1, 32) == first
        };
        (0..20).filter(stays).count()
    };
    assert!((stays(16), (4..=16).contains(&stays(15))) == (20, true), "{} and {} of 20", stays(16), stays(15));
}

#[test]
fn sessions_of_a_replica_that_goes_are_spread_and_come_back() {
    let (mut router, mut rng) = (Policy::ConsistentHash.router(), Pcg64::new(7));
    let mut owners = |router: &mut dyn Router, replicas: &[usize]| -> Vec<usize> {
        let views: Vec<_> = views(&[0; 5]).into_iter().filter(|view| replicas.contains(&view.replica)).collect();
        let owner = |session| {
            let arrival =
                Arrival { id: RequestId(0), prompt: &[TokenRun { start: 0, len: 9 }], session: Some(session) };
            views[router.route(&arrival, &views, &mut rng)].replica
        };
        (0..200).map(owner).collect()
    };
    let before = owners(&mut *router, &[0, 1, 2, 3, 4]);
    let without = owners(&mut *router, &[0, 1, 3, 4]);
    assert!(before.iter().zip(&without).all(|(before, now)| before == now || *before == 2), "the others stay");
    for heir in [0, 1, 3, 4] {
        let inherits = |(before, now): &(&usize, &usize)| **before == 2 && **now == heir;
        assert!(before.iter().zip(&without).any(|pair| inherits(&pair)), "{heir} gets some of its sessions");
    }
    assert_eq!(owners(&mut *router, &[0, 1, 2, 3, 4]), before, "they come back with it");
}

#[test]
fn nothing_is_known_to_be_where_a_replica_was() {
    let mut router = Policy::CacheAware.router();
    let mut rng = Pcg64::new(7);
    let mut send = |router: &mut dyn Router, in_flight: [u64; 2]| {
        let arrival = Arrival { id: RequestId(0), prompt: &[TokenRun { start: 0, len: 320 }], session: None };
        router.route(&arrival, &views(&in_flight), &mut rng)
    };
    assert_eq!((send(&mut *router, [0, 0]), send(&mut *router, [5, 0])), (0, 0), "the one that has the prompt");
    router.note_gone(0);
    assert_eq!(send(&mut *router, [5, 0]), 1, "an empty one is as good as any other");

    // Two prompts of 40 tokens, of which 32 are the same; the first replica had one, and after its end the other.
    let mut router = PrefixAware::new();
    let prompts = [90_000, 50_000].map(|tail| [TokenRun { start: 0, len: 32 }, TokenRun { start: tail, len: 8 }]);
    let candidates = |router: &PrefixAware, prompt: &[TokenRun]| {
        router.candidates(&Arrival { id: RequestId(0), prompt, session: None }, &[0, 1, 2])
    };
    router.learn(&prompts[0], 0);
    router.learn(&prompts[1], 1);
    assert_eq!(candidates(&router, &prompts[0]), [0], "the whole prompt");
    router.note_gone(0);
    assert_eq!(candidates(&router, &prompts[0]), [1], "its beginning");
    router.learn(&prompts[1], 0);
    assert_eq!(candidates(&router, &prompts[0]), [0, 1], "either has its beginning, and nobody all of it");
}

#[test]
fn a_prompt_within_another_is_known_only_where_it_was_sent() {
    let mut router = PrefixAware::new();
    let prompt = |len| [TokenRun { start: 0, len }];
    router.learn(&prompt(100), 0);
    router.learn(&prompt(40), 1);
    // Its last piece of eight tokens ends there, and in the longer one goes on.
    let arrival = Arrival { id: RequestId(0), prompt: &prompt(40), session: None };
    assert_eq!(router.candidates(&arrival, &[0, 1, 2]), [1]);
}
