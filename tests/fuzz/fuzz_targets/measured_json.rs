//! A result file of `vllm bench serve`: what is accepted can be evaluated, every statistic is a number, and what it states
//! of its run makes a workload that is its own or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim_core::metrics::bench_outputs::BenchOutputs;
use sim_core::metrics::bench_serve::{BenchServeOptions, BenchmarkMetrics, Latencies};
use sim_core::metrics::json_measured::MeasuredResult;
use sim_core::scenario::repeat::{Stated, settings};
use sim_core::scenario::{DatasetName, Scenario};

fuzz_target!(|bytes: &[u8]| {
    let result = match MeasuredResult::from_json(bytes) {
        Ok(result) => result,
        Err(refused) => {
            let text = refused.to_string();
            assert!(!text.is_empty() && text.len() < 2_000, "{} bytes: {text}", text.len());
            return;
        }
    };
    assert!(result.num_results > 0);
    assert!(settings(&result).iter().all(|(name, _)| !name.is_empty()));
    repeat(&result);
    let Some(outputs) = &result.outputs else { return };
    assert!(outputs.num_requests() <= MeasuredResult::MAX_REQUESTS);
    for request in 0..outputs.num_requests() {
        let output = outputs.output(request);
        let times = [output.ttft, output.latency, output.start_time, output.client_queue_time];
        assert!(times.iter().all(|time| time.is_finite() && *time >= 0.0), "{output:?}");
        assert!(outputs.itls(request).all(|itl| itl.is_finite() && itl >= 0.0));
    }
    let options = BenchServeOptions::new(String::new());
    let metrics = BenchmarkMetrics::new(outputs, &Latencies::new(outputs), &options);
    assert_eq!(metrics.completed + metrics.failed, outputs.num_requests() as u64);
});

/// The workload that the file states, where it is no large one.
fn repeat(result: &MeasuredResult) {
    let refused = match Stated::new(result, &Scenario::default()) {
        Err(refused) => refused,
        Ok(stated) => {
            let workload = stated.scenario().workload();
            let (earlier, prompts) = (workload.earlier(), stated.scenario().get("num-prompts"));
            let is_small = prompts.and_then(|count| count.parse::<u32>().ok()).is_some_and(|count| count <= 1000);
            if !is_small || earlier.num_warmups > 100 || earlier.num_earlier_runs > 10 {
                return;
            }
            // The draws of this one take seconds.
            if workload.dataset_name() == DatasetName::PrefixRepetition {
                return;
            }
            match stated.repeat(None, None) {
                Err(refused) => refused,
                Ok(repetition) => {
                    assert_eq!(repetition.workload.num_measured() as u64, result.completed);
                    return;
                }
            }
        }
    };
    let text = refused.to_string();
    assert!(!text.is_empty() && text.len() < 10_000, "{} bytes: {text}", text.len());
}
