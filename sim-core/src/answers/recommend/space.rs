//! What is tried: a base, and for each of some flags the values that it may have instead.

use alloc::borrow::ToOwned as _;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::operators::gpu_table;
use crate::scenario::{Scenario, ScenarioError};

/// Most candidates of a grid.
pub const MAX_CANDIDATES: u64 = 20_000;

/// Tensor parallel sizes that are tried, as far as there are GPUs.
const TENSOR_PARALLEL_SIZES: [&str; 4] = ["1", "2", "4", "8"];
/// Flags whose values are in the grid unless they are given, and the values besides vLLM's default.
const FLAGS: [(&str, &[&str]); 4] = [
    ("quantization", &["fp8"]),
    ("kv-cache-dtype", &["fp8"]),
    ("max-num-seqs", &["128"]),
    ("max-num-batched-tokens", &["2048", "16384"]),
];
/// One step of each flag that is not in the grid: tried on what is recommended. A switch is turned over.
const STEPS: [(&str, &str); 4] = [
    ("enable-prefix-caching", "false"),
    ("enable-chunked-prefill", "false"),
    ("async-scheduling", "false"),
    ("gpu-memory-utilization", "0.95"),
];
/// The drafter, and how many of its drafts are accepted: they come and go together.
const SPECULATION: [&str; 4] =
    ["speculative-config", "spec-acceptance-length", "spec-acceptance-rates", "spec-acceptance-sequence"];

/// A flag and the values that are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// Its name without dashes.
    pub flag: String,
    /// Its values; of a switch `true` or `false`; `None` for vLLM's default.
    pub values: Vec<Option<String>>,
}

/// The grid.
#[derive(Debug, Clone)]
pub struct Space {
    base: Scenario,
    axes: Vec<Axis>,
}

/// A place in the grid, or beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The flags that stand in axes, with their values.
    pub choices: Vec<(String, Option<String>)>,
    /// All flags.
    pub scenario: Scenario,
}

impl Candidate {
    /// The value of the axis of `flag`.
    #[must_use]
    pub fn choice(&self, flag: &str) -> Option<&str> {
        self.choices.iter().find(|(name, _)| name == flag).and_then(|(_, value)| value.as_deref())
    }
}

/// Why there is no grid.
#[derive(Debug, Clone, PartialEq)]
pub enum SpaceError {
    /// More than [`MAX_CANDIDATES`].
    TooMany {
        /// How many; `u64::MAX` for that and more.
        count: u64,
        /// How many values each flag has.
        sizes: Vec<(String, usize)>,
    },
    /// A flag has no value to try.
    NoValue {
        /// The flag.
        flag: String,
    },
    /// A flag or a value is none.
    Scenario(ScenarioError),
}

impl fmt::Display for SpaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { count, sizes } => {
                write!(f, "the grid has {count} candidates; the limit is {MAX_CANDIDATES}:")?;
                for (place, (flag, size)) in sizes.iter().enumerate() {
                    write!(f, "{} {size} of {flag}", if place == 0 { "" } else { "," })?;
                }
                f.write_str(". Give --vary fewer values, or a flag itself where its value is settled")
            }
            Self::NoValue { flag } => write!(f, "--vary {flag}: give values, as in {flag}=A,B"),
            Self::Scenario(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SpaceError {}

impl From<ScenarioError> for SpaceError {
    fn from(error: ScenarioError) -> Self {
        Self::Scenario(error)
    }
}

impl Space {
    /// The grid around `base`: `vary`, and the usual axes that are neither in it nor given by `base`. Up to `num_gpus` GPUs
    /// are one engine's.
    ///
    /// # Errors
    /// See [`SpaceError`].
    pub fn new(base: &Scenario, vary: &[Axis], num_gpus: u32) -> Result<Self, SpaceError> {
        let mut axes: Vec<Axis> = vec![];
        for axis in usual(num_gpus).into_iter().filter(|axis| base.get(&axis.flag).is_none()) {
            if vary.iter().all(|asked| asked.flag != axis.flag) {
                axes.push(axis);
            }
        }
        for axis in vary {
            if axis.values.is_empty() {
                return Err(SpaceError::NoValue { flag: axis.flag.clone() });
            }
            axes.push(axis.clone());
        }
        if let Some(config) = base.get(SPECULATION[0]).filter(|_| vary.iter().all(|axis| axis.flag != SPECULATION[0])) {
            axes.push(Axis { flag: SPECULATION[0].to_owned(), values: vec![None, Some(config.to_owned())] });
        }
        let space = Self { base: base.clone(), axes };
        let count = space.axes.iter().fold(1_u64, |all, axis| all.saturating_mul(axis.values.len() as u64));
        if count > MAX_CANDIDATES {
            let sizes = space.axes.iter().map(|axis| (axis.flag.clone(), axis.values.len())).collect();
            return Err(SpaceError::TooMany { count, sizes });
        }
        Ok(space)
    }

    /// The axes.
    #[must_use]
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// What was asked for, without any choice.
    #[must_use]
    pub const fn base(&self) -> &Scenario {
        &self.base
    }

    /// All candidates, the last axis fastest.
    ///
    /// # Errors
    /// [`SpaceError::Scenario`] if a value is none of its flag.
    pub fn candidates(&self) -> Result<Vec<Candidate>, SpaceError> {
        let mut all = vec![Candidate { choices: vec![], scenario: self.base.clone() }];
        for axis in &self.axes {
            let mut next = Vec::with_capacity(all.len() * axis.values.len());
            for candidate in &all {
                for value in &axis.values {
                    let mut more = candidate.clone();
                    more.choices.push((axis.flag.clone(), value.clone()));
                    set(&mut more.scenario, &axis.flag, value.as_deref())?;
                    next.push(more);
                }
            }
            all = next;
        }
        Ok(all)
    }

    /// `from` with one choice after the other as in the base: what each is worth.
    #[must_use]
    pub fn without_each_choice(&self, from: &Candidate) -> Vec<(String, Candidate)> {
        let is_other = |flag: &str, value: Option<&str>| value != self.in_base(flag);
        let changed = from.choices.iter().filter(|(flag, value)| is_other(flag, value.as_deref()));
        changed.filter_map(|(flag, _)| Some((flag.clone(), self.changed(from, flag, self.in_base(flag))?))).collect()
    }

    /// What `flag` is where nothing was chosen. A drafter that is given is a choice, as it comes with none beside it.
    fn in_base(&self, flag: &str) -> Option<&str> {
        self.base.get(flag).filter(|_| flag != SPECULATION[0])
    }

    /// Whether what `flag` is in the base may be recommended though it is not among the values of its axis: of several
    /// values none needs to be set. One value is settled, and where it runs is as is said.
    #[must_use]
    pub fn is_free(&self, flag: &str) -> bool {
        let axis = self.axes.iter().find(|axis| axis.flag == flag);
        axis.is_some_and(|axis| axis.values.len() > 1) && !["gpu", "tensor-parallel-size"].contains(&flag)
    }

    /// How many flags of a command `candidate` sets beyond the base.
    #[must_use]
    pub fn num_flags(&self, candidate: &Candidate) -> usize {
        let is_set = |(flag, value): &&(String, Option<String>)| match (flag.as_str(), value.as_deref()) {
            // Where it runs is no flag, and one GPU needs none.
            ("gpu", _) | ("tensor-parallel-size", Some("1")) | (_, None) => false,
            (flag, value) => value != self.in_base(flag),
        };
        candidate.choices.iter().filter(is_set).count()
    }

    /// `from` with one step of each flag that is not in the grid.
    #[must_use]
    pub fn steps(&self, from: &Candidate) -> Vec<(String, Candidate)> {
        let beside = STEPS.iter().filter(|(flag, _)| self.axes.iter().all(|axis| axis.flag != *flag));
        let step = |&(flag, value): &(&str, &str)| {
            let value = if from.scenario.get(flag) == Some("false") { "true" } else { value };
            let is_new = from.scenario.get(flag) != Some(value);
            Some((flag.to_string(), self.changed(from, flag, Some(value))?)).filter(|_| is_new)
        };
        beside.filter_map(step).collect()
    }

    /// `from` with another value of `flag`; `None` if that is no value of it.
    fn changed(&self, from: &Candidate, flag: &str, value: Option<&str>) -> Option<Candidate> {
        let mut candidate = from.clone();
        candidate.choices.retain(|(name, _)| name != flag);
        candidate.choices.push((flag.to_string(), value.map(str::to_owned)));
        set(&mut candidate.scenario, flag, value).ok()?;
        Some(candidate)
    }
}

/// The axes of which nothing needs to be said.
fn usual(num_gpus: u32) -> Vec<Axis> {
    let is_measured = |key: &str| gpu_table::measured(key) == Some(key);
    let gpus = gpu_table::known().into_iter().map(|gpu| gpu.key).filter(|key| is_measured(key)).map(Some).collect();
    let sizes = TENSOR_PARALLEL_SIZES.iter().filter(|size| size.parse().is_ok_and(|size: u32| size <= num_gpus));
    let mut axes = vec![
        Axis { flag: "gpu".to_owned(), values: gpus },
        Axis { flag: "tensor-parallel-size".to_owned(), values: sizes.map(|size| Some((*size).to_owned())).collect() },
    ];
    for (flag, values) in FLAGS {
        let values = core::iter::once(None).chain(values.iter().map(|value| Some((*value).to_owned()))).collect();
        axes.push(Axis { flag: flag.to_owned(), values });
    }
    axes
}

/// Gives `flag` this value; without one vLLM's default holds. A drafter that goes takes what is said of it along.
fn set(scenario: &mut Scenario, flag: &str, value: Option<&str>) -> Result<(), ScenarioError> {
    match value {
        Some("true") if is_switch(flag) => scenario.set(flag, None),
        Some("false") if is_switch(flag) => scenario.set(&alloc::format!("no-{flag}"), None),
        Some(value) => scenario.set(flag, Some(value)),
        None if flag == SPECULATION[0] => {
            SPECULATION.iter().for_each(|flag| scenario.unset(flag));
            Ok(())
        }
        None => {
            scenario.unset(flag);
            Ok(())
        }
    }
}

fn is_switch(flag: &str) -> bool {
    use crate::scenario::{FLAGS, Form};
    FLAGS.iter().any(|known| known.name == flag && known.form == Form::Switch)
}
