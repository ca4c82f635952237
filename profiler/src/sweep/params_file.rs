//! The parameter files of `vllm bench sweep serve` (`vllm/benchmarks/sweep/param_sweep.py`, vLLM 0.32.0): a list of objects,
//! or an object of them, each with flags of `vllm serve` or of `vllm bench serve`.

use std::fmt;
use std::marker::PhantomData;

use anyhow::{Result, bail, ensure};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// Largest file read.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// vLLM's name for the name of a record, which is no flag.
pub(crate) const NAME: &str = "_benchmark_name";

/// Flags, or [`NAME`], as the file writes them, with their values as a command line has them; `None` for `null`.
pub(crate) type Record = Vec<(String, Option<String>)>;

/// An object with its keys in the order of the file, in which vLLM runs its records.
struct Pairs<V>(Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

struct PairsVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<V> {
    type Value = Pairs<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of flags and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs: Vec<(String, V)> = vec![];
        while let Some((key, value)) = map.next_entry::<String, V>()? {
            // As in Python, the last of a key given twice counts.
            match pairs.iter_mut().find(|(known, _)| *known == key) {
                Some(pair) => pair.1 = value,
                None => pairs.push((key, value)),
            }
        }
        Ok(Pairs(pairs))
    }
}

/// The records of a file.
///
/// # Errors
/// If it is not as vLLM wants it, with the place.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Record>> {
    let is_list = bytes.trim_ascii_start().first() == Some(&b'[');
    let records: Vec<Record> = if is_list {
        let records: Vec<Pairs<Value>> = serde_json::from_slice(bytes)?;
        records.into_iter().map(|Pairs(pairs)| record(pairs)).collect::<Result<_>>()?
    } else {
        let Pairs(records): Pairs<Pairs<Value>> = serde_json::from_slice(bytes)?;
        let named = |(name, Pairs(pairs)): (String, Pairs<Value>)| {
            // A name inside goes before that of the object, as `{"_benchmark_name": name, **params}` has it.
            let name = std::iter::once((NAME.to_owned(), Value::String(name)));
            let mut record = record(name.chain(pairs).collect())?;
            if record.iter().filter(|(key, _)| key == NAME).count() > 1 {
                record.remove(0);
            }
            Ok(record)
        };
        records.into_iter().map(named).collect::<Result<_>>()?
    };
    ensure!(!records.is_empty(), "there is no record in it, so there is nothing to run");
    let mut names: Vec<&str> = records.iter().flatten().filter(|(key, _)| key == NAME).filter_map(value).collect();
    names.sort_unstable();
    if let Some([name, ..]) = names.windows(2).find(|pair| pair.first() == pair.last()) {
        bail!("two records have the {NAME} {name:?}; vLLM wants each once");
    }
    Ok(records)
}

fn value((_, value): &(String, Option<String>)) -> Option<&str> {
    value.as_deref()
}

/// The values of a record as `ParameterSweepItem.apply_to_cmd` gives them to a command.
fn record(pairs: Vec<(String, Value)>) -> Result<Record> {
    let text = |(key, value): (String, Value)| {
        let text = match value {
            Value::Null => None,
            Value::Bool(is_on) => Some(is_on.to_string()),
            Value::Number(number) => Some(number.to_string()),
            Value::String(text) => Some(text),
            object @ Value::Object(_) => Some(object.to_string()),
            Value::Array(_) => {
                bail!("{key:?}: a list is no value of a flag; what vLLM's parser gets of it, it refuses")
            }
        };
        Ok((key, text))
    };
    pairs.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[track_caller]
    fn check(file: &str, expect: &[&str]) {
        let told = |(key, value): &(String, Option<String>)| format!("{key}={}", value.as_deref().unwrap_or("-"));
        let records = read(file.as_bytes()).expect("records");
        let records: Vec<String> =
            records.iter().map(|record| record.iter().map(told).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(records, expect, "{file}");
    }

    #[test]
    fn both_forms_are_read_in_the_order_of_the_file() {
        check(
            r#"[{"max_num_seqs": 32, "async-scheduling": false}, {"compilation_config": {"mode": 3}, "a": null}, {}]"#,
            &["max_num_seqs=32 async-scheduling=false", r#"compilation_config={"mode":3} a=-"#, ""],
        );
        check(
            r#"{"slow": {"request_rate": 1.5}, "all": {"request_rate": "inf", "max_num_seqs": 8}}"#,
            &["_benchmark_name=slow request_rate=1.5", "_benchmark_name=all request_rate=inf max_num_seqs=8"],
        );
        check(r#"{"a": {"_benchmark_name": "b"}}"#, &["_benchmark_name=b"]);
        check(r#"[{"x": 1, "x": 2}]"#, &["x=2"]);
    }

    #[track_caller]
    fn check_refused(file: &str, expect: &str) {
        let error = read(file.as_bytes()).expect_err("refused").to_string();
        assert!(error.contains(expect), "{file}: {error}");
    }

    #[test]
    fn what_vllm_refuses_is_refused() {
        check_refused("[1]", "expected an object of flags and values at line 1 column 2");
        check_refused("{\"a\": 1}", "expected an object of flags and values");
        check_refused("[]", "there is no record in it");
        check_refused("", "EOF");
        check_refused(
            r#"[{"_benchmark_name": "a"}, {"_benchmark_name": "a"}]"#,
            "two records have the _benchmark_name",
        );
        check_refused(r#"[{"goodput": ["ttft:1"]}]"#, "a list is no value of a flag");
    }
}
