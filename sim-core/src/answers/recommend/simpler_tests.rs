//! What is recommended among setups that differ by little, over engines that are formulas.

use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use super::entry::{Entry, Role};
use super::objective::Objective;
use super::rounds::Recommend;
use super::space::{Axis, Space};
use super::tests::{axis, plan, run_of};
use super::told::Telling;
use crate::answers::capacity::{LoadKind, Question};
use crate::math;
use crate::metrics::goodput::Goodput;
use crate::rng::Pcg64;
use crate::scenario::{DatasetName, Scenario};

const FLAGS: [(&str, &str); 4] =
    [("quantization", "fp8"), ("kv-cache-dtype", "fp8"), ("max-num-seqs", "128"), ("max-num-batched-tokens", "2048")];

/// One GPU, and each flag as vLLM has it or set.
fn space() -> Space {
    let mut vary = vec![axis("gpu", &["h100-sxm"]), axis("tensor-parallel-size", &["1"])];
    let both = |value: &str| vec![None, Some(value.to_string())];
    vary.extend(FLAGS.map(|(flag, value)| Axis { flag: flag.into(), values: both(value) }));
    Space::new(&Scenario::default(), &vary, 1).expect("few")
}

/// An engine that carries 10 requests a second and, for each flag that is set, this share more; seeds differ by up to
/// `noise`, each engine's in a way of its own.
fn recommend(effects: [f64; 4], noise: f64) -> Recommend {
    let knee = |entry: &Entry, seed: u32| {
        let is_set = |flag: &str| entry.candidate.choice(flag).is_some();
        let factors = FLAGS.iter().zip(effects).filter(|((flag, _), _)| is_set(flag)).map(|(_, effect)| 1.0 + effect);
        let set: String = FLAGS.iter().map(|(flag, _)| if is_set(flag) { '1' } else { '0' }).collect();
        let hash = set.bytes().fold(u64::from(seed), |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let own = f64::from(Pcg64::stream(hash, "seed").integers(0, 2000)) / 1000.0 - 1.0;
        10.0 * factors.product::<f64>() * (1.0 + noise * own)
    };
    let mut plan = plan(Objective::Throughput, None);
    plan.num_seeds = 5;
    run_of(space(), plan, |_| false, knee)
}

/// The flags that the recommended setup sets.
fn set_by_best(recommend: &Recommend) -> Vec<&str> {
    let best = &recommend.entries()[*recommend.ranked().first().expect("something is recommended")];
    FLAGS.iter().map(|(flag, _)| *flag).filter(|flag| best.candidate.choice(flag).is_some()).collect()
}

#[track_caller]
fn check(effects: [f64; 4], expect: &[&str]) {
    assert_eq!(set_by_best(&recommend(effects, 0.0)), expect, "{effects:?}");
}

#[test]
fn a_flag_is_set_for_what_it_is_worth() {
    check([0.0; 4], &[]);
    check([0.3, -0.01, 0.0, 0.004], &["quantization"]);
    check([0.3, 0.02, -0.3, -0.001], &["quantization", "kv-cache-dtype"]);
    // Each is worth less than a tie is wide; even if all were set, none would be missed.
    check([0.003; 4], &[]);
    check([-0.2, -0.2, -0.2, 0.01], &["max-num-batched-tokens"]);
}

#[test]
fn what_came_out_higher_is_named() {
    let question = Question {
        kind: LoadKind::Rate,
        dataset: DatasetName::Random,
        goodput: Goodput::default(),
        required_share: 0.99,
        num_seeds: 5,
    };
    let told = |effects: [f64; 4]| {
        let recommend = recommend(effects, 0.0);
        Telling { recommend: &recommend, question: &question, num_runs: 0 }.why_simpler(&recommend.answer())
    };
    let simpler = told([0.004, -0.1, -0.1, -0.1]).expect("a tie");
    assert!(simpler.contains("--quantization fp8 comes out 0.4 % better"), "{simpler}");
    assert_eq!(told([0.1, -0.1, -0.1, -0.1]), None, "what is recommended came out first");
}

#[test]
fn a_flag_is_left_out_though_only_its_values_were_asked_for_unless_one_is_settled() {
    let check = |places: &[&str], budget: &[&str], expect: &[&str]| {
        let vary = [
            axis("gpu", &["h100-sxm"]),
            axis("tensor-parallel-size", &["1"]),
            axis("max-num-seqs", places),
            axis("max-num-batched-tokens", budget),
            Axis { flag: "quantization".into(), values: vec![None] },
            Axis { flag: "kv-cache-dtype".into(), values: vec![None] },
        ];
        let space = Space::new(&Scenario::default(), &vary, 1).expect("few");
        let recommend = run_of(
            space,
            plan(Objective::Throughput, None),
            |_| false,
            |entry, _| {
                if entry.candidate.choice("max-num-batched-tokens") == Some("4096") { 12.0 } else { 10.0 }
            },
        );
        assert_eq!(set_by_best(&recommend), expect, "{places:?} {budget:?}");
    };
    check(&["64", "128"], &["2048", "8192"], &[]);
    check(&["64", "128"], &["2048", "4096"], &["max-num-batched-tokens"]);
    check(&["64"], &["2048", "8192"], &["max-num-seqs"]);
}

/// The logarithm of how much more `best` carries than `other`, and its standard error over paired seeds.
fn difference(best: &Entry, other: &Entry) -> (f64, f64) {
    let [own, others] = [best, other].map(|entry| entry.answer.as_ref().expect("searched to the end"));
    let each: Vec<f64> = own.left_out.iter().zip(&others.left_out).map(|(own, other)| math::ln(own / other)).collect();
    let count = f64::from(u32::try_from(each.len()).expect("few"));
    let mean = each.iter().sum::<f64>() / count;
    let squares: f64 = each.iter().map(|one| (one - mean) * (one - mean)).sum();
    let all = own.capacity.zip(others.capacity).map_or(0.0, |(own, other)| math::ln(own / other));
    (all, math::sqrt((count - 1.0) / count * squares))
}

#[test]
fn no_flag_of_what_is_recommended_is_worth_nothing_in_its_own_comparison() {
    const EFFECTS: [f64; 7] = [-0.03, -0.01, 0.0, 0.003, 0.006, 0.015, 0.08];
    let (mut num_compared, mut num_plain) = (0, 0);
    for number in 0..60 {
        let mut draw = Pcg64::stream(number, "simpler");
        let effects = [(); 4].map(|()| EFFECTS[draw.integers(0, 6) as usize]);
        let recommend = recommend(effects, [0.0, 0.005, 0.02][draw.integers(0, 2) as usize]);
        let best = &recommend.entries()[recommend.ranked()[0]];
        let is_twin = |entry: &&Entry| matches!(entry.role, Role::AsInBase(_)) && entry.excluded.is_none();
        let twins: Vec<&Entry> = recommend.entries().iter().filter(is_twin).collect();
        assert_eq!(twins.len(), set_by_best(&recommend).len(), "{number}: each flag has its comparison");
        for twin in twins {
            let (more, error) = difference(best, twin);
            assert!(
                more > error.max(0.0049),
                "{number} {:?}: {} of {effects:?}: {more} ± {error}",
                twin.role,
                best.name()
            );
            num_compared += 1;
        }
        let answer = recommend.answer();
        let gains = answer.comparisons.iter().filter(|one| !one.is_step).map(|one| one.gain);
        assert!(gains.clone().all(|gain| gain.is_some_and(|gain| gain > 0.0049)), "{number}: {:?}", answer.comparisons);
        num_plain += u32::from(set_by_best(&recommend).is_empty());
    }
    assert!(num_compared > 40 && num_plain < 30, "{num_compared} flags are set; {num_plain} of 60 times none");
}

#[test]
fn what_a_short_run_ruled_out_comes_back_where_it_is_as_good() {
    // Two flags that change nothing: whichever of the four setups short runs prefer, the plain one is recommended.
    for noise in [0.0, 0.004, 0.01] {
        let recommend = recommend([0.2, 0.0, 0.0, 0.0], noise);
        assert_eq!(set_by_best(&recommend), ["quantization"], "{noise}");
    }
}
