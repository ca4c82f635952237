//! Parameter files of `vllm bench sweep` that `profiler sweep` reads: what is accepted holds at least one record.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(num_records) = profiler::parsers::sweep_params(bytes) {
        assert!(num_records >= 1, "an accepted file without a record");
    }
});
