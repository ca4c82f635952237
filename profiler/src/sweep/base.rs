//! What all points of a sweep have in common, and what each makes of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Error, Result};
use sim_core::config::SpeculativeArgs;
use sim_core::scenario::link::fingerprint;
use sim_core::scenario::{Part, Scenario, find_flag};

use super::axis::Parameter;
use super::grid::Grid;
use crate::input_file::read_limited;
use crate::many::{Request, Summary, Watch};
use crate::simulate::dataset::MAX_DATASET_BYTES;
use crate::simulate::inputs::Inputs;
use crate::simulate::library;
use crate::simulate::model_source::ModelName;

/// Sets of files and composed profiles kept at once: points that differ in nothing else follow each other.
const MAX_KEPT: usize = 32;
/// Points asked for a profile before a sweep is refused because none has one.
const MAX_ASKED: usize = 100;

/// The command line without its grid.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) flags: Scenario,
    pub(crate) link: Option<String>,
    pub(crate) profile: Option<PathBuf>,
    pub(crate) model_name: ModelName,
    pub(crate) tokenizer: Option<PathBuf>,
}

/// Counts the tokens of a text, on any thread.
pub(crate) type Counter<'a> = Option<&'a (dyn Fn(&str) -> usize + Sync)>;

/// One set of [`Inputs`], made by whoever needs it first; or why there is none.
type Kept = Arc<OnceLock<Result<Inputs, String>>>;

/// The points of a grid, ready to run.
pub(crate) struct Points<'a> {
    base: &'a Base,
    grid: Grid<'a>,
    counter: Counter<'a>,
    kept: Mutex<BTreeMap<String, Kept>>,
}

impl<'a> Points<'a> {
    pub(crate) const fn new(base: &'a Base, grid: Grid<'a>, counter: Counter<'a>) -> Self {
        Self { base, grid, counter, kept: Mutex::new(BTreeMap::new()) }
    }

    /// Runs a point: the very run that `profiler simulate` does with its flags.
    ///
    /// # Errors
    /// Why it is refused, as `profiler simulate` says it.
    pub(crate) fn run(&self, point: usize) -> Result<(Summary, bool), String> {
        let kept = self.kept(point);
        let inputs = kept.get_or_init(|| self.inputs(point)).as_ref().map_err(Clone::clone)?;
        let mut scenario = inputs.scenario.clone();
        for (name, value) in self.set(point).filter(|(name, _)| is_light(name)) {
            if value.is_some() {
                scenario.set(name, value).map_err(|error| error.to_string())?;
            }
        }
        let has_goodput = !scenario.report().goodput().is_empty();
        let needs_tokenizer = scenario.workload().dataset_name().needs_tokenizer();
        let request = Request {
            scenario,
            profile: &inputs.choice.profile,
            dataset: inputs.dataset.as_deref(),
            counter: self.counter.filter(|_| needs_tokenizer),
        };
        let summary = request.answer(Watch::default()).map_err(|error| error.to_string())?;
        Ok((summary, has_goodput))
    }

    /// What the answers rest on, by fingerprints: the first profile that there is and its dataset, files that vary, and
    /// what is built in.
    ///
    /// # Errors
    /// If no point has a profile, the reason of the first; if a file cannot be read.
    pub(crate) fn grounds(&self) -> Result<Vec<(String, String)>> {
        let mut grounds = vec![("built in".to_owned(), hex(library::built_in()))];
        let mut first_error = None;
        for point in 0..self.grid.num_points().min(MAX_ASKED) {
            match self.kept(point).get_or_init(|| self.inputs(point)) {
                Ok(inputs) => {
                    let profile = fingerprint(&serde_json::to_vec(&inputs.choice.profile)?);
                    grounds.push((format!("profile {}", inputs.choice.name), hex(profile)));
                    grounds.extend(inputs.dataset.as_ref().map(|file| ("dataset".to_owned(), hex(fingerprint(file)))));
                    first_error = None;
                    break;
                }
                Err(why) => first_error = first_error.or_else(|| Some(why.clone())),
            }
        }
        if let Some(why) = first_error {
            return Err(Error::msg(why));
        }
        grounds.extend(self.base.link.as_ref().map(|link| ("link".to_owned(), hex(fingerprint(link.as_bytes())))));
        let tokenizer = self.base.tokenizer.as_deref().map(|path| ("tokenizer".to_owned(), path.to_owned()));
        for (what, path) in tokenizer.into_iter().chain(self.files()) {
            grounds.push((what, hex(fingerprint(&read_limited(&path, MAX_DATASET_BYTES)?))));
        }
        Ok(grounds)
    }

    /// Files that varying flags name.
    fn files(&self) -> BTreeMap<String, PathBuf> {
        let mut files = BTreeMap::new();
        for (place, parameter) in self.grid.parameters().enumerate() {
            let values = if FILES.contains(&parameter.name.as_str()) { self.grid.values_of(place) } else { vec![] };
            for path in values.into_iter().map(Path::new).filter(|path| path.is_file()) {
                files.insert(format!("{} {}", parameter.name, path.display()), path.to_owned());
            }
        }
        files
    }

    /// What a point sets.
    fn set(&self, point: usize) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let is_set = |(parameter, value): (&'a Parameter, Option<&'a str>)| {
            parameter.is_set.then_some((parameter.name.as_str(), value))
        };
        self.grid.parameters().zip(self.grid.values(point)).filter_map(is_set)
    }

    /// The place of a point's inputs: its own values of the flags that decide them. Of the others only whether they are
    /// given counts, so that they can be set on top of another point's.
    fn kept(&self, point: usize) -> Kept {
        let of = |(name, value): (&str, Option<&str>)| match value {
            Some(_) if is_light(name) => format!("{name}\n"),
            Some(value) => format!("{name}={value}\n"),
            None => String::new(),
        };
        let key: String = self.set(point).map(of).collect();
        // A thread that panicked has left the map whole.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT && !kept.contains_key(&key) {
            kept.clear();
        }
        Arc::clone(kept.entry(key).or_default())
    }

    /// The inputs of a point, as `profiler simulate` puts them together.
    fn inputs(&self, point: usize) -> Result<Inputs, String> {
        let inputs = || -> Result<Inputs> {
            let mut flags = self.base.flags.clone();
            for (name, value) in self.set(point) {
                if value.is_some() {
                    flags.set(name, value)?;
                }
            }
            let Base { link, profile, model_name, .. } = self.base;
            Inputs::new(&flags, link.as_deref(), profile.as_deref(), model_name)
        };
        inputs().map_err(|error| format!("{error:#}"))
    }
}

/// Flags whose values can be files.
const FILES: [&str; 3] = ["model", "gpu", "dataset-path"];

/// Whether a flag, given or not, decides neither profile nor dataset, so that its value can be set afterwards.
fn is_light(name: &str) -> bool {
    const OF_PROFILES: [&str; 3] = ["tensor-parallel-size", "speculative-config", "max-model-len"];
    let is_drafters = SpeculativeArgs::key_of_flag(name).is_some();
    !is_drafters
        && find_flag(name).is_some_and(|(flag, _)| match flag.part {
            Part::Model => false,
            Part::Engine => !OF_PROFILES.contains(&flag.name),
            Part::Workload => !flag.name.starts_with("dataset"),
            Part::Report => true,
        })
}

/// A fingerprint as files have it.
pub(crate) fn hex(fingerprint: u64) -> String {
    format!("{fingerprint:016x}")
}
