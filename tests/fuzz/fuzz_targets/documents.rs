//! Requests deep inside one JSON value, as GuideLLM and OpenTelemetry write them: what the fuzzer writes stands where
//! requests do, and by itself.
#![no_main]

mod accepted;

use libfuzzer_sys::fuzz_target;
use sim_core::workload::dataset::Dataset;
use sim_core::workload::table::{Table, TableOptions};

fuzz_target!(|input: &[u8]| {
    let wrapped = |before: &str, after: &str| [before.as_bytes(), input, after.as_bytes()].concat();
    let files = [
        input.to_vec(),
        wrapped(r#"{"benchmarks": [{"requests": {"successful": ["#, "]}}]}"),
        wrapped(r#"{"resourceSpans": [{"scopeSpans": [{"spans": ["#, "]}]}]}"),
    ];
    for file in &files {
        accepted::check(&Dataset::Table(Table { file, options: TableOptions::default() }));
    }
});
