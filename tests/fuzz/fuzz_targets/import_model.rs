//! A `config.json` that `profiler import` reads: what is accepted is a model of a possible size.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(num_parameters) = profiler::parsers::model_config(bytes) {
        assert!((1..1 << 60).contains(&num_parameters), "{num_parameters}");
    }
});
