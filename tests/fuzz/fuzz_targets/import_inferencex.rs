//! A list of measured configurations that `profiler import calibrate` reads: what is accepted holds at least one run.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(num_runs) = profiler::parsers::inferencex(bytes) {
        assert!(num_runs >= 1, "an accepted list without a run");
    }
});
