//! Results of `vllm bench serve` that `profiler import vllm-bench` reads: what is accepted holds at least one.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(num_results) = profiler::parsers::bench_result(bytes) {
        assert!(num_results >= 1, "an accepted file without a result");
    }
});
