//! The generated workloads, and those of files.

use sim_core::profile::SyntheticCosts;

use super::tests::{engine, profile, truth};
use super::workload_file;
use super::workloads::{generate, names};
use crate::engine::Engine;
use crate::engine::mock::MockEngine;

#[test]
fn every_generated_workload_has_its_point() {
    let mut engine = engine(0.0);
    for workload in generate(engine.facts(), &[], 400, 0).expect("all workloads") {
        let run = engine.run(&workload.script).expect("it runs");
        let passes = || run.passes.iter().filter(|pass| !pass.batch(&[]).is_empty());
        let name = workload.name.as_str();
        let num_passes = passes().count();
        assert!((100..=800).contains(&num_passes), "{name}: {num_passes} passes");
        let count = |what: fn(&crate::verify::recorded_trace::Iteration) -> bool| {
            run.passes.iter().filter(|pass| what(&pass.iteration)).count()
        };
        let preempted = count(|iteration| !iteration.pre.is_empty());
        let cached = count(|iteration| iteration.new.iter().any(|new| new.1 > 0));
        let waiting = count(|iteration| iteration.wait.is_some_and(|wait| wait > 0));
        let has_point = match name {
            "kv-tight" => preempted > 0,
            "shared-prefixes" => cached > 10,
            "saturating" => waiting > 10,
            "chunked-prefill" => {
                passes().any(|pass| pass.batch(&[]).prefill_chunks.iter().any(|c| c.num_computed_tokens > 0))
            }
            "one-by-one" => passes().all(|pass| pass.batch(&[]).num_reqs() == 1),
            "aborts" => workload.script.aborts.len() > 5 && count(|iteration| !iteration.abort.is_empty()) > 5,
            _ => true,
        };
        assert!(has_point, "{name}: preempted {preempted}, cached {cached}, waiting {waiting}");
    }
}

#[test]
fn a_small_engine_gets_workloads_it_can_take() {
    let small = SyntheticCosts { num_gpu_blocks: 9, max_model_len: 64, ..truth() };
    let mut profile = profile(small);
    (profile.engine.max_num_seqs, profile.engine.max_num_batched_tokens) = (2, 16);
    profile.model.vocab_size = 3;
    let mut engine = MockEngine::new(&profile, 9, 0.0, 0);
    for workload in generate(engine.facts(), &[], 48, 1).expect("workloads") {
        let run = engine.run(&workload.script).expect("it runs");
        let tokens = workload.script.requests.iter().flat_map(|request| &request.prompt_token_ids);
        assert!(tokens.into_iter().all(|&id| id < 3), "{}", workload.name);
        assert!(!run.passes.is_empty(), "{}", workload.name);
    }
    let huge = MockEngine::new(&profile, 1 << 20, 0.0, 0);
    assert!(generate(huge.facts(), &[], 48, 0).expect("the others").iter().all(|w| w.name != "kv-tight"));
    let error = generate(huge.facts(), &["kv-tight".to_owned()], 48, 0).expect_err("no room");
    assert_eq!(error.to_string(), "kv-tight: this engine's 1048576 KV blocks cannot be filled in reasonable time");
    let error = generate(huge.facts(), &["kv_tight".to_owned()], 48, 0).expect_err("unknown");
    assert!(error.to_string().starts_with("no workload is called \"kv_tight\"; there are steady-light, "), "{error}");
    assert!(names().count() >= 12, "workloads");
}

#[track_caller]
fn check_file(json: &str, expected: Result<usize, &str>) {
    let random = sim_core::rng::Pcg64::stream(0, "file");
    let script = workload_file::parse(json.as_bytes(), engine(0.0).facts(), random);
    let found = script.map(|script| script.requests.iter().map(|request| request.prompt_token_ids.len()).sum());
    assert_eq!(found.map_err(|error| format!("{error:#}")), expected.map_err(str::to_owned), "{json}");
}

#[test]
fn a_workload_comes_from_a_file() {
    check_file(
        r#"{"requests": [{"prompt_len": 5, "max_tokens": 2}, {"prompt_token_ids": [1, 2], "max_tokens": 1}]}"#,
        Ok(7),
    );
    check_file(
        r#"{"requests": [{"prompt_len": 5, "max_tokens": 2}], "queries_per_iter": [0, 2]}"#,
        Err("queries_per_iter adds up to 2, but there are 1 requests"),
    );
    check_file(r#"{"requests": []}"#, Err("0 requests; there must be 1 to 100000"));
    check_file(
        r#"{"requests": [{"prompt_len": 1023, "max_tokens": 2}]}"#,
        Err("requests[0]: 1023 tokens in and 2 out are more than the engine's max_model_len=1024"),
    );
    check_file(
        r#"{"requests": [{"max_tokens": 2}]}"#,
        Err("requests[0]: needs prompt_len or prompt_token_ids, one of them"),
    );
    check_file(
        r#"{"requests": [{"prompt_token_ids": [4000000000], "max_tokens": 2}]}"#,
        Err("requests[0]: prompt_token_ids holds 4000000000; the model's vocab_size is 128256"),
    );
    check_file(
        r#"{"requests": [{"prompt_len": 5, "max_tokens": 2}], "aborts": [[1, 1]]}"#,
        Err("aborts[0]: there is no request 1"),
    );
}

#[test]
fn the_example_files_run() {
    let mut engine = engine(0.0);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads");
    let check = |engine: &mut MockEngine, name: &str, num_requests: usize, num_cached: usize| {
        let workload = workload_file::read(&folder.join(name), engine.facts(), 0).expect("an example");
        let run = engine.run(&workload.script).expect("it runs");
        let admitted = run.passes.iter().flat_map(|pass| &pass.iteration.new);
        let (all, cached): (Vec<_>, Vec<_>) = (admitted.clone().collect(), admitted.filter(|new| new.1 > 0).collect());
        assert_eq!((all.len(), cached.len()), (num_requests, num_cached), "{name}: requests, prefix-cache hits");
    };
    check(&mut engine, "one-burst.json", 16, 0);
    check(&mut engine, "steady.json", 20, 0);
    // All but the first find the 64 tokens that all begin with.
    check(&mut engine, "shared-prefix.json", 8, 7);
    assert_eq!(std::fs::read_dir(folder).expect("the examples").count(), 3, "each example is checked");
}
