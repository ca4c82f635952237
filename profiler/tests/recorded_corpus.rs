//! What the recorded schedules of vLLM cover, counted over the files themselves: a kind of layers, a drafter or a
//! situation that is there too rarely is as good as untested.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

const TRACES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/traces");
const FOLDERS: [&str; 5] = [".", "v0.33", "groups", "speculation", "groups_speculation"];

/// Traces in which each of these has to be.
const FEWEST: usize = 10;
const COVERED: [&str; 41] = [
    "group full",
    "group window",
    "group chunked",
    "group mla",
    "group mamba",
    "mamba states kept",
    "mamba states not kept",
    "mamba states saved inside chunks",
    "mamba junctions kept",
    "one group of several sizes",
    "three kinds of groups",
    "blocks of unequal length",
    "hybrid manager disabled",
    "prefix match unit",
    "retention of everything",
    "retention interval",
    "method ngram",
    "method draft_model",
    "method eagle",
    "method eagle3",
    "method mtp",
    "method dflash",
    "method dspark",
    "changing number of drafts",
    "block of a drafter dropped",
    "keys that look ahead",
    "drafts skipped",
    "chain of MTP layers",
    "synchronous groups",
    "asynchronous groups",
    "synchronous drafts",
    "asynchronous drafts",
    "groups preempted",
    "drafts preempted",
    "groups found in the cache",
    "drafter's prefix found in the cache",
    "aborts among groups",
    "aborts among drafts",
    "stop among accepted drafts",
    "length limit among accepted drafts",
    "drafts up to max_model_len",
];

#[test]
fn every_kind_of_layers_drafter_and_situation_is_recorded_often() {
    let mut counts = BTreeMap::new();
    for path in FOLDERS.into_iter().flat_map(traces) {
        for name in covered(&read(&path)) {
            *counts.entry(name).or_insert(0) += 1;
        }
    }
    for name in COVERED {
        let count = counts.get(name).copied().unwrap_or(0);
        assert!(count >= FEWEST, "{name}: {count} traces, {FEWEST} are needed; all: {counts:#?}");
    }
    let unknown: Vec<_> = counts.keys().filter(|name| !COVERED.contains(name)).collect();
    assert!(unknown.is_empty(), "counted and not asked for: {unknown:?}");
}

#[test]
fn manifests_name_the_files_of_their_folders() {
    let mut all = 0;
    for folder in FOLDERS {
        let manifest = fs::read_to_string(Path::new(TRACES).join(folder).join("MANIFEST.json")).expect("a manifest");
        let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
        let listed: BTreeMap<_, _> = list(&manifest["traces"])
            .iter()
            .map(|row| (row["file"].as_str().expect("a name").to_owned(), number(&row["bytes"])))
            .collect();
        let found: BTreeMap<_, _> = traces(folder)
            .iter()
            .map(|path| {
                let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
                (name.to_owned(), fs::metadata(path).expect("a file").len())
            })
            .collect();
        assert_eq!(listed, found, "{folder}");
        all += found.values().sum::<u64>();
    }
    assert!(all < 12 << 20, "{all} bytes of traces are too many to keep");
}

fn traces(folder: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(Path::new(TRACES).join(folder)).expect("a folder of traces");
    files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "gz"))
        .collect()
}

fn read(path: &Path) -> Value {
    let mut json = vec![];
    let file = fs::File::open(path).expect("a trace");
    flate2::read::GzDecoder::new(file).read_to_end(&mut json).expect("gzip");
    serde_json::from_slice(&json).expect("JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// What of [`COVERED`] is in a trace.
fn covered(trace: &Value) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let has = |key: &str| list(&trace["iterations"]).iter().any(|one| !list(&one[key]).is_empty());
    let hits = ["new", "res"].iter().any(|key| {
        list(&trace["iterations"]).iter().flat_map(|one| list(&one[*key])).any(|admission| number(&admission[1]) > 0)
    });
    let is_async = trace["engine"]["async_scheduling"] == true;
    let mut note = |name, holds: bool| {
        if holds {
            found.insert(name);
        }
    };
    if trace["groups"].is_object() {
        note(if is_async { "asynchronous groups" } else { "synchronous groups" }, true);
        note("groups preempted", has("pre"));
        note("groups found in the cache", hits);
        note("aborts among groups", has("abort"));
        note_groups(trace, &mut note);
    }
    if trace["speculative"].is_object() {
        note(if is_async { "asynchronous drafts" } else { "synchronous drafts" }, true);
        note("drafts preempted", has("pre"));
        note("drafter's prefix found in the cache", hits);
        note("aborts among drafts", has("abort"));
        note_drafter(trace, &mut note);
        note_ends(trace, &mut note);
    }
    found
}

fn note_groups(trace: &Value, note: &mut impl FnMut(&'static str, bool)) {
    let (workload, groups) = (&trace["workload"], list(&trace["groups"]["groups"]));
    let layers = list(&workload["layers"]);
    let specs: BTreeSet<_> = groups.iter().map(|group| group["spec"].as_str().expect("a class")).collect();
    for (spec, name) in [
        ("FullAttentionSpec", "group full"),
        ("SlidingWindowSpec", "group window"),
        ("ChunkedLocalAttentionSpec", "group chunked"),
        ("MLAAttentionSpec", "group mla"),
        ("MambaSpec", "group mamba"),
    ] {
        note(name, specs.contains(spec));
    }
    let differs = |key: &str| layers.iter().any(|layer| layer[key] != layers[0][key]);
    note("one group of several sizes", groups.len() == 1 && (differs("kv_heads") || differs("head_size")));
    note("three kinds of groups", specs.len() > 2);
    note("blocks of unequal length", groups.iter().any(|group| group["block_size"] != groups[0]["block_size"]));
    note("hybrid manager disabled", workload["disable_hybrid"] == true);
    note("prefix match unit", workload["prefix_match_unit"].is_u64());
    let retention = workload.get("retention");
    note("retention of everything", retention.is_some_and(Value::is_null));
    note("retention interval", retention.is_some_and(Value::is_u64));
    let is_kept = workload["mamba_mode"]
        .as_str()
        .map_or(trace["engine"]["enable_prefix_caching"] == true, |mode| mode == "align");
    note("mamba states kept", specs.contains("MambaSpec") && is_kept);
    note("mamba states not kept", specs.contains("MambaSpec") && !is_kept);
    note("mamba states saved inside chunks", layers.iter().any(|layer| layer["checkpoint_alignment"].is_u64()));
    note("mamba junctions kept", workload["shared_prefix_checkpoint"] == true);
}

fn note_drafter(trace: &Value, note: &mut impl FnMut(&'static str, bool)) {
    let (drafter, facts) = (&trace["workload"]["speculative"], &trace["speculative"]);
    for (method, name) in [
        ("ngram", "method ngram"),
        ("draft_model", "method draft_model"),
        ("eagle", "method eagle"),
        ("eagle3", "method eagle3"),
        ("mtp", "method mtp"),
        ("dflash", "method dflash"),
        ("dspark", "method dspark"),
    ] {
        note(name, drafter["method"] == method);
    }
    note("changing number of drafts", drafter["num_speculative_tokens_per_batch_size"].is_array());
    note("block of a drafter dropped", facts["eagle_block_drop"] == true);
    note("keys that look ahead", number(&facts["hash_lookahead"]) > 0);
    note("drafts skipped", list(&trace["iterations"]).iter().any(|one| one["skip"] == 1));
    note("chain of MTP layers", number(&facts["prefill_lookahead"]) > 1);
}

/// How requests with drafts end.
fn note_ends(trace: &Value, note: &mut impl FnMut(&'static str, bool)) {
    let requests = list(&trace["workload"]["requests"]);
    let length = |request: &Value| match (request["prompt_len"].as_u64(), request["prompt_token_ids"].as_array()) {
        (Some(length), _) => length,
        (None, Some(tokens)) => tokens.len() as u64,
        (None, None) => list(&request["prompt"]).iter().map(|run| number(&run[1])).sum(),
    };
    for iteration in list(&trace["iterations"]) {
        for end in list(&iteration["fin"]) {
            let request = &requests[usize::try_from(number(&end[0])).expect("an index")];
            let (by_stop, num_output_tokens) = (end[1] == "stop", number(&end[2]));
            note("drafts up to max_model_len", !by_stop && num_output_tokens < number(&request["max_tokens"]));
            // A synchronous pass says where it began: at the last known token.
            let of_request = |key: &str| list(&iteration[key]).iter().find(|one| one[0] == end[0]);
            let (Some(part), Some(verified)) = (of_request("s"), of_request("acc")) else { continue };
            let is_cut = number(&part[2]) + 1 + number(&verified[2]) + 1 > length(request) + num_output_tokens;
            let is_known = trace["engine"]["async_scheduling"] == false;
            note("stop among accepted drafts", is_known && is_cut && by_stop);
            note("length limit among accepted drafts", is_known && is_cut && !by_stop);
        }
    }
}
