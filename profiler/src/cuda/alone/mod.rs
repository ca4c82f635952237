//! `profiler profile --engine cuda --operators`: an operator pack of this GPU.
//!
//! [`sites`] says which operators of which shapes; a [`Timer`] times each of them by itself, a [`journal`] keeps what was
//! timed, [`load`] what a long load does to a product's rate, [`pack`] makes the file of it, [`device_facts`] what it says of the GPU. The operators are those of the engine
//! that times whole passes, not vLLM's, and the pack says so. **None of this has run on a GPU yet.**

mod device_facts;
mod journal;
pub(crate) mod load;
#[cfg(test)]
mod mock;
mod pack;
pub(crate) mod sites;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sim_core::operators::Pack;
use sim_core::operators::sustained::LoadReading;

use self::journal::Journal;
use self::sites::{Site, sites};
use super::device::{DeviceProperties, DeviceState, History};
use super::facts::LEAST_FP8_CAPABILITY;
use super::number::Storage;

/// So many sites one after the other that cannot be timed, and the device is taken for lost.
const MOST_FAILURES: u32 = 3;

/// A device that times operators alone.
pub(crate) trait Timer: std::fmt::Debug {
    /// What does not change.
    fn properties(&self) -> &DeviceProperties;

    /// How it is now.
    fn state(&self) -> DeviceState;

    /// Devices of its kind that can sum together, itself included.
    fn num_devices(&self) -> u32;

    /// Microseconds of each point of a site, `None` where memory is short.
    ///
    /// # Errors
    /// If the device or a library fails.
    fn time(&mut self, site: Site) -> Result<Vec<Option<f64>>>;

    /// How fast the product of [`load`] is at each of these moments, in seconds since it began to run without a pause.
    /// Before the first stands a rest.
    ///
    /// # Errors
    /// If the device or a library fails.
    fn under_load(&mut self, storage: Storage, after_s: &[f64]) -> Result<Vec<LoadReading>>;
}

/// How long, and where to.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// What earlier starts spent counts.
    pub(crate) time_budget: Duration,
    /// How long each number format is multiplied in without a pause, beside the budget; 0 leaves that out.
    pub(crate) load_time: Duration,
    pub(crate) journal: PathBuf,
    /// Forget what the journal holds.
    pub(crate) fresh: bool,
    pub(crate) show_progress: bool,
    /// The GPU's name in flags and files; by default the one that is known for it, or one made of the driver's.
    pub(crate) gpu_key: Option<String>,
    /// The day, `YYYY-MM-DD`.
    pub(crate) date: String,
}

/// Times by site, and what was not timed and why.
#[derive(Debug, Default)]
struct Timed {
    times: BTreeMap<Site, Vec<Option<f64>>>,
    num_left: usize,
    failed: Vec<String>,
}

/// Times the operators until all are done or the budget is spent, and makes a pack of them.
///
/// # Errors
/// If the device fails, the journal is of another, or too little was timed for a pack.
pub(crate) fn measure(timer: &mut dyn Timer, options: &Options) -> Result<Pack> {
    let has_fp8 = timer.properties().compute_capability >= LEAST_FP8_CAPABILITY;
    let all = sites(has_fp8, timer.num_devices());
    let (mut journal, earlier) = Journal::open(&options.journal, timer.properties(), &all, options.fresh)?;
    let mut history = History::default();
    let timed = run(timer, options, &all, (&mut journal, earlier), &mut history)?;
    let storages = if has_fp8 { &[Storage::Half, Storage::Fp8][..] } else { &[Storage::Half] };
    // A device that fails here has timed its operators all the same.
    let (sustained, failed) = match load::under_load(timer, storages, options.load_time) {
        Ok(loads) => (loads, None),
        Err(error) => (vec![], Some(format!("What the device keeps up under load is not known: {error:#}."))),
    };
    let about = [history.notes(), not_timed(&timed, all.len()), load::notes(&sustained), failed.into_iter().collect()];
    let told = pack::Told {
        device: timer.properties(),
        gpu_key: options.gpu_key.as_deref(),
        date: &options.date,
        about: about.concat(),
        sustained,
    };
    pack::pack(&timed.times, &told)
}

fn run(
    timer: &mut dyn Timer,
    options: &Options,
    all: &[Site],
    (journal, earlier): (&mut Journal, BTreeMap<Site, journal::Line>),
    history: &mut History,
) -> Result<Timed> {
    let progress = progress_bar(options, all.len());
    let mut spent = Duration::from_millis(earlier.values().map(|line| line.spent_ms).sum());
    let mut timed = Timed::default();
    timed.times.extend(earlier.into_iter().map(|(site, line)| (site, line.times_us)));
    let mut num_failures = 0;
    for &site in all {
        if timed.times.contains_key(&site) {
            continue;
        }
        if spent >= options.time_budget {
            timed.num_left += 1;
            continue;
        }
        progress.set_position(timed.times.len() as u64);
        progress.set_message(format!("{site}; {} of {} s spent", spent.as_secs(), options.time_budget.as_secs()));
        let start = Instant::now();
        match timer.time(site) {
            Ok(times) => {
                num_failures = 0;
                let spent_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
                let line = journal.push(site, spent_ms, &times)?;
                timed.times.insert(site, line.times_us);
                history.see(&timer.state());
            }
            Err(error) => {
                num_failures += 1;
                if num_failures >= MOST_FAILURES {
                    return Err(error).context("what was timed before is in the journal and is not lost");
                }
                timed.failed.push(format!("{site} ({error:#})"));
            }
        }
        spent += start.elapsed();
    }
    progress.finish_and_clear();
    if timed.times.is_empty() {
        bail!("nothing was timed within --time-budget");
    }
    Ok(timed)
}

/// What is missing of what could have been timed, for the pack's notes.
fn not_timed(timed: &Timed, num_sites: usize) -> Vec<String> {
    let mut notes = vec![];
    if timed.num_left > 0 {
        let num_left = timed.num_left;
        notes.push(format!(
            "The time budget ended before {num_left} of {num_sites} shapes were timed, the rarest ones."
        ));
    }
    if !timed.failed.is_empty() {
        notes.push(format!("Could not be timed: {}.", timed.failed.join("; ")));
    }
    notes
}

fn progress_bar(options: &Options, num_sites: usize) -> ProgressBar {
    if !options.show_progress {
        return ProgressBar::hidden();
    }
    let progress = ProgressBar::new(num_sites as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len}; {msg}");
    progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    progress
}
