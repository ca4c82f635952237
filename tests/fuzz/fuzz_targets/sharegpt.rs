//! ShareGPT's JSON.
#![no_main]

mod accepted;

use libfuzzer_sys::fuzz_target;
use sim_core::workload::dataset::Dataset;
use sim_core::workload::text::{ShareGpt, TokenCounter};

fuzz_target!(|json: &[u8]| {
    let bytes = |text: &str| text.len();
    for sharegpt_output_len in [None, Some(0), Some(7)] {
        accepted::check(&Dataset::ShareGpt(ShareGpt { json, sharegpt_output_len, counter: TokenCounter(&bytes) }));
    }
});
