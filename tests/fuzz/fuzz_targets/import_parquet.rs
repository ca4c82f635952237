//! A table of operator times, as `profiler import aiconfigurator` reads it: no more rows than there are bytes to hold them,
//! and no memory for what a length only claims.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(num_rows) = profiler::parsers::parquet_table(bytes) {
        assert!(num_rows <= 1 << 24, "{num_rows} rows of {} bytes", bytes.len());
    }
});
