//! JSON Lines with times and hashes (Mooncake, Qwen-Bailian).
#![no_main]

mod accepted;

use libfuzzer_sys::fuzz_target;
use sim_core::workload::dataset::Dataset;
use sim_core::workload::timed_trace::{TimedTrace, TimedTraceOptions};
use sim_core::workload::trace::recognise;

fuzz_target!(|jsonl: &[u8]| {
    let _ = recognise(jsonl);
    for options in [TimedTraceOptions::default(), TimedTraceOptions::mooncake()] {
        accepted::check(&Dataset::TimedTrace(TimedTrace { jsonl, options }));
    }
});
