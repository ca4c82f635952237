//! The flags that a result states: all of a run of ours, and of vLLM's its traffic and what `--metadata` added.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::RepeatError;
use crate::math;
use crate::metrics::json_measured::{MeasuredResult, StatedSimulation};
use crate::scenario::{FLAGS, Flag, Form, Part, Scenario};

/// Flags of the traffic, which vLLM writes into every result under these names with `_` for `-`.
pub(super) const TRAFFIC: [&str; 7] = [
    "request-rate",
    "burstiness",
    "max-concurrency",
    "ramp-up-strategy",
    "ramp-up-start-rps",
    "ramp-up-end-rps",
    "num-prompts",
];

/// Further flags of the workload that say nothing of prompts and lengths.
const NOT_OF_DATASET: [&str; 8] = [
    "seed",
    "self-timed",
    "num-warmups",
    "ready-check-timeout-sec",
    "num-earlier-runs",
    "spec-acceptance-length",
    "spec-acceptance-rates",
    "spec-acceptance-sequence",
];

/// The flags that say what is simulated, with their values as given: what [`crate::metrics::bench_json::Simulation`] has.
#[must_use]
pub fn stated_flags(scenario: &Scenario) -> Vec<(&'static str, String)> {
    let given = scenario.given().filter(|(flag, _)| flag.part != Part::Report);
    given.map(|(flag, value)| (flag.name, value.to_string())).collect()
}

/// What the file states of its run, for people: name, as vLLM writes it, and value.
#[must_use]
pub fn settings(result: &MeasuredResult) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let of_run = result.simulation.as_ref().and_then(|simulation| simulation.flags.as_ref());
    for (name, value) in of_run.into_iter().flatten() {
        let is_of_run = |flag: &Flag| flag.name == name && matches!(flag.part, Part::Engine | Part::Workload);
        if FLAGS.iter().any(is_of_run) && name != "dataset-path" {
            all.push((name.replace('-', "_"), value.clone()));
        }
    }
    for name in TRAFFIC {
        let key = name.replace('-', "_");
        if let Some(value) = value_of(result, &key).filter(|_| all.iter().all(|(name, _)| *name != key)) {
            all.push((key, value));
        }
    }
    all
}

/// The value of a key that is a text or a number.
fn value_of(result: &MeasuredResult, key: &str) -> Option<String> {
    let number = || {
        let number = *result.numbers.get(key)?;
        let is_whole = math::floor(number).to_bits() == number.to_bits() && (0.0..9e15).contains(&number);
        Some(if is_whole { math::round_to_u64(number).to_string() } else { alloc::format!("{number}") })
    };
    result.texts.get(key).cloned().or_else(number)
}

/// What the file and the flags that were given say together.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// Flags of engine and workload.
    pub(super) scenario: Scenario,
    /// Whether the file states every flag of its run.
    pub(super) is_whole: bool,
    /// What the file itself states of the traffic.
    traffic: BTreeMap<&'static str, String>,
    /// Flags that were given on top.
    pub(super) given: BTreeSet<&'static str>,
    pub(super) notes: Vec<String>,
}

impl Merged {
    /// The flags of engine and workload in `given` come on top of the file's, and may not contradict them.
    pub(super) fn new(result: &MeasuredResult, given: &Scenario) -> Result<Self, RepeatError> {
        let mut merged = Self::default();
        match &result.simulation {
            Some(StatedSimulation { flags: Some(flags), .. }) => {
                merged.take_whole(flags)?;
                merged.check_traffic(result)?;
            }
            _ => merged.take_keys(result)?,
        }
        let states_traffic = result.numbers.contains_key("burstiness");
        for (flag, value) in given.given().filter(|(flag, _)| matches!(flag.part, Part::Engine | Part::Workload)) {
            merged.check(flag, value, states_traffic)?;
            merged.scenario.set(flag.name, Some(value))?;
            merged.given.insert(flag.name);
        }
        Ok(merged)
    }

    fn take_whole(&mut self, flags: &[(String, String)]) -> Result<(), RepeatError> {
        self.is_whole = true;
        for (name, value) in flags {
            let is_of_profile = |flag: &&Flag| matches!(flag.part, Part::Model | Part::Report);
            if FLAGS.iter().filter(is_of_profile).all(|flag| flag.name != name) {
                self.scenario.set(name, Some(value))?;
            }
        }
        Ok(())
    }

    /// Refuses a file whose keys say another traffic than its flags: somebody changed it.
    fn check_traffic(&self, result: &MeasuredResult) -> Result<(), RepeatError> {
        // There may be fewer requests than were asked for.
        for flag in FLAGS.iter().filter(|flag| TRAFFIC.contains(&flag.name) && flag.name != "num-prompts") {
            let Some(value) = value_of(result, &flag.name.replace('-', "_")) else { continue };
            let of_flags = self.scenario.get(flag.name).unwrap_or(flag.default);
            if !is_same(&value, of_flags) {
                let of_flags = of_flags.to_string();
                return Err(RepeatError::Changed { flag: flag.name, value, of_flags });
            }
        }
        Ok(())
    }

    /// The traffic, and flags that somebody wrote into the file with `--metadata`.
    fn take_keys(&mut self, result: &MeasuredResult) -> Result<(), RepeatError> {
        let is_read =
            |flag: &&Flag| matches!(flag.part, Part::Engine | Part::Workload) && !TRAFFIC.contains(&flag.name);
        let mut taken = Vec::new();
        for flag in FLAGS.iter().filter(is_read) {
            let value = value_of(result, &flag.name.replace('-', "_")).or_else(|| value_of(result, flag.name));
            let Some(value) = value else { continue };
            let value = if flag.form == Form::Switch { value.to_lowercase() } else { value };
            match self.scenario.set(flag.name, Some(&value)) {
                Ok(()) => taken.push(alloc::format!("--{} {value}", flag.name)),
                Err(error) => self.notes.push(alloc::format!("A key of the file was not read: {error}")),
            }
        }
        if !taken.is_empty() {
            self.notes.push(alloc::format!("Read from the file's metadata: {}", taken.join(", ")));
        }
        // Benchmarks of routers write so how many engines shared the requests.
        for key in result.texts.keys().chain(result.numbers.keys()).filter(|key| key.contains("replicas")) {
            let count = value_of(result, key).and_then(|count| count.trim().parse::<f64>().ok());
            if let Some(count) = count.filter(|&count| count > 1.0) {
                self.notes.push(alloc::format!(
                    "{key} is {count} in the file: several engines shared its requests, and one is simulated, so that the \
                     figures below are of another load"
                ));
            }
        }
        for flag in FLAGS.iter().filter(|flag| TRAFFIC.contains(&flag.name)) {
            let Some(value) = value_of(result, &flag.name.replace('-', "_")) else { continue };
            self.scenario.set(flag.name, Some(&value))?;
            // vLLM states its defaults, too, and a dataset with its own times takes no rate.
            if is_same(flag.default, &value) {
                self.scenario.unset(flag.name);
            }
            self.traffic.insert(flag.name, value);
        }
        if let Some(simulation) = &result.simulation
            && !simulation.vllm_version.is_empty()
        {
            self.scenario.set("vllm-version", Some(&simulation.vllm_version))?;
        }
        Ok(())
    }

    /// Refuses a flag that is not what the file states.
    fn check(&self, flag: &'static Flag, given: &str, states_traffic: bool) -> Result<(), RepeatError> {
        let refusal = |stated| Err(RepeatError::Contradiction { flag: flag.name, given: given.to_string(), stated });
        let stated = self.traffic.get(flag.name).map(String::as_str).or_else(|| self.scenario.get(flag.name));
        match stated {
            // Where the dataset lies is another matter than what is in it.
            _ if flag.name == "dataset-path" => Ok(()),
            Some(stated) if is_same(stated, given) => Ok(()),
            Some(stated) => refusal(Some(stated.to_string())),
            None if !flag.default.is_empty() && is_same(flag.default, given) => Ok(()),
            None if self.is_whole => refusal(None),
            None if states_traffic && TRAFFIC.contains(&flag.name) => refusal(Some(String::new())),
            None => Ok(()),
        }
    }

    /// Whether a flag says what the prompts are.
    pub(super) fn has_dataset(&self) -> bool {
        self.scenario.given().any(|(flag, _)| is_of_dataset(flag))
    }

    /// Takes back what says so.
    pub(super) fn forget_dataset(&mut self) {
        for flag in FLAGS.iter().filter(|flag| is_of_dataset(flag)) {
            self.scenario.unset(flag.name);
        }
    }

    /// Whether one that was given does.
    pub(super) fn was_given_dataset(&self) -> bool {
        FLAGS.iter().any(|flag| self.given.contains(flag.name) && is_of_dataset(flag))
    }
}

fn is_of_dataset(flag: &Flag) -> bool {
    flag.part == Part::Workload && !TRAFFIC.contains(&flag.name) && !NOT_OF_DATASET.contains(&flag.name)
}

/// Equal as numbers, or as text.
fn is_same(a: &str, b: &str) -> bool {
    let number = |text: &str| crate::metrics::python_float::parse(text.trim());
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b).is_eq(),
        _ => a.trim() == b.trim(),
    }
}
