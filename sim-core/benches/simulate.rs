//! How long whole runs take, with the shipped profile, asynchronous scheduling and prefix caching.
//!
//! Goals: simulated requests and tokens per second of a user's wait, on the loop that users run: 10,000 requests of
//! 1,024 prompt and 128 output tokens, as `vllm bench serve` draws them.
//! Non-goals: reading a profile, drawing a workload and computing metrics, which are done once per run, outside the
//! clock; memory; preemptions, of which these runs have none.
//!
//! Each run's digest is printed: if it changed, the runs are not the same work any more, and their times say nothing
//! about each other.
#![expect(clippy::print_stdout, reason = "the digest is part of the result")]

use std::env;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sim_core::config::{EngineArgs, EngineConfig, UsageContext};
use sim_core::metrics::digest::digest;
use sim_core::profile::{Profile, StepTimeModel, StepTimeSettings};
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::workload::arrival::TrafficOptions;
use sim_core::workload::dataset::{Dataset, SampleOptions};
use sim_core::workload::random::Random;
use sim_core::workload::{Workload, build};

const PROFILE: &[u8] = include_bytes!("../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

/// What vLLM's server would start with, but for fewer requests at once.
fn config(profile: &Profile) -> EngineConfig {
    let args = EngineArgs { max_num_seqs: Some(256), ..EngineArgs::default() };
    let platform = profile.platform(UsageContext::OpenAiApiServer, &args).expect("the shipped profile is valid");
    args.resolve(&platform).expect("vLLM would start").config
}

fn workload(num_prompts: u32, traffic: TrafficOptions) -> Workload {
    let options = SampleOptions { num_prompts: Some(num_prompts), ..SampleOptions::default() };
    build(&Dataset::Random(Random::default()), &options, &traffic).expect("valid options")
}

fn simulations(criterion: &mut Criterion) {
    let profile = Profile::from_json(PROFILE).expect("the shipped profile is valid");
    let config = config(&profile);
    let settings = StepTimeSettings::vllm_default(&profile, config.max_num_seqs, config.max_num_batched_tokens);
    let step_time = StepTimeModel::new(&profile, &settings).expect("its own settings fit it");
    // Cargo asks for measurements with `--bench`; without, each benchmark runs once, to see that it can.
    let num_prompts = if env::args().any(|argument| argument == "--bench") { 10_000 } else { 200 };
    let default = TrafficOptions::default();
    let traffics = [
        ("closed_loop_64", TrafficOptions { max_concurrency: Some(64), ..default }),
        ("poisson_20_per_s", TrafficOptions { request_rate: 20.0, ..default }),
    ];
    let mut group = criterion.benchmark_group("simulate");
    group.sample_size(10).throughput(Throughput::Elements(u64::from(num_prompts)));
    for (name, traffic) in traffics {
        let workload = workload(num_prompts, traffic);
        let run = |workload: &Workload| {
            simulate(workload, &config, &step_time, SimulationOptions::default()).expect("a possible run")
        };
        let result = run(&workload);
        let (num_passes, digest) = (result.recording.passes.len(), digest(&result.recording));
        println!("simulate/{name}: {num_prompts} requests, {num_passes} passes, digest {digest:016x}");
        group.bench_function(format!("{name}/10k_requests_1024_in_128_out"), |bencher| {
            bencher.iter(|| run(black_box(&workload)));
        });
    }
    group.finish();
}

criterion_group!(benches, simulations);
criterion_main!(benches);
