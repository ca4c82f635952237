//! How long a hundred runs take, as a search for a capacity asks for them: 2,000 requests of 1,024 prompt and 128 output
//! tokens each, 15 to 114 of them at once.
//!
//! Goals: the wait of a user, from flags to figures, on one core and on all; the ratio of the two is what the cores bring.
//! Non-goals: reading the profile, which is done once; what the engine does, which sim-core's own benchmarks measure.
//!
//! The digests' sum is printed: if it changed, the runs are not the same work any more.
#![expect(clippy::print_stdout, reason = "the digest is part of the result")]

use std::env;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use profiler::many::{Request, Watch, answer_many};
use rayon::ThreadPoolBuilder;
use sim_core::profile::Profile;
use sim_core::scenario::Scenario;

const PROFILE: &[u8] = include_bytes!("../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

fn many(criterion: &mut Criterion) {
    let profile = Profile::from_json(PROFILE).expect("the shipped profile is valid");
    // Cargo asks for measurements with `--bench`; without, each benchmark runs once, to see that it can.
    let (num_runs, num_prompts) =
        if env::args().any(|argument| argument == "--bench") { (100, 2_000) } else { (4, 50) };
    let flags = [("dataset-name", "random".to_owned()), ("num-prompts", num_prompts.to_string())];
    let scenario = Scenario::from_flags(flags.iter().map(|(flag, value)| (*flag, Some(value.as_str()))));
    let base = Request { scenario: scenario.expect("valid flags"), profile: &profile, dataset: None, counter: None };
    let request = |run: i32| {
        let concurrency = (15 + run).to_string();
        base.with(&[("max-concurrency", Some(&concurrency))]).expect("a valid limit")
    };
    let requests: Vec<Request<'_>> = (0..num_runs).map(request).collect();
    let sum = || {
        let summaries = answer_many(black_box(&requests), Watch::default());
        let digests = summaries.into_iter().map(|summary| summary.expect("a possible run").digest);
        digests.fold(0, u64::wrapping_add)
    };
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let mut group = criterion.benchmark_group("simulate_many");
    group.sample_size(10);
    for num_threads in [1, all] {
        let pool = ThreadPoolBuilder::new().num_threads(num_threads).build().expect("threads");
        let name = format!("{num_runs}_runs_of_{num_prompts}/{num_threads}_threads");
        println!("simulate_many/{name}: sum of digests {:016x}", pool.install(sum));
        group.bench_function(name, |bencher| bencher.iter(|| pool.install(sum)));
    }
    group.finish();
}

criterion_group!(benches, many);
criterion_main!(benches);
