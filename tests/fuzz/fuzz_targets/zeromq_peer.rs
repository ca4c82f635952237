//! What a listener to KV events sends: greeting, commands, subscriptions, requests for older events. However it is cut, it
//! is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    assert_ne!(profiler::parsers::zeromq_peer(bytes), Some(false), "frames depend on how they came");
});
