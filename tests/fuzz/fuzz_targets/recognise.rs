//! Whatever is dropped on the page: it is recognised or refused in a sentence, never with all of its text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim_core::scenario::{Recognised, recognise};

fuzz_target!(|bytes: &[u8]| {
    match recognise(bytes) {
        Ok(Recognised::Link { text } | Recognised::Command { text }) => {
            assert!(!text.trim().is_empty() && text.len() <= bytes.len(), "{text:?}");
        }
        Ok(_) => assert!(!bytes.is_empty()),
        Err(refused) => {
            let text = refused.to_string();
            assert!(!text.is_empty() && text.len() < 1_000, "{} bytes: {text}", text.len());
        }
    }
});
