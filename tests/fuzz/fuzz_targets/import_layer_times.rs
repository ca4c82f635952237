//! Layer times, their description and the requests of a run, as `profiler import llmservingsim` and `calibrate` read them:
//! none may panic, whatever the others make of the same bytes; and what is unpacked stays under its limit.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let accepted = [
        profiler::parsers::llmservingsim_tables(bytes),
        profiler::parsers::llmservingsim_meta(bytes),
        profiler::parsers::llmservingsim_requests(bytes),
    ];
    assert!(accepted.into_iter().filter(|&is_accepted| is_accepted).count() <= 1, "one text of two kinds");
    if let Some(length) = profiler::parsers::gzipped(bytes) {
        assert!(length <= 1 << 20, "{length} bytes");
    }
});
