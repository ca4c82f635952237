//! `--kv-transfer-config`: what is accepted is written and read back unchanged, and what is not is refused by its name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim_core::config::KvTransferArgs;

fuzz_target!(|text: &str| {
    match KvTransferArgs::from_json(text) {
        Ok(args) => {
            let again = KvTransferArgs::from_json(&args.to_json()).expect("what is written can be read");
            assert_eq!(again, args, "writing changed it");
            assert!(args.block_size != Some(0) && args.blocks_per_chunk != Some(0), "{args:?}");
            assert!(args.cpu_bytes_to_use != Some(0), "{args:?}");
        }
        Err(refused) => assert!(refused.to_string().starts_with("--kv-transfer-config: "), "{refused}"),
    }
});
