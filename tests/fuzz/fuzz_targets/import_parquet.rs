//! A parquet table that `profiler import aiconfigurator` reads: what is accepted is within its limits.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(num_rows) = profiler::parsers::parquet_table(bytes) {
        assert!(num_rows <= 2_000_000, "{num_rows}");
    }
});
