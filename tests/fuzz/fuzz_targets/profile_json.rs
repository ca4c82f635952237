//! A profile file: what is accepted is written and read back unchanged, and its step times are finite and grow with work.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim_core::batch::BatchComposition;
use sim_core::profile::{Profile, StepTimeModel, StepTimeSettings};
use sim_core::time::SimDuration;

/// `(new tokens, earlier tokens)` per request.
fn batch(requests: &[(u32, u32)]) -> BatchComposition {
    let mut batch = BatchComposition::default();
    for &(num_tokens, num_computed_tokens) in requests {
        batch.push(num_tokens, num_computed_tokens);
    }
    batch
}

fuzz_target!(|bytes: &[u8]| {
    let profile = match Profile::from_json(bytes) {
        Ok(profile) => profile,
        Err(refused) => {
            assert!(!refused.to_string().is_empty());
            return;
        }
    };
    assert!(profile.validate().is_ok());
    let written = profile.to_json().expect("what is read can be written");
    let again = Profile::from_json(written.as_bytes()).expect("what is written can be read");
    assert_eq!(again, profile, "writing changed the profile");

    let settings = StepTimeSettings::vllm_default(&profile, 256, 8192);
    let Ok(model) = StepTimeModel::new(&profile, &settings) else {
        // Only more pipeline stages than layers can be wrong with a valid profile's own settings.
        assert!(profile.engine.pipeline_parallel_size > profile.model.num_hidden_layers);
        return;
    };
    // Within the tables, on their edge, beyond them, and both kinds of work at once.
    let batches: [&[(u32, u32)]; 7] = [
        &[(1, 0)],
        &[(1, 1023)],
        &[(512, 0)],
        &[(8192, 131_072)],
        &[(1, 100), (700, 300), (1, 5000)],
        &[(1, 67_108_863)],
        &[(67_108_864, 0)],
    ];
    for requests in batches {
        let time = model.predict(&batch(requests));
        assert!(time.extrapolated <= time.duration, "a part of {requests:?} takes longer than the whole");
        // Time saturates there: a table's own limits keep every sum far below.
        assert!(time.duration < SimDuration::from_nanos(u64::MAX), "{requests:?} takes for ever");
    }
    let one = model.predict(&batch(&[(1, 1023)])).duration;
    let two = model.predict(&batch(&[(1, 1023), (1, 1023)])).duration;
    assert!(one <= two, "two decodes are faster than one");
    assert_eq!(model.predict(&batch(&[])).duration, SimDuration::ZERO);
});
