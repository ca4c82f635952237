//! Whether the flags of which a profile would be composed agree with a whole-pass profile.

use alloc::borrow::ToOwned as _;
use alloc::string::{String, ToString as _};

use super::same_model::check_same_model;
use super::{Scenario, ScenarioError};
use crate::config::flags::FlagError;
use crate::models::settings::Quantization;
use crate::models::{Catalogue, ModelConfig};
use crate::models::{Dtype, KvCacheDtype};
use crate::operators::gpu_table;
use crate::profile::Profile;

/// Refuses the first flag that `profile` does not hold for.
pub(super) fn check(scenario: &Scenario, profile: &Profile, catalogue: &Catalogue) -> Result<(), ScenarioError> {
    let (args, engine) = (scenario.model_args(), &profile.engine);
    let differs = |flag, given: String, profile: &str| {
        Err(ScenarioError::NotInProfile { flag, given, profile: profile.to_owned() })
    };
    if let Some(Err(other)) = args.model.as_ref().map(|model| check_same_model(model, profile, catalogue)) {
        let [given, own] = other.sides();
        return differs("model", given, if own.is_empty() { &profile.model.name } else { &own });
    }
    let device = &profile.hardware.name;
    let is_device = |key: &String| gpu_table::find(key).is_some_and(|gpu| gpu.name == *device) || key == device;
    if let Some(gpu) = args.gpu.as_ref().filter(|key| !is_device(key)) {
        return differs("gpu", gpu.clone(), device);
    }
    if let Some(dtype) = args.dtype.flatten().filter(|dtype| Dtype::from_name(&engine.dtype) != Some(*dtype)) {
        return differs("dtype", dtype.name().to_owned(), &engine.dtype);
    }
    let profiles = engine.quantization.as_deref();
    if let Some(method) = args.quantization.filter(|method| !profiles.is_some_and(|name| goes_with(*method, name))) {
        return differs("quantization", method.name().to_owned(), profiles.unwrap_or("weights that are not quantised"));
    }
    if let Some(format) = args.kv_cache_dtype.as_ref().filter(|format| !is_kv_cache_dtype(format, profile)) {
        return differs("kv-cache-dtype", format.clone(), &engine.kv_cache_dtype);
    }
    let ranks = engine.tensor_parallel_size;
    if let Some(given) = scenario.engine().tensor_parallel_size.filter(|&given| given != i64::from(ranks)) {
        return differs("tensor-parallel-size", given.to_string(), &ranks.to_string());
    }
    // On one GPU there is nobody to share experts with.
    if args.enable_expert_parallel == Some(true) && ranks > 1 {
        return differs("enable-expert-parallel", String::new(), "an engine of which it says nothing of the kind");
    }
    Ok(())
}

/// Refuses several data-parallel ranks, where one engine is simulated.
pub(super) fn check_one_rank(scenario: &Scenario) -> Result<(), ScenarioError> {
    let why = "several data-parallel ranks are simulated by `profiler simulate` alone; here it is one engine";
    refuse_ranks(scenario, why)
}

/// Refuses several data-parallel ranks that a profile of one engine does not hold for.
pub(super) fn check_ranks(scenario: &Scenario, profile: &Profile, catalogue: &Catalogue) -> Result<(), ScenarioError> {
    let found = catalogue.find(&profile.model.name).ok();
    match found.and_then(|found| ModelConfig::from_json(&found.config_json()).ok()) {
        Some(facts) if facts.num_experts == 0 => Ok(()),
        Some(_) => refuse_ranks(
            scenario,
            "ranks of a model with experts have these in common, and the profile is of an engine that has them alone; \
             choose --model and --gpu instead of a profile",
        ),
        None => refuse_ranks(
            scenario,
            "whether the profile's model has experts, which ranks would have in common, is not known; choose --model and \
             --gpu instead of a profile",
        ),
    }
}

fn refuse_ranks(scenario: &Scenario, why: &'static str) -> Result<(), ScenarioError> {
    if scenario.model_args().data_parallel_size.is_some_and(|size| size > 1) {
        return Err(FlagError::NotSimulated { flag: "--data-parallel-size".to_owned(), why }.into());
    }
    Ok(())
}

/// Whether vLLM takes both for the same weights.
fn goes_with(method: Quantization, profile: &str) -> bool {
    method.name() == profile || Quantization::from_name(profile).is_some_and(|known| method.goes_with(known.name()))
}

/// Whether keys and values of the profile have this format.
fn is_kv_cache_dtype(format: &str, profile: &Profile) -> bool {
    let engine = &profile.engine;
    let profiles = engine.kv_cache_dtype.as_str();
    if format == profiles {
        return true;
    }
    // e5m2 is read by other kernels.
    let known = |name: &str| KvCacheDtype::from_name(name).filter(|_| name != "fp8_e5m2");
    let plain = match known(profiles) {
        Some(KvCacheDtype::Auto) => Dtype::from_name(&engine.dtype).map(KvCacheDtype::Plain),
        other => other,
    };
    known(format).is_some_and(|format| Some(format) == plain)
}
