//! Values of `profiler sweep --grid`: lists and ranges, however large, give no more than a sweep has points.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    assert_ne!(profiler::parsers::grid_values(text), Some(false), "none, or too many");
});
