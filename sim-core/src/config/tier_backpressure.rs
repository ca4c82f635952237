//! `backpressure` of a tier behind host memory, as a user gives it.
//!
//! Source: `vllm/v1/kv_offload/tiering/spec.py` (what a tier inherits), `tiering/factory.py` (which classes) and the
//! defaults of `tiering/backpressure.py::EMABackpressureDetector`.

use alloc::string::String;

use serde_json::{Map, Value};

use super::kv_transfer_key_error::KvTransferKeyError;
use super::tier_keys::Reader;
use crate::kv_offload::settings::{BackpressurePolicy, BackpressureSettings};

/// High and low mark of a tier on the host, and of one behind a network.
const LOCAL_MARKS: (f64, f64) = (0.010, 0.002);
const NETWORK_MARKS: (f64, f64) = (0.050, 0.010);

const CLASS: &str = "EMABackpressureDetector, with ThrottledDropPolicy or DropStorePolicy, is";
const NUMBER: &str = "a number of at least 0";

/// Backpressure of a tier whose own settings come before the `defaults` of all tiers; `None` if neither is given.
pub(super) fn of_tier(
    reader: &Reader<'_>,
    defaults: Option<&Map<String, Value>>,
    is_remote: bool,
) -> Result<Option<BackpressureSettings>, KvTransferKeyError> {
    let own = match reader.given.get("backpressure") {
        None => None,
        Some(value) => Some(value.as_object().ok_or_else(|| reader.wrong("backpressure", "an object"))?),
    };
    if own.is_none() && defaults.is_none_or(Map::is_empty) {
        return Ok(None);
    }
    let get = |key: &str| own.and_then(|own| own.get(key)).or_else(|| defaults.and_then(|all| all.get(key)));
    let given = [own, defaults].into_iter().flatten().flat_map(Map::keys);
    for key in given {
        match key.as_str() {
            "backpressure_cls" | "policy_cls" | "high_water_s" | "low_water_s" | "alpha" => {}
            "warmup_completions" | "decay_half_life_s" | "cooldown_s" => {}
            _ => return Err(reader.not_simulated("backpressure", "one of its keys is no setting of the detector's")),
        }
    }
    let class = |key| get(key).and_then(Value::as_str).map(|name| name.rsplit('.').next().unwrap_or(name));
    if class("backpressure_cls") != Some("EMABackpressureDetector") {
        return Err(reader.not_simulated("backpressure", CLASS));
    }
    let policy = match (get("policy_cls").is_some(), class("policy_cls")) {
        (false, _) | (true, Some("ThrottledDropPolicy")) => BackpressurePolicy::Throttled,
        (true, Some("DropStorePolicy")) => BackpressurePolicy::Drop,
        (true, _) => return Err(reader.not_simulated("backpressure", CLASS)),
    };
    let number = |key: &str, otherwise: f64| match get(key) {
        None => Ok(otherwise),
        Some(value) => {
            let number = value.as_f64().filter(|number| number.is_finite() && *number >= 0.0);
            number.ok_or_else(|| reader.wrong("backpressure", NUMBER))
        }
    };
    let (high, low) = if is_remote { NETWORK_MARKS } else { LOCAL_MARKS };
    let settings = BackpressureSettings {
        high_water_s: number("high_water_s", high)?,
        low_water_s: number("low_water_s", low)?,
        alpha: number("alpha", 0.15)?,
        warmup_completions: match get("warmup_completions") {
            None => 10,
            Some(value) => {
                let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
                count.ok_or_else(|| reader.wrong("backpressure", "warmup_completions, a whole number"))?
            }
        },
        decay_half_life_s: number("decay_half_life_s", 2.0)?,
        cooldown_s: number("cooldown_s", 1.0)?,
        policy,
    };
    if !(settings.alpha > 0.0 && settings.alpha <= 1.0) || settings.low_water_s > settings.high_water_s {
        return Err(reader.wrong("backpressure", "alpha above 0 and at most 1, low_water_s at most high_water_s"));
    }
    Ok(Some(settings))
}
