//! Whatever is dropped on the page: it is recognised or refused in a sentence, never with all of its text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim_core::scenario::{DatasetName, Recognised, Scenario, check_dataset, dataset_flags, recognise};

fuzz_target!(|bytes: &[u8]| {
    match dataset_flags(bytes) {
        Ok(flags) => {
            let given = flags.iter().map(|(flag, value)| (*flag, Some(value.as_str())));
            let scenario = Scenario::from_flags(given).expect("flags of ours");
            assert_eq!(check_dataset(&scenario, bytes), Ok(()), "its own name");
        }
        Err(told) => assert!(!told.is_empty() && told.len() < 1_000, "{} bytes: {told}", told.len()),
    }
    for name in DatasetName::NAMES {
        let scenario = Scenario::from_flags([("dataset-name", Some(*name))]).expect("a name");
        let told = check_dataset(&scenario, bytes).err().unwrap_or_default();
        assert!(told.len() < 1_000, "{} bytes: {told}", told.len());
    }
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
