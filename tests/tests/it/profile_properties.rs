//! What must hold for every profile and every batch: no input breaks the reader, and more work never takes less time.

use proptest::prelude::*;
use sim_core::config::{EngineArgs, UsageContext};
use sim_core::profile::{Profile, StepTimeModel, StepTimeSettings};

use crate::draws::draws;
use crate::profile_fixture::{batch, h100, h100_bytes, layered, unpadded};

/// Longest sequence tried: far outside the tables.
const MAX_TOKENS: u32 = 1 << 26;

/// Small numbers as often as large ones.
fn tokens() -> impl Strategy<Value = u32> {
    (0_u32..26, any::<u32>()).prop_map(|(bits, low)| (1 << bits) | (low & ((1 << bits) - 1)))
}

fn both(profile: &Profile) -> [StepTimeModel; 2] {
    let padded =
        StepTimeModel::new(profile, &StepTimeSettings::vllm_default(profile, 256, 8192)).expect("valid settings");
    [unpadded(profile), padded]
}

/// Places of the digits in the values of all fields called `field`.
fn digits_behind(bytes: &[u8], field: &[u8]) -> Vec<usize> {
    let begins = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(field));
    begins
        .flat_map(|begin| {
            (begin..bytes.len()).take_while(|&at| bytes[at] != b']').filter(|&at| bytes[at].is_ascii_digit())
        })
        .collect()
}

/// Asserts that no argument's growth makes a pass shorter.
fn check_monotone(model: &StepTimeModel, num_seqs: u32, context: u32, chunk: u32, prefix: u32) {
    let nanos = |requests: Vec<(u32, u32)>| model.predict(&batch(requests)).duration.as_nanos();
    let decodes = |num_seqs: u32, context: u32| vec![(1, context); num_seqs as usize];
    let base = nanos(decodes(num_seqs, context));
    assert!(base > 0 && base < u64::MAX, "{num_seqs} decodes at {context}: {base} ns");
    assert!(nanos(decodes(num_seqs, context + 1)) >= base, "context {context} with {num_seqs} decodes");
    assert!(nanos(decodes(num_seqs + 1, context)) >= base, "{num_seqs} decodes at {context}");
    let part = nanos(vec![(chunk, prefix)]);
    assert!(part > 0 && part < u64::MAX, "{chunk} tokens after {prefix}: {part} ns");
    assert!(nanos(vec![(chunk + 1, prefix)]) >= part, "{chunk} tokens after {prefix}: chunk");
    assert!(nanos(vec![(chunk, prefix + 1)]) >= part, "{chunk} tokens after {prefix}: prefix");
    assert!(nanos(vec![(chunk, prefix), (chunk, prefix)]) >= part, "{chunk} tokens after {prefix}: twice");
    let mut mixed = decodes(num_seqs, context);
    mixed.push((chunk, prefix));
    assert!(nanos(mixed) >= base.max(part), "{num_seqs} decodes at {context} with {chunk} tokens after {prefix}");
}

proptest! {
    #![proptest_config(draws(2000))]

    #[test]
    fn more_work_never_takes_less_time(
        num_seqs in 1_u32..1500, context in tokens(), chunk in tokens(), prefix in tokens(),
    ) {
        for model in both(&h100()) {
            check_monotone(&model, num_seqs, context, chunk.max(2), prefix.min(MAX_TOKENS));
        }
    }
}

proptest! {
    #![proptest_config(draws(4000))]

    #[test]
    fn a_damaged_file_never_breaks_the_reader(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = h100_bytes();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Err(error) = Profile::from_json(&bytes) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    // Layers of several kinds, tables of spans and verifications, and a drafter.
    #[test]
    fn a_profile_of_several_layers_with_other_digits_is_refused_or_resolved(
        changes in prop::collection::vec((any::<prop::sample::Index>(), b'0'..=b'9'), 1..4),
        caching in any::<bool>(),
    ) {
        let mut bytes = serde_json::to_vec(&layered()).expect("JSON");
        let new = digits_behind(&bytes, b"\"kv_cache_layers\"");
        for (index, digit) in changes {
            bytes[new[index.index(new.len())]] = digit;
        }
        if let Ok(profile) = Profile::from_json(&bytes) {
            let again = profile.to_json().expect("what is read can be written");
            prop_assert_eq!(&Profile::from_json(again.as_bytes()).expect("its own JSON"), &profile);
            let args = EngineArgs { enable_prefix_caching: Some(caching), ..EngineArgs::default() };
            let platform = profile.platform(UsageContext::OpenAiApiServer, &args).expect("a valid profile's platform");
            match args.resolve(&platform) {
                Ok(engine) => prop_assert!(engine.config.num_gpu_blocks > 0),
                Err(refused) => prop_assert!(!refused.to_string().is_empty()),
            }
        }
    }

    // Replacing digits by digits keeps the file JSON, so that many damaged files are read and answer.
    #[test]
    fn a_profile_with_other_digits_is_refused_or_monotone(
        changes in prop::collection::vec((any::<prop::sample::Index>(), b'0'..=b'9'), 1..4),
        num_seqs in 1_u32..600, context in tokens(), chunk in tokens(), prefix in tokens(),
    ) {
        let mut bytes = h100_bytes();
        let digits: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at].is_ascii_digit()).collect();
        for (index, digit) in changes {
            bytes[digits[index.index(digits.len())]] = digit;
        }
        if let Ok(profile) = Profile::from_json(&bytes) {
            // Beyond, a digit more is a time that saturates.
            let (chunk, prefix) = (chunk.clamp(2, 1 << 22), prefix.min(1 << 22));
            check_monotone(&unpadded(&profile), num_seqs, context, chunk, prefix);
        }
    }
}
