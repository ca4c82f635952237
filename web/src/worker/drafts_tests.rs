//! What the worker says of groups of layers and of drafts, on a profile that is made up from the shipped one.

use sim_core::profile::Profile;
use sim_core::profile::schema::{
    Drafter, KvCacheLayerKind, KvCacheLayers, OverSeqs, OverTokens, ProvenanceKind, SpanAttention, SpanKind,
    VerificationAttention,
};

use super::session::{Host, Session};
use crate::answer::{Answer, Limit};
use crate::detail::GanttWindow;
use crate::protocol::{Reply, Request, RunInput};

const SHIPPED: &[u8] = include_bytes!("../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");
const WINDOW: u32 = 1_024;
const NUM_ROWS: u32 = 4;

struct Desk;

impl Host for Desk {
    fn now_ms(&self) -> f64 {
        0.0
    }
    fn wall_clock_ms(&self) -> u64 {
        0
    }
    fn progress(&mut self, _: u32, _: u32, _: f64) {}
}

/// Every second layer looks at a window; drafts are looked up in the text. Times of verifications are made up.
fn made_up() -> Vec<u8> {
    let mut profile = Profile::from_json(SHIPPED).expect("the shipped profile");
    profile.provenance.kind = ProvenanceKind::Synthetic;
    let tables = &mut profile.step_time;
    let decode = tables.decode_attention.clone();
    let verification = VerificationAttention {
        num_rows: NUM_ROWS,
        num_seqs: decode.num_seqs,
        context_tokens: decode.context_tokens,
        time_us: decode.time_us,
        num_samples: None,
        spread_us: None,
    };
    tables.span_attention = vec![SpanAttention {
        kind: SpanKind::SlidingWindow,
        num_tokens: WINDOW,
        decode_attention: tables.decode_attention.clone(),
        prefill_attention: tables.prefill_attention.clone(),
        verification_attention: vec![verification.clone()],
    }];
    tables.verification_attention = vec![verification];
    let full = KvCacheLayers { num_layers: 1, ..profile.memory.kv_cache_layers[0].clone() };
    let window = KvCacheLayers { kind: KvCacheLayerKind::SlidingWindow, span_tokens: Some(WINDOW), ..full.clone() };
    profile.memory.kv_cache_layers = (0..16).flat_map(|_| [full.clone(), window.clone()]).collect();
    let over = |time_us: f64| vec![time_us, time_us];
    profile.drafters = vec![Drafter {
        method: "ngram".to_owned(),
        model: None,
        kv_cache_layers: Vec::new(),
        memory: profile.memory.other_resident.clone(),
        first_run: OverTokens { num_tokens: vec![1, 8_192], time_us: over(50.0), num_samples: None, spread_us: None },
        next_run: Some(OverSeqs { num_seqs: vec![1, 1_024], time_us: over(0.0), num_samples: None, spread_us: None }),
    }];
    profile.to_json().expect("a profile").into_bytes()
}

fn answer(session: &mut Session, flags: &[(&str, &str)]) -> Answer {
    let input = RunInput {
        flags: flags.iter().map(|&(flag, value)| (flag.to_owned(), Some(value.to_owned()))).collect(),
        profile_name: "made up".to_owned(),
        profile: made_up(),
        is_of_lockstep: false,
        dataset: None,
    };
    match session.handle(Request::Run { id: 1, input }, &mut Desk) {
        Reply::Answer { id: 1, answer } => *answer,
        other => panic!("{other:?}"),
    }
}

fn gantt(session: &mut Session) -> GanttWindow {
    match session.handle(Request::Gantt { id: 2, range: None, width: 10_000, max_requests: 60, engine: 0 }, &mut Desk) {
        Reply::Gantt { id: 2, window } => *window,
        other => panic!("{other:?}"),
    }
}

const LOOKED_UP: (&str, &str) =
    ("speculative-config", r#"{"method":"ngram","num_speculative_tokens":3,"prompt_lookup_max":4}"#);

#[test]
fn drafts_are_told_with_their_passes_and_that_acceptance_is_assumed() {
    let mut session = Session::default();
    let flags = [("num-prompts", "60"), ("request-rate", "20"), LOOKED_UP, ("spec-acceptance-rates", "0.8,0.5,0.1")];
    let said = answer(&mut session, &flags);
    assert!(said.spec_decoding.starts_with("ngram, 3 drafts: "), "{}", said.spec_decoding);
    assert!(said.spec_decoding.ends_with("as the workload says"), "{}", said.spec_decoding);
    assert!(said.bench_table.contains("Acceptance length"), "{}", said.bench_table);
    assert!(!said.series.draft_tokens_per_pass.is_empty(), "drafts over time");
    let window = gantt(&mut session);
    assert!(window.passes.iter().any(|pass| pass.num_draft_tokens > 0), "a pass verifies drafts");
    assert!(window.passes.iter().all(|pass| pass.num_draft_tokens < pass.num_tokens), "each has a token beside them");
}

#[test]
fn without_a_drafter_nothing_is_said_of_drafts() {
    let mut session = Session::default();
    let said = answer(&mut session, &[("num-prompts", "20")]);
    assert_eq!((said.spec_decoding.as_str(), said.series.draft_tokens_per_pass.len()), ("", 0), "no drafter");
    assert!(gantt(&mut session).passes.iter().all(|pass| pass.num_draft_tokens == 0), "no drafts");
}

#[test]
fn groups_are_told_where_blocks_are() {
    let said = answer(&mut Session::default(), &[("num-prompts", "5")]).kv_cache.groups;
    assert_eq!(
        said,
        "2 block tables: 16 layers of full attention with blocks of 16 tokens; 16 layers of a sliding window of 1024 \
         tokens with blocks of 16 tokens"
    );
}

#[track_caller]
fn check_advice(flags: &[(&str, &str)], limit: Option<Limit>, expect: &str) {
    let verdict = answer(&mut Session::default(), flags).verdict;
    assert!(limit.is_none_or(|limit| verdict.limit == limit), "{verdict:?}");
    let advice = verdict.advice.unwrap_or_default();
    assert!(advice.contains(expect), "{advice:?} does not say {expect:?}");
}

#[test]
fn advice_knows_groups_drafts_and_the_interval_of_prompts() {
    let long = [("num-prompts", "64"), ("random-input-len", "8000"), ("random-output-len", "64")];
    let one_group = [
        long.as_slice(),
        &[("max-model-len", "16000"), ("num-gpu-blocks-override", "2000"), ("disable-hybrid-kv-cache-manager", "true")],
    ];
    check_advice(&one_group.concat(), Some(Limit::KvBlocks), "Leave out --disable-hybrid-kv-cache-manager");
    let decodes = [("num-prompts", "40"), ("request-rate", "4"), ("random-output-len", "400")];
    let interval = [decodes.as_slice(), &[("prefill-schedule-interval", "60")]].concat();
    check_advice(&interval, Some(Limit::PrefillInterval), "Lower --prefill-schedule-interval below 60");
    let wasted = [LOOKED_UP, ("spec-acceptance-rates", "0.8,0.5,0.1"), ("goodput", "tpot:0.1")];
    check_advice(&[decodes.as_slice(), &wasted].concat(), None, "Lower num_speculative_tokens below 3: only");
}
