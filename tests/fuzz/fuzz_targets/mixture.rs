//! Files of classes of requests.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim_core::scenario::Scenario;
use sim_core::workload::mixture::Mixture;

fuzz_target!(|json: &[u8]| {
    match Mixture::from_json(json) {
        Ok(mixture) => {
            let counts = mixture.counts(20);
            assert_eq!(counts.len(), mixture.classes.len());
            assert_eq!(counts.iter().sum::<u32>(), 20, "{counts:?}");
        }
        Err(refused) => assert!((1..2_000).contains(&refused.to_string().len()), "{refused}"),
    }
    let flags = [("dataset-name", Some("mixture")), ("num-prompts", Some("20"))];
    let scenario = Scenario::from_flags(flags).expect("flags of ours");
    match scenario.workload().sample(Some(json), None) {
        Ok(sample) => {
            let classes = sample.classes.expect("classes");
            assert_eq!(classes.of_request.len(), sample.requests.len());
            assert!(classes.of_request.iter().all(|&class| usize::from(class) < classes.list.len()));
        }
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
});
