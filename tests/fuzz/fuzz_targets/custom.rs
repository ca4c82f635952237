//! JSON Lines of prompts: `--dataset-name custom`.
#![no_main]

mod accepted;

use libfuzzer_sys::fuzz_target;
use sim_core::workload::dataset::Dataset;
use sim_core::workload::text::{Custom, TokenCounter};

fuzz_target!(|jsonl: &[u8]| {
    let bytes = |text: &str| text.len();
    for custom_output_len in [None, Some(0), Some(256)] {
        accepted::check(&Dataset::Custom(Custom { jsonl, custom_output_len, counter: TokenCounter(&bytes) }));
    }
});
