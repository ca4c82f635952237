//! Workloads against those that vLLM 0.32.0's `vllm bench serve` draws from the same options.
//!
//! The data in `tests/data/bench_serve/` was recorded by `tests/recorder/record_bench_serve.py`, which calls vLLM's own
//! functions, with NumPy 2.3.5, pandas 3.1.1 and Python 3.11. Lengths, order and shared prefixes must be equal, send
//! times within 1 ns: the C library's logarithm and ours may differ in the last bit.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sim_core::rng::RandomState;
use sim_core::time::SimTime;
use sim_core::workload::arrival::{RampUpStrategy, TrafficOptions, send_times};
use sim_core::workload::dataset::{Dataset, SampleOptions, Tokenizer, build};
use sim_core::workload::lengths::RangeRatio;
use sim_core::workload::random::{PrefixRepetition, Random};
use sim_core::workload::text::{Custom, ShareGpt, TokenCounter};
use sim_core::workload::timed_trace::{TimedTrace, TimedTraceOptions};
use sim_core::workload::trace::BurstGpt;
use sim_core::workload::{Traffic, Workload};

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "data", "bench_serve", name].iter().collect()
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn golden<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let cases: Vec<T> = serde_json::from_slice(&file(&format!("{name}.golden.json"))).expect("cases");
    assert!(!cases.is_empty(), "{name} holds no case");
    cases
}

fn count(value: &Value) -> u32 {
    u32::try_from(value.as_u64().expect("a count")).expect("32 bits")
}

/// A case of any dataset; `options` differ.
#[derive(Deserialize)]
struct Case {
    seed: u32,
    num_prompts: u32,
    #[serde(default)]
    dataset: String,
    #[serde(default)]
    file: String,
    #[serde(default)]
    disable_shuffle: bool,
    #[serde(default)]
    no_oversample: bool,
    tokenizer: (u32, u32, u32),
    #[serde(default)]
    options: BTreeMap<String, Value>,
    output_len: Option<u32>,
    prompt_lens: Vec<u32>,
    output_lens: Vec<u32>,
    shared_prefixes: Vec<(usize, usize, u32)>,
    timestamps: Option<Vec<f64>>,
    send_times: Vec<f64>,
}

impl Case {
    fn sample_options(&self) -> SampleOptions {
        let (vocab_size, num_special_ids, num_special_tokens_to_add) = self.tokenizer;
        SampleOptions {
            num_prompts: Some(self.num_prompts),
            seed: self.seed,
            disable_shuffle: self.disable_shuffle,
            no_oversample: self.no_oversample,
            tokenizer: Tokenizer { vocab_size, num_special_ids, num_special_tokens_to_add },
        }
    }

    fn u32(&self, key: &str, default: u32) -> u32 {
        self.options.get(key).map_or(default, count)
    }

    /// `num_added` tokens are put before a prompt by the server, not by the client that was recorded.
    #[track_caller]
    fn check(&self, dataset: &Dataset<'_>, traffic: &TrafficOptions, num_added: u32) {
        let workload = build(dataset, &self.sample_options(), traffic).expect("a workload");
        let requests = workload.requests.as_slice();
        let prompt_lens: Vec<u32> = requests.iter().map(|r| r.num_prompt_tokens - num_added).collect();
        assert_eq!(prompt_lens, self.prompt_lens, "prompt lengths, seed {}", self.seed);
        let output_lens: Vec<u32> = requests.iter().map(|r| r.num_output_tokens).collect();
        assert_eq!(output_lens, self.output_lens, "output lengths, seed {}", self.seed);
        assert!(requests.iter().all(|r| r.max_tokens == r.num_output_tokens && !r.stops), "limits are the lengths");
        assert_eq!(shared_prefixes(&workload, num_added), self.shared_prefixes, "shared prefixes, seed {}", self.seed);
        check_times(&workload, &self.send_times);
    }
}

/// `[i, j, tokens that prompts i < j have in common from the start]`, without the added ones.
fn shared_prefixes(workload: &Workload, num_added: u32) -> Vec<(usize, usize, u32)> {
    let requests = workload.requests.as_slice();
    let prompts: Vec<Vec<u64>> = requests
        .iter()
        .map(|request| {
            let tokens =
                workload.requests.runs(request).iter().flat_map(|run| run.start..run.start + u64::from(run.len));
            let prompt = tokens.take(request.num_prompt_tokens as usize);
            prompt.skip(num_added as usize).collect()
        })
        .collect();
    let mut rows = Vec::new();
    for (j, right) in prompts.iter().enumerate() {
        for (i, left) in prompts[..j].iter().enumerate() {
            let shared = left.iter().zip(right).take_while(|(a, b)| a == b).count();
            if shared > 0 {
                rows.push((i, j, shared.try_into().expect("32 bits")));
            }
        }
    }
    rows
}

#[track_caller]
fn check_times(workload: &Workload, expect: &[f64]) {
    let Traffic::Timed { send_times, .. } = &workload.traffic else { panic!("traffic is timed") };
    check_seconds(&send_times.iter().map(|time| time.as_nanos()).collect::<Vec<_>>(), expect);
}

#[track_caller]
fn check_seconds(nanos: &[u64], expect: &[f64]) {
    assert_eq!(nanos.len(), expect.len(), "number of send times");
    for (index, (&nanos, seconds)) in nanos.iter().zip(expect).enumerate() {
        let expect = SimTime::from_secs_f64(*seconds).as_nanos();
        assert!(nanos.abs_diff(expect) <= 1, "send time {index}: {nanos} ns, vLLM {expect} ns");
    }
}

fn at_5_per_second() -> TrafficOptions {
    TrafficOptions { request_rate: 5.0, self_timed: Some(false), ..Default::default() }
}

#[derive(Deserialize)]
struct ArrivalCase {
    seed: u32,
    options: BTreeMap<String, Value>,
    send_times: Vec<f64>,
}

#[test]
fn send_times_are_those_of_get_request() {
    for case in golden::<ArrivalCase>("arrivals") {
        let number = |key: &str| match case.options.get(key)? {
            Value::String(_) => Some(f64::INFINITY),
            value => value.as_f64(),
        };
        let integer = |key: &str| Some(u32::try_from(case.options.get(key)?.as_u64()?).unwrap());
        let strategy = case.options.get("ramp_up_strategy").map(|name| match name.as_str().unwrap() {
            "linear" => RampUpStrategy::Linear,
            _ => RampUpStrategy::Exponential,
        });
        let options = TrafficOptions {
            request_rate: number("request_rate").unwrap_or(f64::INFINITY),
            burstiness: number("burstiness").unwrap_or(1.0),
            ramp_up_strategy: strategy,
            ramp_up_start_rps: integer("ramp_up_start_rps"),
            ramp_up_end_rps: integer("ramp_up_end_rps"),
            ..Default::default()
        };
        let times = send_times(&options, case.send_times.len(), &mut RandomState::new(case.seed)).unwrap();
        check_seconds(&times.iter().map(|time| time.as_nanos()).collect::<Vec<_>>(), &case.send_times);
    }
}

#[test]
fn the_random_dataset_is_vllms() {
    for case in golden::<Case>("random") {
        let random_range_ratio = match case.options.get("range_ratio") {
            Some(ratio) => RangeRatio::parse(&ratio.to_string()).unwrap(),
            None => RangeRatio::default(),
        };
        let dataset = Random {
            random_input_len: case.u32("input_len", 1024),
            random_output_len: case.u32("output_len", 128),
            random_range_ratio,
            random_prefix_len: case.u32("prefix_len", 0),
        };
        case.check(&Dataset::Random(dataset), &at_5_per_second(), case.tokenizer.2);
    }
}

#[test]
fn the_prefix_repetition_dataset_is_vllms() {
    for case in golden::<Case>("prefix_repetition") {
        let dataset = PrefixRepetition {
            prefix_repetition_prefix_len: case.u32("prefix_len", 256),
            prefix_repetition_suffix_len: case.u32("suffix_len", 256),
            prefix_repetition_num_prefixes: case.u32("num_prefixes", 10),
            prefix_repetition_output_len: case.u32("output_len", 128),
        };
        let traffic = TrafficOptions { burstiness: 0.8, ..at_5_per_second() };
        case.check(&Dataset::PrefixRepetition(dataset), &traffic, case.tokenizer.2);
    }
}

#[test]
fn text_datasets_are_filtered_shuffled_and_repeated_as_vllm_does() {
    let (sharegpt, custom) = (file("sharegpt.json"), file("custom.jsonl"));
    for mut case in golden::<Case>("texts") {
        let num_added = case.tokenizer.2;
        let count = move |text: &str| text.split_whitespace().count() + num_added as usize;
        // Here the client counts the added tokens too; they were left out where shared tokens were counted.
        for (_, _, shared) in &mut case.shared_prefixes {
            *shared += num_added;
        }
        let counter = TokenCounter(&count);
        let dataset = if case.dataset == "sharegpt" {
            Dataset::ShareGpt(ShareGpt { json: &sharegpt, sharegpt_output_len: case.output_len, counter })
        } else {
            Dataset::Custom(Custom { jsonl: &custom, custom_output_len: case.output_len, counter })
        };
        case.check(&dataset, &at_5_per_second(), 0);
    }
}

#[test]
fn the_burstgpt_dataset_is_vllms() {
    let dataset = BurstGpt::from_csv(&file("burstgpt.csv")).unwrap();
    for case in golden::<Case>("burstgpt") {
        case.check(&Dataset::BurstGpt(dataset.clone()), &at_5_per_second(), case.tokenizer.2);
    }
}

#[test]
fn timed_traces_share_the_prefixes_that_vllm_gives_them() {
    for case in golden::<Case>("timed_trace") {
        let jsonl = file(&case.file);
        let label = |key: &str| case.options[&format!("timed_trace_label_{key}")].as_str().unwrap().into();
        let options = TimedTraceOptions {
            timed_trace_chunk_hash_size: case.u32("timed_trace_chunk_hash_size", 16),
            timed_trace_sec_multiplier: case.options["timed_trace_sec_multiplier"].as_f64().unwrap(),
            timed_trace_label_timestamp: label("timestamp"),
            timed_trace_label_input_length: label("input_length"),
            timed_trace_label_output_length: label("output_length"),
            timed_trace_label_hash_ids: label("hash_ids"),
        };
        let dataset = Dataset::TimedTrace(TimedTrace { jsonl: &jsonl, options });
        case.check(&dataset, &at_5_per_second(), 0);
        // By its own times, a request whose time has passed goes out with the one before.
        let mut latest: f64 = 0.0;
        let in_order = case.timestamps.as_ref().unwrap().iter().map(|&seconds| {
            latest = latest.max(seconds);
            latest
        });
        let self_timed = build(&dataset, &case.sample_options(), &TrafficOptions::default()).unwrap();
        check_times(&self_timed, &in_order.collect::<Vec<_>>());
    }
}
