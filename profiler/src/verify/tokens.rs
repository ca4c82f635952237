//! `verify-tokens`: the simulator's schedule against a recording of the real one, field by field.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use sim_core::engine_core::EngineCore;

use super::difference::{Difference, compare_list, compare_value};
use super::fleets;
use super::kv_connector::RecordedConnector;
use super::recorded_groups::{RecordedDrafting, RecordedGroups};
use super::recorded_trace::{Iteration, RecordedTrace};
use super::replay::{Admissions, replay_counting, replay_on};

/// Largest trace read, unpacked.
const MAX_TRACE_BYTES: u64 = 1 << 30;

/// Every `.json` and `.json.gz` file under `paths`, sorted; `MANIFEST.json` files are not traces.
pub(crate) fn trace_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = vec![];
    for path in paths {
        if path.is_dir() {
            collect_traces(path, &mut files, 0)?;
        } else {
            ensure!(path.exists(), "{}: no such file or folder", path.display());
            files.push(path.clone());
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "no .json or .json.gz file under {paths:?}");
    Ok(files)
}

fn collect_traces(folder: &Path, files: &mut Vec<PathBuf>, depth: u32) -> Result<()> {
    ensure!(depth < 32, "{}: folders are nested more than 32 deep", folder.display());
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            collect_traces(&path, files, depth + 1)?;
        } else if name != "MANIFEST.json" && (name.ends_with(".json") || name.ends_with(".json.gz")) {
            files.push(path);
        }
    }
    Ok(())
}

/// Replays one recorded trace; `None` if every field of every pass agrees.
pub(crate) fn verify_file(path: &Path) -> Result<Option<Difference>> {
    let place = || path.display().to_string();
    let mut bytes = vec![];
    let file = File::open(path).with_context(place)?;
    let reader: Box<dyn Read> = if path.extension().is_some_and(|extension| extension == "gz") {
        Box::new(GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    reader.take(MAX_TRACE_BYTES + 1).read_to_end(&mut bytes).with_context(place)?;
    if bytes.len() as u64 > MAX_TRACE_BYTES {
        bail!("{}: more than {MAX_TRACE_BYTES} bytes", path.display());
    }
    verify(&bytes).with_context(place)
}

/// Replays a recorded trace given as JSON: of an engine or of a fleet.
pub(crate) fn verify(json: &[u8]) -> Result<Option<Difference>> {
    if let Some(difference) = fleets::verify(json)? {
        return Ok(difference);
    }
    let trace: RecordedTrace = serde_json::from_slice(json).context("not a recorded scheduler trace")?;
    compare_with(&trace, RecordedConnector::of(json)?.as_ref())
}

/// Replays a recorded trace of an engine without a KV connector.
pub(crate) fn compare(trace: &RecordedTrace) -> Result<Option<Difference>> {
    compare_with(trace, None)
}

fn compare_with(trace: &RecordedTrace, connector: Option<&RecordedConnector>) -> Result<Option<Difference>> {
    let config = trace.config()?;
    if let Some(expected) = &trace.groups {
        let found = RecordedGroups::of(&config, expected);
        if let Some(difference) = compare_value(0, "groups of layers (groups)", expected, &found) {
            return Ok(Some(difference));
        }
    }
    if trace.speculative.is_some() {
        let found = RecordedDrafting::of(&config, trace.speculative.as_ref());
        if let Some(difference) = compare_value(0, "what follows from the drafter", &trace.speculative, &found) {
            return Ok(Some(difference));
        }
    }
    let (requests, ids) = trace.workload.requests(config.max_model_len)?;
    let usable_blocks = config.num_gpu_blocks - 1;
    ensure!(
        trace.usable_blocks == usable_blocks,
        "usable_blocks is {}, but num_gpu_blocks leaves {usable_blocks}",
        trace.usable_blocks
    );
    let mut aborts = vec![];
    for (iteration, id) in &trace.workload.aborts {
        let id = ids.get(id).with_context(|| format!("aborts: no request has the id {id:?}"))?;
        aborts.push((*iteration, *id));
    }
    let all_at_once = || vec![u32::try_from(requests.len()).unwrap_or(u32::MAX)];
    let queries_per_iter = trace.workload.queries_per_iter.clone().unwrap_or_else(all_at_once);
    let joining: u64 = queries_per_iter.iter().map(|&count| u64::from(count)).sum();
    ensure!(
        joining == requests.len() as u64,
        "queries_per_iter adds {joining} requests, but there are {}",
        requests.len()
    );
    let mut recorded = trace.iterations.iter();
    let mut difference = None;
    let mut num_iterations = 0;
    let admissions = Admissions { queries_per_iter, aborts };
    let mut engine = match connector {
        Some(connector) => connector.engine(&config, &requests)?,
        None => EngineCore::new(&config, &requests),
    };
    if trace.iterations.iter().any(|iteration| !iteration.kv.is_empty()) {
        engine.keep_kv_cache_events();
    }
    replay_on(engine, &config, &admissions, |found| {
        num_iterations += 1;
        difference = match recorded.next() {
            Some(expected) => first_difference(expected, &found),
            None => Some(Difference::in_length(found.i, trace.iterations.len(), "more".to_owned())),
        };
        difference.is_none()
    });
    if difference.is_none() && recorded.next().is_some() {
        difference = Some(Difference::in_length(num_iterations, trace.iterations.len(), num_iterations.to_string()));
    }
    if difference.is_none() && connector.is_none() {
        let mut recorded = trace.iterations.iter();
        replay_counting(&config, &requests, &admissions, |found| {
            // Whom it counts it does not list, and it tells of no blocks.
            let scheduled =
                |expected: &Iteration| Iteration { s: expected.s.clone(), kv: expected.kv.clone(), ..found.clone() };
            difference = recorded.next().and_then(|expected| first_difference(expected, &scheduled(expected)));
            difference.is_none()
        });
    }
    Ok(difference)
}

/// The first field of an iteration in which `found` is not as `expected`.
pub(crate) fn first_difference(expected: &Iteration, found: &Iteration) -> Option<Difference> {
    let i = expected.i;
    let scheduled = |iteration: &Iteration| iteration.s.clone().unwrap_or_default();
    let tokens = |iteration: &Iteration| scheduled(iteration).iter().map(|s| (s.0, s.1)).collect::<Vec<_>>();
    let computed = |iteration: &Iteration| scheduled(iteration).iter().map(|s| (s.0, s.2)).collect::<Vec<_>>();
    let just = |ids: &[u32]| ids.iter().map(|&id| (id, ())).collect::<Vec<_>>();
    let accepted = |iteration: &Iteration| iteration.acc.iter().map(|a| (a.0, (a.1, a.2))).collect::<Vec<_>>();
    let finished = |iteration: &Iteration| iteration.fin.iter().map(|f| (f.0, (f.1.clone(), f.2))).collect::<Vec<_>>();
    compare_value(i, "iteration number", &expected.i, &found.i)
        .or_else(|| compare_list(i, "requests added (add)", &just(&expected.add), &just(&found.add)))
        .or_else(|| compare_list(i, "requests aborted (abort)", &just(&expected.abort), &just(&found.abort)))
        .or_else(|| compare_value(i, "whether a pass was issued (s)", &expected.s.is_some(), &found.s.is_some()))
        .or_else(|| compare_list(i, "requests preempted (pre)", &just(&expected.pre), &just(&found.pre)))
        .or_else(|| compare_list(i, "num_scheduled_tokens (s)", &tokens(expected), &tokens(found)))
        .or_else(|| compare_list(i, "num_computed_tokens before the pass (s)", &computed(expected), &computed(found)))
        .or_else(|| compare_list(i, "drafts verified (spec)", &expected.spec, &found.spec))
        .or_else(|| compare_value(i, "whether drafts are skipped (skip)", &expected.skip, &found.skip))
        .or_else(|| compare_value(i, "drafts to propose (k)", &expected.k, &found.k))
        .or_else(|| compare_list(i, "new requests and their cached tokens (new)", &expected.new, &found.new))
        .or_else(|| compare_list(i, "resumed requests and their cached tokens (res)", &expected.res, &found.res))
        .or_else(|| compare_value(i, "free blocks after scheduling (free)", &expected.free, &found.free))
        .or_else(|| compare_value(i, "running requests (run)", &expected.run, &found.run))
        .or_else(|| compare_value(i, "waiting requests (wait)", &expected.wait, &found.wait))
        .or_else(|| compare_value(i, "iteration of the pass processed (done)", &expected.done, &found.done))
        .or_else(|| compare_list(i, "drafts accepted (acc)", &accepted(expected), &accepted(found)))
        .or_else(|| compare_value(i, "tokens delivered (ntok)", &expected.ntok, &found.ntok))
        .or_else(|| compare_list(i, "requests finished (fin)", &finished(expected), &finished(found)))
        .or_else(|| compare_value(i, "free blocks at the end (free_end)", &expected.free_end, &found.free_end))
        .or_else(|| compare_value(i, "events of the KV cache (kv)", &expected.kv, &found.kv))
        .or_else(|| connector_difference(expected, found))
}

/// The same for what a KV connector was told and said.
fn connector_difference(expected: &Iteration, found: &Iteration) -> Option<Difference> {
    let i = expected.i;
    let loads = |iteration: &Iteration| iteration.load.iter().map(|l| (l.0, (l.1, l.2))).collect::<Vec<_>>();
    let just = |ids: &[u32]| ids.iter().map(|&id| (id, ())).collect::<Vec<_>>();
    compare_list(i, "asynchronous loads that begin (load)", &loads(expected), &loads(found))
        .or_else(|| compare_list(i, "loads within the pass (ext)", &expected.ext, &found.ext))
        .or_else(|| compare_list(i, "loads taken in (ready)", &expected.ready, &found.ready))
        .or_else(|| compare_value(i, "waiting requests that hold blocks (hold)", &expected.hold, &found.hold))
        .or_else(|| compare_list(i, "loads that have ended (recv)", &just(&expected.recv), &just(&found.recv)))
        .or_else(|| compare_list(i, "blocks that were sent (sent)", &just(&expected.sent), &just(&found.sent)))
        .or_else(|| compare_value(i, "stores that begin (store)", &expected.store, &found.store))
        .or_else(|| compare_value(i, "jobs that are flushed (flush)", &expected.flush, &found.flush))
        .or_else(|| compare_value(i, "jobs that have ended (jobs)", &expected.jobs, &found.jobs))
        .or_else(|| compare_value(i, "chunks of the tier (tier)", &expected.tier, &found.tier))
        .or_else(|| {
            compare_value(i, "transfers to tiers behind it that begin (cascade)", &expected.cascade, &found.cascade)
        })
        .or_else(|| compare_value(i, "transfers from these that begin (promote)", &expected.promote, &found.promote))
        .or_else(|| compare_value(i, "what these are asked for (ask)", &expected.ask, &found.ask))
        .or_else(|| compare_value(i, "transfers found to be over (polled)", &expected.polled, &found.polled))
        .or_else(|| compare_value(i, "chunks of each of these tiers (files)", &expected.files, &found.files))
        .or_else(|| compare_value(i, "tokens of loads that came from these (disk)", &expected.disk, &found.disk))
}
