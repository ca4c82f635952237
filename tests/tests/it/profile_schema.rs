//! The JSON schema agrees with the reader.

use serde_json::{Value, json};
use sim_core::profile::Profile;

use crate::profile_fixture::{changed, file, h100_bytes, v0};

/// A small structural validator: what `schemars` uses of JSON Schema 2020-12, and no more.
fn conforms(schema: &Value, root: &Value, value: &Value) -> bool {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let pointer = reference.strip_prefix('#').expect("references stay in the schema");
        return conforms(root.pointer(pointer).expect("the reference exists"), root, value);
    }
    let any = |key: &str| schema.get(key).and_then(Value::as_array);
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        other => panic!("unknown type {other}"),
    };
    let type_fits = match schema.get("type") {
        None => true,
        Some(Value::String(name)) => is(name),
        Some(names) => names.as_array().expect("a list of types").iter().any(|name| is(name.as_str().expect("a type"))),
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let object_fits = value.as_object().is_none_or(|object| {
        let is_closed = schema.get("additionalProperties") == Some(&json!(false));
        object.iter().all(|(key, item)| match properties.and_then(|properties| properties.get(key)) {
            Some(property) => conforms(property, root, item),
            None => !is_closed,
        }) && any("required")
            .is_none_or(|keys| keys.iter().all(|key| object.contains_key(key.as_str().expect("a name"))))
    });
    let items_fit = value.as_array().is_none_or(|items| {
        schema.get("items").is_none_or(|each| items.iter().all(|item| conforms(each, root, item)))
            && any("prefixItems").is_none_or(|each| {
                items.len() == each.len() && each.iter().zip(items).all(|(each, item)| conforms(each, root, item))
            })
    });
    let alternatives_fit = ["anyOf", "oneOf"]
        .iter()
        .all(|key| any(key).is_none_or(|each| each.iter().any(|each| conforms(each, root, value))));
    type_fits
        && object_fits
        && items_fit
        && alternatives_fit
        && schema.get("const").is_none_or(|only| only == value)
        && any("enum").is_none_or(|values| values.contains(value))
}

#[test]
fn the_json_schema_accepts_what_the_program_writes_and_refuses_what_it_refuses() {
    let schema = serde_json::to_value(schemars::schema_for!(Profile)).unwrap();
    let accepts = |bytes: &[u8]| conforms(&schema, &schema, &serde_json::from_slice(bytes).unwrap());
    assert!(accepts(&h100_bytes()));
    assert!(accepts(v0().to_json().unwrap().as_bytes()));
    assert!(!accepts(&file("data/profiles/v0.json")), "the schema is that of the newest version");
    assert!(!accepts(&changed("/model/num_hidden_layers", json!("many"))));
    assert!(!accepts(&changed("/host/update/per_pass/basis", json!("guess"))));
    assert!(!accepts(&changed("/validation", json!({"steps": [], "runs": [], "walks": []}))));
    let without_spread = json!({"num_seqs": [1, 2], "time_us": [1.0, 2.0], "num_samples": null});
    assert!(!accepts(&changed("/step_time/head", without_spread)), "unknown must be said, not left out");
}
