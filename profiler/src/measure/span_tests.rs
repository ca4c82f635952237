//! The measurement of engines whose layers do not all look at the same tokens, or that have parts nobody measures.

use sim_core::batch::{AttentionSpan, BatchComposition};
use sim_core::profile::schema::{Basis, Bytes, Drafter, OverTokens, SpanAttention, SpanKind, VerificationAttention};
use sim_core::profile::{CaptureSizes, Profile, StepTimeModel};
use sim_core::rng::Pcg64;

use super::limits::{Limits, composition, with_drafts, with_spans};
use super::outliers::quantile;
use super::tests::{options, truth};
use super::{Measured, measure};
use crate::engine::Engine as _;
use crate::engine::mock::MockEngine;
use crate::engine::step_times::step_time_settings;

const WINDOW: u32 = 96;
const MODEL: &str = r#"{"layers":[{"kind":"window","n":4,"window":96},{"kind":"full","n":2}]}"#;

/// Four layers with a window take twice what the two others take of the same tokens.
fn truth_with_window() -> Profile {
    let mut profile = truth();
    let tables = &mut profile.step_time;
    let (mut decode, mut prefill) = (tables.decode_attention.clone(), tables.prefill_attention.clone());
    decode.context_tokens.retain(|&context| context <= WINDOW);
    if decode.context_tokens.last() != Some(&WINDOW) {
        decode.context_tokens.push(WINDOW);
    }
    let row = |&n: &u32| {
        let time = |&context: &u32| Some(40.0 + f64::from(n) * (6.0 + f64::from(context)));
        decode.context_tokens.iter().map(time).collect()
    };
    decode.time_us = decode.num_seqs.iter().map(row).collect();
    prefill.prefix_tokens = vec![0, WINDOW - 1];
    let row = |&chunk: &u32| {
        let chunk = f64::from(chunk);
        let time = |&prefix: &u32| {
            let seen = (chunk / 2.0).min(f64::from(WINDOW) / 2.0) + f64::from(prefix) / 2.0;
            Some(40.0 + 4.0 * chunk + 0.08 * chunk * seen)
        };
        prefill.prefix_tokens.iter().map(time).collect()
    };
    prefill.time_us = prefill.chunk_tokens.iter().map(row).collect();
    tables.span_attention = vec![SpanAttention {
        kind: SpanKind::SlidingWindow,
        num_tokens: WINDOW,
        decode_attention: decode,
        prefill_attention: prefill,
        verification_attention: vec![],
    }];
    profile
}

fn measured(engine: &mut MockEngine, name: &str) -> Measured {
    measure(engine, &options(name, 200)).expect("a profile")
}

/// Random passes within the engine's limits.
fn random_passes(engine: &MockEngine, count: usize) -> Vec<BatchComposition> {
    let mut random = Pcg64::stream(5, "random passes");
    let limits = Limits::new(engine.facts(), None);
    let mut passes = vec![];
    while passes.len() < count {
        let num_decodes = random.integers(0, 16);
        let context = random.integers(16, 512);
        let chunks: Vec<(u32, u32)> =
            (0..random.integers(0, 2)).map(|_| (random.integers(2, 200), 16 * random.integers(0, 16))).collect();
        let batch = composition(&chunks, num_decodes, u64::from(num_decodes) * u64::from(context));
        if limits.fit(&batch) {
            passes.push(with_spans(&batch, &limits.spans));
        }
    }
    passes
}

#[test]
fn layers_with_a_window_have_tables_that_end_with_it() {
    let mut engine = MockEngine::with_model(&truth_with_window(), MODEL, 1001, 0.005, 1);
    let profile = measured(&mut engine, "window").profile;
    let [table] = &profile.step_time.span_attention[..] else { panic!("one table for one window") };
    assert_eq!((table.kind, table.num_tokens), (SpanKind::SlidingWindow, WINDOW));
    assert_eq!(table.decode_attention.context_tokens.last(), Some(&WINDOW));
    assert_eq!(table.prefill_attention.prefix_tokens.last(), Some(&(WINDOW - 1)));
    assert!(profile.step_time.decode_attention.context_tokens.contains(&WINDOW), "a node where the window fills");
    let settings = step_time_settings(&engine.facts().config, CaptureSizes::none());
    assert_eq!(settings.spans, [AttentionSpan::Window(WINDOW)]);
    let model = StepTimeModel::new(&profile, &settings).expect("a profile for this engine");
    let error = |batch: &BatchComposition| {
        let [got, true_time] = [&model, &engine.truth].map(|model| model.predict(batch).duration.as_secs_f64());
        (got / true_time - 1.0).abs()
    };
    let mut errors: Vec<f64> = random_passes(&engine, 300).iter().map(error).collect();
    errors.sort_by(f64::total_cmp);
    let (middle, largest) = (quantile(&errors, 0.5), quantile(&errors, 1.0));
    assert!(middle < Some(0.01) && largest < Some(0.12), "{middle:?} {largest:?}");
}

#[test]
fn what_both_kinds_of_layers_do_alike_is_divided_by_their_numbers() {
    let mut engine = MockEngine::with_model(&truth_with_window(), MODEL, 1001, 0.0, 2);
    let tables = measured(&mut engine, "window-share").profile.step_time;
    // 16 decodes at 64 tokens, below the window's end: what the context adds, a third in the full layers.
    let rise = |contexts: &[u32], times: &[Vec<Option<f64>>]| {
        let at = |context: u32| contexts.iter().position(|&node| node == context).expect("a node");
        let row = times.last().expect("rows");
        row[at(64)].expect("a time") - row[at(16)].expect("a time")
    };
    let full = rise(&tables.decode_attention.context_tokens, &tables.decode_attention.time_us);
    let window = &tables.span_attention[0].decode_attention;
    let window = rise(&window.context_tokens, &window.time_us);
    let share = full / (full + window);
    assert!((share - 1.0 / 3.0).abs() < 0.1, "{full} and {window} µs");
}

#[test]
fn engines_with_parts_that_nobody_measures_are_refused_by_name() {
    for (model, expect) in [
        (
            r#"{"speculative":{"method":"draft_model","num_speculative_tokens":3}}"#,
            "speculative_config.method is draft_model: passes with a drafter are measured with ngram alone",
        ),
        (r#"{"layers":[{"kind":"mamba","n":1},{"kind":"full","n":1}]}"#, "layers with a state (Mamba"),
        (r#"{"layers":[{"kind":"chunked","n":1,"chunk":64},{"kind":"full","n":1}]}"#, "attention in chunks"),
    ] {
        let mut engine = MockEngine::tight_with(model, 0);
        let error = measure(&mut engine, &options("refused", 10)).expect_err(expect).to_string();
        assert!(error.contains(expect), "{error}");
    }
}

/// Attention of four rows takes half as much again as that of one.
fn truth_with_drafts() -> Profile {
    let mut profile = truth();
    let tables = &mut profile.step_time;
    let decode = tables.decode_attention.clone();
    let more = |time: &Option<f64>| time.map(|time| 1.5 * time);
    tables.verification_attention = vec![VerificationAttention {
        num_rows: 4,
        num_seqs: decode.num_seqs,
        context_tokens: decode.context_tokens,
        time_us: decode.time_us.iter().map(|row| row.iter().map(more).collect()).collect(),
        num_samples: None,
        spread_us: None,
    }];
    profile.drafters = vec![Drafter {
        method: "ngram".to_owned(),
        model: None,
        kv_cache_layers: vec![],
        memory: Bytes { bytes: 0, basis: Basis::Derived, reason: "None.".to_owned() },
        first_run: OverTokens { num_tokens: vec![1, 512], time_us: vec![0.0; 2], num_samples: None, spread_us: None },
        next_run: None,
    }];
    profile
}

#[test]
fn verifications_have_a_table_beside_decodes() {
    let model = r#"{"speculative":{"method":"ngram","num_speculative_tokens":3}}"#;
    let mut engine = MockEngine::with_model(&truth_with_drafts(), model, 1001, 0.005, 3);
    let profile = measured(&mut engine, "drafts").profile;
    let [table] = &profile.step_time.verification_attention[..] else { panic!("one table for three drafts") };
    assert_eq!(table.num_rows, 4);
    assert!(table.num_seqs.len() > 2 && table.context_tokens.len() > 2, "{table:?}");
    let settings = step_time_settings(&engine.facts().config, CaptureSizes::none());
    let model = StepTimeModel::new(&profile, &settings).expect("a profile for this engine");
    let mut largest = 0.0_f64;
    for (num_seqs, context, num_drafts) in [(3, 100, 3), (7, 300, 3), (12, 200, 3), (5, 130, 0), (16, 400, 0)] {
        let decodes = composition(&[], num_seqs, u64::from(num_seqs) * context);
        let batch = with_drafts(&decodes, num_drafts);
        let [got, true_time] = [&model, &engine.truth].map(|model| model.predict(&batch).duration.as_secs_f64());
        largest = largest.max((got / true_time - 1.0).abs());
    }
    assert!(largest < 0.05, "{largest}");
}
