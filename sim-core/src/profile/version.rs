//! Older format versions, and how each becomes the next.
//!
//! An upgrader turns a `serde_json::Value` of version n into one of version n + 1 and knows nothing else, so the types
//! in [`super::schema`] describe the newest version only. `tests/data/profiles` keeps one file per old version.

use alloc::format;
use alloc::string::{String, ToString};

use serde_json::{Map, Value, json};

use super::error::{Fault, ProfileError};
use super::schema::{KvCacheLayers, Profile};
use crate::math;

type Object = Map<String, Value>;

/// Turns one version into the next.
type Upgrader = fn(&mut Object) -> Result<(), Fault>;

/// `UPGRADERS[n]` turns version n into version n + 1.
const UPGRADERS: [Upgrader; math::u32_to_usize(Profile::VERSION)] = [from_version_0, from_version_1, from_version_2];

/// Brings a file's value to the newest version.
///
/// # Errors
/// [`ProfileError::NoVersion`], [`ProfileError::NewerVersion`], [`ProfileError::NotUpgradable`].
pub(super) fn upgrade(mut value: Value) -> Result<Value, ProfileError> {
    let Value::Object(root) = &mut value else {
        return Err(ProfileError::NoVersion);
    };
    let Some(version) = root.get("version").and_then(Value::as_u64) else {
        return Err(ProfileError::NoVersion);
    };
    if version > u64::from(Profile::VERSION) {
        return Err(ProfileError::NewerVersion { got: version });
    }
    for (from, upgrader) in (0_u64..).zip(UPGRADERS) {
        if from >= version {
            upgrader(root).map_err(|fault| ProfileError::NotUpgradable { from, fault })?;
            root.insert("version".to_string(), json!(from + 1));
        }
    }
    // Came into version 3 later: files without estimates lack it, and hold as they are.
    if let Some(provenance) = root.get_mut("provenance").and_then(Value::as_object_mut) {
        provenance.entry("range").or_insert(Value::Null);
    }
    Ok(value)
}

/// Version 0 had one host cost, added to every pass, and no front end:
/// `"host": {"per_pass_us": number, "per_request_us": number}`. It knew neither `mixed_batch` nor `validation` nor
/// `smoothing`, and no device but GPUs.
fn from_version_0(root: &mut Object) -> Result<(), Fault> {
    let (per_pass_us, per_request_us) = (host_cost(root, "per_pass_us")?, host_cost(root, "per_request_us")?);
    let cost = |time_us: Value, reason: &str| json!({"time_us": time_us, "basis": "estimate", "reason": reason});
    let unknown = || cost(json!(0.0), "Format version 0 did not hold this cost; counted as nothing.");
    let lumped = "Format version 0 held one host cost for the whole pass; counted before it.";
    let host = json!({
        "schedule": {"per_pass": cost(per_pass_us, lumped), "per_request": cost(per_request_us, lumped)},
        "update": {"per_pass": unknown(), "per_request": unknown()},
    });
    let front_end = json!({
        "request_latency": {"per_request": unknown(), "per_prompt_token": unknown()},
        "output_latency": {"per_pass": unknown(), "per_token": unknown()},
    });
    let note = "Upgraded from format version 0, which did not hold the front end's times: latencies seen by a client \
                are too low.";
    object(root, "provenance")?
        .entry("notes")
        .or_insert_with(|| json!([]))
        .as_array_mut()
        .ok_or_else(|| missing("$.provenance.notes", "an array"))?
        .push(json!(note));
    object(root, "hardware")?.insert("device_type".to_string(), json!("cuda"));
    object(root, "step_time")?.insert("mixed_batch".to_string(), Value::Null);
    root.insert("host".to_string(), host);
    root.insert("front_end".to_string(), front_end);
    root.insert("validation".to_string(), json!({"steps": [], "runs": []}));
    root.insert("smoothing".to_string(), json!([]));
    Ok(())
}

/// Version 1 had no device time between passes: measured passes held it, and derived tables had it added or lacked it.
fn from_version_1(root: &mut Object) -> Result<(), Fault> {
    let is_measured = root.get("provenance").and_then(|provenance| provenance.get("kind")) == Some(&json!("measured"));
    let (basis, reason) = if is_measured {
        ("measured", "Passes were timed until their tokens were there.")
    } else {
        ("estimate", "Format version 1 did not hold this time; counted as nothing.")
    };
    let cost = json!({"time_us": 0.0, "basis": basis, "reason": reason});
    // A file without it is refused like any other that lacks a field.
    if let Some(host) = root.get_mut("host").and_then(Value::as_object_mut) {
        host.insert("between_passes".to_string(), json!({"per_pass": cost, "per_request": cost}));
    }
    Ok(())
}

/// Version 2 knew one kind of layer, which keeps all tokens, and no drafter.
fn from_version_2(root: &mut Object) -> Result<(), Fault> {
    let layers = kv_cache_layers(root);
    // A file without them is refused like any other that lacks a field.
    if let Some(memory) = root.get_mut("memory").and_then(Value::as_object_mut) {
        memory.insert("kv_cache_layers".to_string(), layers);
    }
    if let Some(step_time) = root.get_mut("step_time").and_then(Value::as_object_mut) {
        step_time.insert("verification_attention".to_string(), json!([]));
        step_time.insert("span_attention".to_string(), json!([]));
    }
    root.insert("drafters".to_string(), json!([]));
    Ok(())
}

/// The layers of a version 2 file, from its model and its bytes of a token; none if these are not there.
fn kv_cache_layers(root: &Object) -> Value {
    let number = |path: &str| root.get("model").and_then(|model| model.get(path)).and_then(Value::as_u64);
    let count = |path: &str| number(path).and_then(|number| u32::try_from(number).ok());
    let bytes = root.get("memory").and_then(|memory| memory.get("kv_cache_per_token"));
    let bytes = bytes.and_then(|bytes| bytes.get("bytes")).and_then(Value::as_u64);
    let engine = |name: &str| root.get("engine").and_then(|engine| engine.get(name)).and_then(Value::as_u64);
    let ranks = engine("tensor_parallel_size").and_then(|ranks| u32::try_from(ranks).ok());
    let stages = engine("pipeline_parallel_size").and_then(|stages| u32::try_from(stages).ok());
    let (Some(layers), Some(heads), Some(head_dim), Some(bytes), Some(ranks), Some(stages)) =
        (count("num_hidden_layers"), count("num_key_value_heads"), count("head_dim"), bytes, ranks, stages)
    else {
        return json!([]);
    };
    let heads = (heads / ranks.max(1)).max(1);
    let layers = KvCacheLayers::full_attention(layers.div_ceil(stages.max(1)), heads, head_dim, bytes);
    json!([layers])
}

/// The number `$.host.<field>` of a version 0 file.
fn host_cost(root: &Object, field: &str) -> Result<Value, Fault> {
    root.get("host")
        .and_then(|host| host.get(field))
        .filter(|cost| cost.is_number())
        .cloned()
        .ok_or_else(|| missing(&format!("$.host.{field}"), "a number"))
}

/// The object `$.<field>`.
fn object<'a>(root: &'a mut Object, field: &str) -> Result<&'a mut Object, Fault> {
    root.get_mut(field).and_then(Value::as_object_mut).ok_or_else(|| missing(&format!("$.{field}"), "an object"))
}

fn missing(path: &str, wanted: &str) -> Fault {
    Fault { path: path.to_string(), message: format!("missing or not {wanted}") }
}
