//! A result file of `vllm bench serve`: what is accepted can be evaluated, and every statistic is a number.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim_core::metrics::bench_outputs::BenchOutputs;
use sim_core::metrics::bench_serve::{BenchServeOptions, BenchmarkMetrics, Latencies};
use sim_core::metrics::json_measured::MeasuredResult;

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
