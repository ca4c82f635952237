//! Bodies of requests to `profiler emulate`; the first byte says which endpoint. What is accepted is as many tokens as
//! are counted, and no more than its text can be.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, body)) = bytes.split_first() else { return };
    let is_chat = kind % 2 == 1;
    if let Some((counted, in_runs)) = profiler::parsers::emulated_request(is_chat, body) {
        assert_eq!(counted, in_runs, "tokens are lost or made up");
        // The mark that an answer follows is three tokens; all others take more bytes than they are tokens.
        assert!(counted <= body.len() as u64 + 3, "{counted} tokens of {} bytes", body.len());
    }
});
