//! Random gaps and lengths against the distributions they are meant to have, by the test of Kolmogorov and Smirnov.
//!
//! Seeds are fixed, so a test passes or fails for ever. Its level is 0.1 %: a right sampler had that chance of a bad
//! seed when the test was written.

use sim_core::rng::{Pcg64, RandomState};
use sim_core::workload::Traffic;
use sim_core::workload::arrival::{RampUpStrategy, TrafficOptions, send_times};
use sim_core::workload::dataset::{Dataset, SampleOptions, build};
use sim_core::workload::lengths::{Lengths, RangeRatio};
use sim_core::workload::random::{PrefixRepetition, Random, Synthetic};

const NUM_SAMPLES: usize = 50_000;

/// Limit of the statistic at 0.1 %: sqrt(-ln(0.001 / 2) / 2).
const CRITICAL: f64 = 1.949_5;

/// Largest distance of the samples' distribution from `cdf`, times the root of their number.
fn statistic(mut samples: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let count = samples.len() as f64;
    let distances = samples.iter().enumerate().map(|(rank, &sample)| {
        let expected = cdf(sample);
        (expected - rank as f64 / count).max((rank + 1) as f64 / count - expected)
    });
    distances.fold(0.0, f64::max) * count.sqrt()
}

/// Gaps in units of their mean. A ramp-up from a rate to itself is the one traffic that is not stretched afterwards.
fn gaps(burstiness: f64) -> Vec<f64> {
    let options = TrafficOptions {
        burstiness,
        ramp_up_strategy: Some(RampUpStrategy::Linear),
        ramp_up_start_rps: Some(10),
        ramp_up_end_rps: Some(10),
        ..Default::default()
    };
    let times = send_times(&options, NUM_SAMPLES, &mut RandomState::new(20)).expect("send times");
    let seconds: Vec<f64> = times.iter().map(|time| time.as_secs_f64()).collect();
    seconds.windows(2).map(|pair| (pair[1] - pair[0]) * 10.0).collect()
}

fn exponential(x: f64) -> f64 {
    1.0 - (-x).exp()
}

/// Gamma with shape 1/2 and mean 1.
fn gamma_half(x: f64) -> f64 {
    libm::erf((0.5 * x).max(0.0).sqrt())
}

/// Gamma with shape 2 and mean 1.
fn gamma_two(x: f64) -> f64 {
    1.0 - (-2.0 * x).exp() * (1.0 + 2.0 * x)
}

#[track_caller]
fn check(samples: Vec<f64>, cdf: impl Fn(f64) -> f64) {
    let statistic = statistic(samples, cdf);
    assert!(statistic < CRITICAL, "statistic {statistic}");
}

#[test]
fn gaps_have_the_distribution_of_their_burstiness() {
    check(gaps(1.0), exponential);
    check(gaps(0.5), gamma_half);
    check(gaps(2.0), gamma_two);
}

#[test]
fn log_normal_lengths_are_log_normal() {
    // With a median this large, rounding to integers does not show.
    let (median, sigma) = (1e6_f64, 0.7);
    let draw = |lengths: &Lengths| -> Vec<f64> {
        let lengths = lengths.sample(NUM_SAMPLES, "output_len", &mut Pcg64::stream(5, "output_len")).unwrap();
        lengths.into_iter().map(f64::from).collect()
    };
    let cdf = |x: f64| 0.5 * (1.0 + libm::erf((x / median).ln() / (sigma * 2.0_f64.sqrt())));
    check(draw(&Lengths::LogNormal { median, sigma, min: 1, max: 67_108_864 }), cdf);
    let mean = median * (0.5 * sigma * sigma).exp();
    check(draw(&Lengths::log_normal_with_mean(mean, sigma, 1, 67_108_864)), cdf);
}

#[test]
fn uniform_lengths_are_uniform_up_to_both_ends() {
    let (low, high) = (1_000, 3_000_000);
    let lengths = Lengths::Uniform { low, high }.sample(NUM_SAMPLES, "input_len", &mut Pcg64::new(3)).unwrap();
    let width = f64::from(high - low + 1);
    check(lengths.into_iter().map(f64::from).collect(), |x| (x - f64::from(low) + 0.5) / width);
    let few = Lengths::Uniform { low: 3, high: 5 }.sample(100, "input_len", &mut Pcg64::new(3)).unwrap();
    assert_eq!((few.iter().min(), few.iter().max()), (Some(&3), Some(&5)));
}

#[test]
fn weights_are_probabilities() {
    let lengths = Lengths::Empirical { values: vec![8, 16, 32], weights: vec![1.0, 0.0, 3.0] };
    let drawn = lengths.sample(NUM_SAMPLES, "output_len", &mut Pcg64::new(8)).unwrap();
    let share = drawn.iter().filter(|&&length| length == 8).count() as f64 / NUM_SAMPLES as f64;
    // Five standard deviations of a share of 1/4.
    assert!((share - 0.25).abs() < 5.0 * (0.25 * 0.75 / NUM_SAMPLES as f64).sqrt(), "share {share}");
    assert!(!drawn.contains(&16), "a value without weight");
}

#[test]
fn the_test_tells_neighbouring_distributions_apart() {
    assert!(statistic(gaps(1.0), gamma_two) > 10.0 * CRITICAL);
    assert!(statistic(gaps(1.05), exponential) > CRITICAL);
    assert!(statistic(gaps(0.5), exponential) > 10.0 * CRITICAL);
}

/// Everything that is random in a workload, as one number (FNV-1a).
fn digest(dataset: &Dataset<'_>, traffic: &TrafficOptions) -> u64 {
    let options = SampleOptions { num_prompts: Some(200), seed: 7, ..Default::default() };
    let workload = build(dataset, &options, traffic).expect("a workload");
    let Traffic::Timed { send_times, .. } = &workload.traffic else { panic!("traffic is timed") };
    let mut words: Vec<u64> = send_times.iter().map(|time| time.as_nanos()).collect();
    for request in workload.requests.as_slice() {
        words.extend([u64::from(request.num_prompt_tokens), u64::from(request.num_output_tokens)]);
        words.extend(workload.requests.runs(request).iter().flat_map(|run| [run.start, u64::from(run.len)]));
    }
    let bytes = words.into_iter().flat_map(u64::to_le_bytes);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Values must not change: a shared link holds a seed, not the requests. Whoever changes them says so in CHANGELOG.
#[test]
fn a_seed_always_gives_the_same_workload() {
    let poisson = TrafficOptions { request_rate: 4.0, ..Default::default() };
    let bursty = TrafficOptions { burstiness: 0.3, ..poisson };
    let even = TrafficOptions { burstiness: 5.0, ..poisson };
    let random_range_ratio = RangeRatio { input: 0.5, output: 0.9 };
    let random = Dataset::Random(Random { random_range_ratio, ..Default::default() });
    let input_len = Lengths::LogNormal { median: 800.0, sigma: 1.2, min: 1, max: 8192 };
    let output_len = Lengths::LogNormal { median: 150.0, sigma: 0.8, min: 1, max: 2048 };
    let synthetic = Dataset::Synthetic(Synthetic { input_len, output_len, prefix_len: 64 });
    let repetition = Dataset::PrefixRepetition(PrefixRepetition::default());
    let digests =
        [digest(&random, &poisson), digest(&random, &bursty), digest(&synthetic, &even), digest(&repetition, &poisson)];
    let expect = [7588020522411351651, 12271257154230437334, 13861815243678893458, 18266249654791541631];
    assert_eq!(digests, expect);
}
