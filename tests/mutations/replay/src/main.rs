//! Prints the recorded schedules that the engine does not reproduce, one a line: `mutation-replay FOLDER`.

#[path = "../../../../profiler/src/verify/difference.rs"]
mod difference;
#[path = "../../../../profiler/src/verify/fleets/mod.rs"]
mod fleets;
#[path = "../../../../profiler/src/verify/kv_connector.rs"]
mod kv_connector;
#[path = "../../../../profiler/src/verify/offloading.rs"]
mod offloading;
#[path = "../../../../profiler/src/verify/recorded_engine.rs"]
mod recorded_engine;
#[path = "../../../../profiler/src/verify/recorded_events.rs"]
mod recorded_events;
#[path = "../../../../profiler/src/verify/recorded_groups.rs"]
#[allow(dead_code)]
mod recorded_groups;
#[path = "../../../../profiler/src/verify/recorded_model.rs"]
mod recorded_model;
#[path = "../../../../profiler/src/verify/recorded_trace.rs"]
mod recorded_trace;
#[path = "../../../../profiler/src/verify/replay.rs"]
mod replay;
#[path = "../../../../profiler/src/verify/tiers.rs"]
mod tiers;
#[path = "../../../../profiler/src/verify/tokens.rs"]
mod tokens;

use std::env;
use std::io::{self, Write as _};
use std::panic;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context as _, Result};

/// Traces are independent, so that is how many are replayed at once.
const NUM_THREADS: usize = 2;

fn main() -> Result<()> {
    let folder = PathBuf::from(env::args().nth(1).context("a folder of recorded schedules is needed")?);
    let files = tokens::trace_files(std::slice::from_ref(&folder))?;
    // A mutated engine may well fail an assertion; that is noticed like anything else.
    panic::set_hook(Box::new(|_| ()));
    let (next, (found, differing)) = (AtomicUsize::new(0), mpsc::channel());
    thread::scope(|scope| {
        for _ in 0..NUM_THREADS {
            let (files, next, found) = (&files, &next, found.clone());
            scope.spawn(move || {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = panic::catch_unwind(|| tokens::verify_file(file));
                    if !matches!(outcome, Ok(Ok(None))) && found.send(file.clone()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    drop(found);
    let mut differing: Vec<_> = differing.into_iter().collect();
    differing.sort();
    let mut out = io::stdout().lock();
    for file in &differing {
        writeln!(out, "{}", file.strip_prefix(&folder).unwrap_or(file).display())?;
    }
    writeln!(out, "{} of {} traces differ", differing.len(), files.len())?;
    Ok(())
}
