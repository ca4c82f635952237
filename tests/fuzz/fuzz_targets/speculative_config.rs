//! `--speculative-config`, whole or key by key: what is accepted is written and read back unchanged, and the drafter that
//! it stands for is one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim_core::config::SpeculativeArgs;

fn check(args: &SpeculativeArgs) {
    let again = SpeculativeArgs::from_json(&args.to_json()).expect("what is written can be read");
    assert_eq!(&again, args, "writing changed it");
    match args.resolve() {
        Ok(config) => {
            assert!(config.num_speculative_tokens >= 1, "{config:?}");
            for num_reqs in [0, 1, 7, u32::MAX] {
                let drafts = config.num_tokens_to_propose(num_reqs);
                assert!(drafts <= config.num_speculative_tokens, "{drafts} of {config:?}");
                assert!(config.num_draft_runs(drafts) <= drafts.max(1), "{config:?}");
            }
            if let Some(acceptance) = args.synthetic(config.num_speculative_tokens, 1).expect("it was checked") {
                let accepted = acceptance.num_accepted(3, 5, config.num_speculative_tokens);
                assert!(accepted <= config.num_speculative_tokens, "{accepted} accepted");
            }
        }
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
}

fuzz_target!(|text: &str| {
    match SpeculativeArgs::from_json(text) {
        Ok(args) => check(&args),
        Err(refused) => assert!(refused.to_string().starts_with("speculative_config: "), "{refused}"),
    }
    // A line is a flag and, behind the first space, its value.
    let mut args = SpeculativeArgs::default();
    for line in text.lines() {
        let (flag, value) = line.split_once(' ').unwrap_or((line, ""));
        let Some(key) = SpeculativeArgs::key_of_flag(flag) else { continue };
        match args.set_from_flag(key, value) {
            Ok(()) => check(&args),
            Err(refused) => assert!(refused.to_string().starts_with("speculative_config: "), "{refused}"),
        }
    }
});
