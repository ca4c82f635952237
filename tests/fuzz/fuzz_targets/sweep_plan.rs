//! Plans of sweeps: in one that is accepted every point is in one part.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    assert_ne!(profiler::parsers::sweep_plan(bytes), Some(false), "a point in no part, or in two");
});
