//! What a profile answers: step times, what they rest on, and KV blocks.

use sim_core::config::{EngineArgs, UsageContext};
use sim_core::profile::schema::{MixedBatch, ProvenanceKind};
use sim_core::profile::{Evidence, Profile, StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::time::SimDuration;

use crate::profile_fixture::{batch, h100, unpadded, v0};

/// The source's own figures for these passes, in milliseconds.
const SOURCE_DECODE_MS: [(u32, f64); 6] = [(1, 6.18), (8, 6.60), (32, 8.32), (64, 10.35), (128, 12.83), (256, 19.56)];
const SOURCE_PREFILL_MS: [(u32, f64); 3] = [(512, 12.02), (2048, 43.51), (8192, 199.7)];

#[test]
fn smoothing_leaves_the_shipped_profile_within_3_percent_of_its_source() {
    let model = unpadded(&h100());
    let decodes = SOURCE_DECODE_MS.map(|(num_seqs, ms)| (batch((0..num_seqs).map(|_| (1, 1023))), ms));
    let prefills = SOURCE_PREFILL_MS.map(|(num_tokens, ms)| (batch([(num_tokens, 0)]), ms));
    for (batch, ms) in decodes.into_iter().chain(prefills) {
        let predicted = model.predict(&batch).duration.as_millis_f64();
        assert!((predicted / ms - 1.0).abs() < 0.03, "{batch:?}: {predicted} ms, source {ms} ms");
    }
}

/// The blocks that vLLM would start with, or why it would not.
fn num_gpu_blocks(profile: &Profile, args: &EngineArgs) -> Result<u32, String> {
    let platform = profile.platform(UsageContext::OpenAiApiServer, args).map_err(|error| error.to_string())?;
    args.resolve(&platform).map(|engine| engine.config.num_gpu_blocks).map_err(|error| error.to_string())
}

#[test]
fn number_of_kv_blocks_follows_vllm() {
    let short = EngineArgs { max_model_len: Some(32), ..EngineArgs::default() };
    let blocks = |args: EngineArgs| num_gpu_blocks(&h100(), &args);
    // ceil(85061827297 × 0.92) less 16060522496, 536870912, 1352914698 and 644245094, divided by 16 × 131072.
    assert_eq!(blocks(short.clone()), Ok(28_449));
    assert_eq!(blocks(EngineArgs { block_size: Some(32), ..short.clone() }), Ok(14_224));
    assert_eq!(blocks(EngineArgs { num_gpu_blocks_override: Some(7), ..short.clone() }), Ok(7));
    assert_eq!(blocks(EngineArgs { kv_cache_memory_bytes: Some(5 << 21), ..short.clone() }), Ok(5));
    assert!(blocks(EngineArgs { gpu_memory_utilization: Some(0.2), ..short.clone() }).is_err());
    assert!(blocks(EngineArgs { gpu_memory_utilization: Some(f64::NAN), ..short.clone() }).is_err());
    // What an engine reported wins, but only for the memory that it had.
    let share = |share| EngineArgs { gpu_memory_utilization: Some(share), ..short.clone() };
    assert_eq!(num_gpu_blocks(&v0(), &share(0.9)), Ok(27_000));
    assert_ne!(num_gpu_blocks(&v0(), &share(0.8)), Ok(27_000));
}

#[test]
fn a_pass_is_the_sum_of_its_terms() {
    let model = unpadded(&v0());
    #[track_caller]
    fn check(model: &StepTimeModel, requests: &[(u32, u32)], expect_us: f64, evidence: Evidence) {
        let step_time = model.predict(&batch(requests.iter().copied()));
        assert_eq!(step_time.duration, SimDuration::from_micros_f64(expect_us), "{requests:?}");
        assert_eq!(step_time.evidence, evidence, "{requests:?}");
    }
    // Without graphs, a profile made with them extrapolates; the values are those of the tables all the same.
    let extrapolated = Evidence::Extrapolated;
    check(&model, &[], 0.0, extrapolated);
    check(&model, &[(1, 1023)], 5000.0 + 350.0 + 400.0, extrapolated);
    check(&model, &vec![(1, 1023); 64], 6000.0 + (350.0 + 50.0 * 63.0 / 255.0) + 3500.0, extrapolated);
    check(&model, &[(512, 0)], 10_000.0 + 350.0 + 1100.0, extrapolated);
    let two_heads = 350.0 + 50.0 / 255.0;
    // Two prompt parts share one launch, which costs what 16 tokens cost.
    let two_parts = 1100.0 + 2600.0 - 400.0;
    check(
        &model,
        &[(512, 0), (512, 4096)],
        10_000.0 * 2.0 + 512.0 * 4000.0 / 448.0 - 10_000.0 + two_heads + two_parts,
        extrapolated,
    );
    check(&model, &[(512, 0), (1, 1023)], 10_000.0 + 4000.0 / 448.0 + two_heads + 1100.0 + 400.0, extrapolated);
}

#[test]
fn evidence_and_extrapolated_time_say_what_was_read_outside_the_samples() {
    let profile = v0();
    let settings = StepTimeSettings::vllm_default(&profile, 64, 512);
    let model = StepTimeModel::new(&profile, &settings).unwrap();
    let inside = model.predict(&batch([(1, 1023)]));
    assert_eq!(
        (inside.evidence, inside.extrapolated),
        (Evidence::Interpolated, SimDuration::ZERO),
        "a formula's sample"
    );
    let short = model.predict(&batch([(1, 3)]));
    assert_eq!((short.evidence, short.extrapolated), (Evidence::Extrapolated, SimDuration::from_micros_f64(300.0)));
    // 64 requests of 4096 tokens could not be measured: 3500 goes on as from 700.
    let gap = model.predict(&batch(vec![(1, 4095); 64]));
    let expect = 3500.0 + 3072.0 * (2800.0 / 1008.0);
    assert_eq!((gap.evidence, gap.extrapolated), (Evidence::Extrapolated, SimDuration::from_micros_f64(expect)));

    let mut measured = profile.clone();
    measured.provenance.kind = ProvenanceKind::Measured;
    let model = StepTimeModel::new(&measured, &settings).unwrap();
    assert_eq!(model.predict(&batch([(1, 1023)])).evidence, Evidence::Measured);
    assert_eq!(model.predict(&batch([(1, 1024)])).evidence, Evidence::Interpolated);
    let mut two_stages = settings.clone();
    two_stages.pipeline_parallel_size = 2;
    let model = StepTimeModel::new(&measured, &two_stages).unwrap();
    let step_time = model.predict(&batch([(1, 1023)]));
    assert_eq!((step_time.evidence, step_time.extrapolated), (Evidence::Extrapolated, step_time.duration));
    assert_eq!(model.stage_time(&step_time).as_nanos() * 2, step_time.duration.as_nanos());
}

#[test]
fn mixed_attention_is_the_prompt_parts_and_the_decodes_times_a_factor() {
    let mut profile = v0();
    let pass = batch([(512, 0), (1, 1023)]);
    let at = |profile: &Profile| unpadded(profile).predict(&pass).duration.as_nanos();
    let sum = at(&profile);
    for (factor, expect_ns) in [(0.0, -400_000), (0.5, -200_000), (1.0, 0), (1.5, 200_000)] {
        profile.step_time.mixed_batch = Some(MixedBatch { decode_term_factor: factor, samples: Vec::new() });
        let change = i128::from(at(&profile)) - i128::from(sum);
        assert_eq!(change, expect_ns, "factor {factor}");
    }
}

#[test]
fn padding_makes_a_pass_as_long_as_its_graph() {
    let profile = h100();
    let padded = StepTimeModel::new(&profile, &StepTimeSettings::vllm_default(&profile, 256, 8192)).unwrap();
    let plain = unpadded(&profile);
    let attention_free = |model: &StepTimeModel, num_tokens: u32| model.predict(&batch([(num_tokens, 0)])).duration;
    assert!(attention_free(&padded, 505) > attention_free(&plain, 505));
    assert_eq!(attention_free(&padded, 512), attention_free(&plain, 512));
    assert_eq!(attention_free(&padded, 513), attention_free(&plain, 513));
}

#[test]
fn a_synthetic_profile_follows_its_formula_exactly() {
    let costs = SyntheticCosts {
        pass_us: 4000.0,
        token_us: 2.0,
        request_us: 5.0,
        decode_context_token_us: 0.25,
        ..SyntheticCosts::default()
    };
    let profile = Profile::from_json(costs.profile().to_json().unwrap().as_bytes()).unwrap();
    let model = StepTimeModel::new(&profile, &StepTimeSettings::vllm_default(&profile, 256, 8192)).unwrap();
    for (requests, expect_us) in [
        (vec![(1, 99)], 4000.0 + 2.0 + 5.0 + 25.0),
        (vec![(1, 99), (1, 299)], 4000.0 + 4.0 + 10.0 + 100.0),
        (vec![(1000, 0), (200, 50), (1, 999)], 4000.0 + 2402.0 + 15.0 + 250.0),
    ] {
        let step_time = model.predict(&batch(requests));
        assert_eq!(step_time.duration, SimDuration::from_micros_f64(expect_us));
        assert_eq!(step_time.evidence, Evidence::Interpolated);
    }
    assert_eq!(num_gpu_blocks(&profile, &EngineArgs::default()), Ok(10_001));
}
