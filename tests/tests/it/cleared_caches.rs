//! What an engine with requests that come while it runs tells of a cache that is emptied between them, as a real one did:
//! `record_schedule.py --events` on `tests/data/reset_prefix_cache.json`'s workload, vLLM 0.32.0.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sim_core::config::{EngineConfig, VllmVersion};
use sim_core::kv_cache::events::KvCacheEvent;
use sim_core::live_engine::LiveEngine;
use sim_core::request::TokenRun;
use sim_core::request_set::NewRequest;
use sim_core::speculative::Acceptance;

use crate::engine_properties;
use crate::profile_fixture::file;

/// Events as the recorder writes them: hashes are numbered in the order in which they were first told.
fn written(numbers: &mut BTreeMap<u64, usize>, event: KvCacheEvent) -> Value {
    let mut number = |hash: u64| {
        let next = numbers.len();
        *numbers.entry(hash).or_insert(next)
    };
    match event {
        KvCacheEvent::BlockStored(stored) => {
            let mut tokens: Vec<(u64, u32)> = Vec::new();
            for run in stored.tokens {
                match tokens.last_mut().filter(|(start, len)| start + u64::from(*len) == run.start) {
                    Some((_, len)) => *len += run.len,
                    None => tokens.push((run.start, run.len)),
                }
            }
            let parent = stored.parent_block_hash.map(&mut number);
            let hashes: Vec<_> = stored.block_hashes.into_iter().map(&mut number).collect();
            json!({"stored": {
                "group": stored.group, "block_size": stored.block_size, "parent": parent, "hashes": hashes,
                "tokens": tokens, "salted": stored.cache_salt > 0,
            }})
        }
        KvCacheEvent::BlockRemoved { block_hash, group } => {
            json!({"removed": {"group": group, "hash": number(block_hash)}})
        }
        KvCacheEvent::AllBlocksCleared => json!("cleared"),
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|number| u32::try_from(number).ok()).expect("a number")
}

/// Puts request `index` of the recording into the engine's queue.
fn add(engine: &mut LiveEngine<'_>, index: u32, request: &Value) {
    let run = |pair: &Value| TokenRun { start: pair[0].as_u64().expect("a token"), len: number(&pair[1]) };
    let prompt: Vec<_> = list(request, "prompt").iter().map(run).collect();
    let max_tokens = number(&request["max_tokens"]);
    let output = [TokenRun { start: 2_000_000_000 + u64::from(index) * 1_000_000, len: max_tokens }];
    let new = NewRequest {
        prompt: &prompt,
        output: &output,
        max_tokens,
        stops: false,
        priority: 0,
        arrival_order: u64::from(index),
        id_rank: index,
        cache_salt: u32::from(request.get("cache_salt").is_some()),
    };
    engine.add_request(&new, engine.now()).expect("a possible request");
}

#[test]
fn a_cache_that_is_emptied_is_told_as_the_real_one_tells_it() {
    let trace: Value = serde_json::from_slice(&file("data/reset_prefix_cache.json")).expect("a recording");
    let workload = &trace["workload"];
    let engine = &workload["engine"];
    let config = EngineConfig {
        vllm_version: VllmVersion::from_name("0.32.0").expect("a version"),
        async_scheduling: false,
        ..EngineConfig::new(
            number(&engine["block_size"]),
            number(&engine["num_gpu_blocks"]),
            number(&engine["max_model_len"]),
        )
    };
    let step_time = engine_properties::step_time(&config);
    let mut engine = LiveEngine::new(&config, &step_time, Acceptance::None).expect("an engine");
    engine.keep_kv_cache_events();
    let (mut found, mut numbers, mut requests) = (Vec::new(), BTreeMap::new(), (0..).zip(list(workload, "requests")));
    for (iteration, joining) in list(workload, "queries_per_iter").iter().enumerate() {
        let num_resets = list(workload, "resets").iter().filter(|reset| **reset == json!(iteration)).count();
        (0..num_resets).for_each(|_| assert!(engine.reset_prefix_cache(), "nobody uses it"));
        for (index, request) in
            requests.by_ref().take(joining.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0))
        {
            add(&mut engine, index, request);
        }
        // All of them are answered long before the next come.
        while engine.has_work() {
            engine.advance(|_| {});
            found.extend(engine.take_kv_cache_events().into_iter().map(|event| written(&mut numbers, event)));
        }
    }
    let expect: Vec<Value> = list(&trace, "iterations").iter().flat_map(|entry| list(entry, "kv").to_vec()).collect();
    let count = |kind: &str| expect.iter().filter(|event| event.get(kind).is_some() || **event == json!(kind)).count();
    assert!(count("stored") > 15 && count("removed") > 5 && count("cleared") == 3, "a recording worth its name");
    for (place, (found, expect)) in found.iter().zip(&expect).enumerate() {
        assert_eq!(found, expect, "event {place}");
    }
    assert_eq!(found.len(), expect.len(), "as many events");
}
