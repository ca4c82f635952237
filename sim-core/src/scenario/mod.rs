//! A run as text: the flags of `vllm serve` and `vllm bench serve` that say what is simulated.
//!
//! A [`Scenario`] is what the command line, the page's form, a pasted command and a share link have in common: each
//! flag that was given, once, under vLLM's name. [`prepare()`] turns it into what the simulator takes, so that the same
//! flags are the same run wherever they were typed. [`link`] writes it as the fragment of a URL, [`command`] as
//! commands.

mod acceptance;
mod agreement;
mod asking;
pub mod command;
mod composition;
mod contradiction;
mod dataset_args;
mod dataset_kind;
mod dataset_name;
mod error;
pub mod examples;
mod disaggregation_args;
mod engines;
mod fleet_args;
mod flag;
mod flag_table;
mod autoscaler_args;
mod life_args;
mod role_args;
mod router_args;
pub mod link;
mod client_work;
mod mixture;
mod noise;
mod offloading_args;
mod prepare;
mod ranks;
mod recognise;
mod recognise_error;
pub mod repeat;
mod report_args;
mod same_model;
mod session_args;
mod table_args;
pub mod told;
mod unused_flags;
mod workload_args;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub use asking::{AskedBy, AskedFor, Asking};
use client_work::ClientWork;
pub use composition::{Composed, Composition, DEFAULT_GPU, DEFAULT_MODEL};
pub use dataset_kind::{check_dataset, dataset_flags};
pub use dataset_name::DatasetName;
pub use disaggregation_args::DisaggregationArgs;
pub use engines::{
    Engines, EnginesResult, RanksResult, ReplicasResult, RoleEngine, RoleEngines, RolesResult, imbalances, routers_json,
};
pub use error::ScenarioError;
pub use flag::{Flag, Form, Part};
pub use flag_table::FLAGS;
pub use fleet_args::{FleetArgs, MAX_REPLICAS};
use noise::Noise;
pub use prepare::{Prepared, TextTokens, check_admission, prepare, prepare_fleet, step_time_model};
pub use ranks::Ranks;
pub use recognise::{Recognised, recognise};
pub use recognise_error::RecogniseError;
pub use report_args::ReportArgs;
pub use role_args::Role;
pub use same_model::{Doubt, OtherModel, check_same_config, check_same_model};
pub use workload_args::WorkloadArgs;

use crate::config::flags::{FlagEffect, FlagError, bench_serve_flag, positive, serve_flag, spec_of};
use crate::config::{EngineArgs, SpeculativeArgs, UsageContext};

/// Longest value of a flag, in bytes.
pub const MAX_VALUE_BYTES: usize = 4096;

/// The flags of a run, checked one by one. Two scenarios are equal if the same flags were given.
#[derive(Debug, Clone, Default)]
pub struct Scenario {
    /// By place in [`FLAGS`]; a switch has the value `true` or `false`.
    values: BTreeMap<usize, String>,
    model: composition::ModelArgs,
    engine: EngineArgs,
    workload: WorkloadArgs,
    report: ReportArgs,
    usage_context: UsageContext,
    enforce_eager: bool,
    noise: Noise,
    client_work: ClientWork,
    fleet: FleetArgs,
    life: life_args::LifeArgs,
    disaggregation: DisaggregationArgs,
    role_args: role_args::RoleArgs,
    offloading: offloading_args::OffloadingArgs,
}

impl PartialEq for Scenario {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

impl Scenario {
    /// The scenario of these flags; see [`Self::set`].
    ///
    /// # Errors
    /// Those of [`Self::set`], for the first flag that has one.
    pub fn from_flags<'a>(flags: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Result<Self, ScenarioError> {
        let mut scenario = Self::default();
        for (flag, value) in flags {
            scenario.set(flag, value)?;
        }
        Ok(scenario)
    }

    /// Sets a flag, written as on a command line (`--max-num-seqs`, `--no-enable-prefix-caching`, `-tp`) or without its
    /// dashes, with `_` or `-`. On an error nothing has changed.
    ///
    /// # Errors
    /// [`ScenarioError::Flag`] if vLLM has no such flag, it is not simulated, it needs no simulation
    /// ([`FlagError::NotHere`]), or the value is not of its type; [`ScenarioError::TooLong`].
    pub fn set(&mut self, flag: &str, value: Option<&str>) -> Result<(), ScenarioError> {
        if SpeculativeArgs::key_of_flag(flag).is_some() {
            let mut engine = self.engine.clone();
            engine.set(flag, value)?;
            let whole = engine.speculative_config.unwrap_or_default().to_json();
            return self.set("speculative-config", Some(&whole));
        }
        let (place, is_negated) = find(flag).ok_or_else(|| refusal(flag, value))?;
        let spec = &FLAGS[place];
        if let Some(value) = value.filter(|value| value.len() > MAX_VALUE_BYTES) {
            return Err(ScenarioError::TooLong { flag: spec.name, length: value.len() });
        }
        let value = match (spec.form, value) {
            (Form::Switch, None) => if is_negated { "false" } else { "true" }.to_string(),
            (Form::Switch, Some(value @ ("true" | "false"))) if !is_negated => value.to_string(),
            (Form::Switch, Some(value)) => {
                return Err(FlagError::value(&dashed(spec.name), value, "a switch takes no value").into());
            }
            (_, value) => value
                .filter(|_| !is_negated)
                .ok_or_else(|| FlagError::value(&dashed(flag), value.unwrap_or(""), "a value is needed"))?
                .trim()
                .to_string(),
        };
        self.set_typed(spec, &value)?;
        // As if it were not given: vLLM has no name that says so.
        let is_unsaid = spec.form == Form::Switch && value == "false" && !can_be_off(spec);
        if is_unsaid {
            self.values.remove(&place);
        } else {
            self.values.insert(place, value);
        }
        Ok(())
    }

    /// Forgets a flag, however it was set; vLLM's default holds again.
    pub fn unset(&mut self, flag: &str) {
        let Some((place, _)) = find(flag) else { return };
        if self.values.remove(&place).is_some() {
            let values = core::mem::take(self).values;
            for (place, value) in values {
                // Each was taken before, and what one means does not depend on the others.
                if self.set_typed(&FLAGS[place], &value).is_ok() {
                    self.values.insert(place, value);
                }
            }
        }
    }

    /// The value of a flag as it was given, by any name that [`Self::set`] takes; of a switch `true` or `false`.
    #[must_use]
    pub fn get(&self, flag: &str) -> Option<&str> {
        let (place, _) = find(flag)?;
        self.values.get(&place).map(String::as_str)
    }

    /// The same, by its name in [`FLAGS`] alone: who asks so needs none of vLLM's tables.
    #[must_use]
    pub fn value_of(&self, name: &str) -> Option<&str> {
        self.values.get(&place_of(name)?).map(String::as_str)
    }

    /// Every flag that was given, in the order of [`FLAGS`], as [`Self::set`] reads it: names without dashes, a switch
    /// that is off with `no-` in front.
    #[must_use]
    pub fn flags(&self) -> Vec<(String, Option<String>)> {
        self.given().map(|(flag, value)| flag.written(value)).collect()
    }

    /// Every flag that was given, with its value.
    pub fn given(&self) -> impl Iterator<Item = (&'static Flag, &str)> {
        self.values.iter().map(|(&place, value)| (&FLAGS[place], value.as_str()))
    }

    /// Whether no flag of `part` was given.
    #[must_use]
    pub fn is_default(&self, part: Part) -> bool {
        self.given().all(|(flag, _)| flag.part != part)
    }

    /// The engine arguments.
    #[must_use]
    pub const fn engine(&self) -> &EngineArgs {
        &self.engine
    }

    /// What is sent and when.
    #[must_use]
    pub const fn workload(&self) -> &WorkloadArgs {
        &self.workload
    }

    /// What is reported.
    #[must_use]
    pub const fn report(&self) -> &ReportArgs {
        &self.report
    }

    /// Whose defaults the engine has.
    #[must_use]
    pub const fn usage_context(&self) -> UsageContext {
        self.usage_context
    }

    /// Whether CUDA graphs are off.
    #[must_use]
    pub const fn enforce_eager(&self) -> bool {
        self.enforce_eager
    }

    /// Sets the field that `spec` stands for.
    fn set_typed(&mut self, spec: &'static Flag, value: &str) -> Result<(), ScenarioError> {
        match spec.part {
            Part::Model => self.model.set(spec.name, value),
            Part::Engine => self.set_engine(spec, value),
            Part::Workload => self.workload.set(spec.name, value),
            Part::Report => self.report.set(spec.name, value),
        }
    }

    fn set_engine(&mut self, spec: &'static Flag, value: &str) -> Result<(), ScenarioError> {
        match spec.name {
            "usage-context" => {
                self.usage_context = match value {
                    "server" => UsageContext::OpenAiApiServer,
                    "llm" => UsageContext::LlmClass,
                    _ => return Err(FlagError::value("--usage-context", value, "one of server, llm").into()),
                };
            }
            "enforce-eager" => self.enforce_eager = value == "true",
            "pass-noise" => self.noise = Noise::parse(value)?,
            "client-work" => self.client_work = ClientWork::parse(value)?,
            "replicas" => self.fleet.set_replicas(value)?,
            "router" => self.fleet.set_router(value)?,
            "router-args" => self.fleet.weights = router_args::parse(value)?,
            name if self.life.set(name, value)? => {}
            name if self.disaggregation.set(name, value)? => {}
            name if self.role_args.set(name, value)? => {}
            name if self.offloading.set(name, value)? => {}
            name if spec.form == Form::Switch => {
                let switch = if value == "true" { dashed(name) } else { alloc::format!("--no-{name}") };
                self.engine.set(&switch, None)?;
            }
            name => self.engine.set(&dashed(name), Some(value))?,
        }
        Ok(())
    }
}

/// The flag that a name means, written as on a command line or without dashes, with `_` or `-`, and whether it is the name
/// that turns a switch off; `None` if no scenario has it.
#[must_use]
pub fn find_flag(flag: &str) -> Option<(&'static Flag, bool)> {
    find(flag).map(|(place, is_off)| (&FLAGS[place], is_off))
}

/// The place of the flag of this name.
fn place_of(name: &str) -> Option<usize> {
    FLAGS.iter().position(|flag| flag.name == name)
}

/// The place of a flag in [`FLAGS`], and whether it is written with `--no-`.
fn find(flag: &str) -> Option<(usize, bool)> {
    let name = flag.trim_start_matches('-').replace('_', "-");
    // Most are asked for by these names; vLLM's tables know the others.
    if let Some(place) = place_of(&name) {
        return Some((place, false));
    }
    let spec = ["--", "-"].iter().find_map(|dashes| spec_of(&alloc::format!("{dashes}{name}")));
    let (name, is_off) =
        spec.map_or((name.as_str(), false), |(spec, form)| (spec.name.trim_start_matches('-'), form.is_off));
    place_of(name).map(|place| (place, is_off)).or_else(|| {
        let place = place_of(&positive(name)?)?;
        (FLAGS[place].form == Form::Switch).then_some((place, true))
    })
}

/// Whether a switch has a name that turns it off.
fn can_be_off(flag: &Flag) -> bool {
    spec_of(&dashed(flag.name)).is_none_or(|(spec, _)| spec.can_be_off)
}

/// The flag as a command line has it.
fn dashed(name: &str) -> String {
    alloc::format!("--{}", name.trim_start_matches('-').replace('_', "-"))
}

/// Why a flag that is not in [`FLAGS`] cannot be set.
fn refusal(flag: &str, value: Option<&str>) -> ScenarioError {
    match meaning(flag, value) {
        Ok((_, why)) => FlagError::NotHere { flag: dashed(flag), why }.into(),
        Err(error) => error.into(),
    }
}

/// What a flag of either command means here, and why; see [`serve_flag`].
///
/// # Errors
/// Those of [`serve_flag`].
pub fn meaning(flag: &str, value: Option<&str>) -> Result<(FlagEffect, &'static str), FlagError> {
    let written = if flag.starts_with('-') { flag.to_string() } else { dashed(flag) };
    match serve_flag(&written, value) {
        Err(FlagError::Unknown { .. }) => bench_serve_flag(&written, value),
        found => found,
    }
}
