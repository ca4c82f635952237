//! What this simulator writes at the end of a result file: with what it was made.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::scalar::Scalar;

/// Most flags that are read; there are fewer.
const MAX_FLAGS: usize = 200;

/// The object `simulation`, as far as it can be read; see [`crate::metrics::bench_json::Simulation`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatedSimulation {
    /// Name of the profile.
    pub profile: String,
    /// Version of vLLM whose scheduler it followed.
    pub vllm_version: String,
    /// Digest of the run.
    pub digest: Option<u64>,
    /// Every flag of the run with its value, if the file has them: the first versions did not write them.
    pub flags: Option<Vec<(String, String)>>,
    /// Fingerprint of the dataset's file, if it had one.
    pub dataset: Option<u64>,
}

impl<'de> Deserialize<'de> for StatedSimulation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SimulationVisitor)
    }
}

struct SimulationVisitor;

impl<'de> Visitor<'de> for SimulationVisitor {
    type Value = StatedSimulation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map (simulation)")
    }

    /// A user's own key of this name, of `--metadata`: it says no more than that.
    fn visit_str<E>(self, _: &str) -> Result<StatedSimulation, E> {
        Ok(StatedSimulation::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StatedSimulation, A::Error> {
        let mut stated = StatedSimulation::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "profile" => stated.profile = text(map.next_value()?).unwrap_or_default(),
                "vllm_version" => stated.vllm_version = text(map.next_value()?).unwrap_or_default(),
                "digest" => stated.digest = text(map.next_value()?).and_then(|text| hexadecimal(&text)),
                "dataset" => stated.dataset = text(map.next_value()?).and_then(|text| hexadecimal(&text)),
                "flags" => stated.flags = Some(map.next_value::<Flags>()?.0),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(stated)
    }
}

fn text(scalar: Scalar) -> Option<String> {
    match scalar {
        Scalar::Text(text) => Some(text),
        _ => None,
    }
}

fn hexadecimal(text: &str) -> Option<u64> {
    let is_hash = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| is_hash)
}

struct Flags(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlagsVisitor;
        impl<'de> Visitor<'de> for FlagsVisitor {
            type Value = Flags;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of at most 200 texts (simulation.flags)")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Flags, A::Error> {
                let mut flags = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    if flags.len() == MAX_FLAGS {
                        return Err(serde::de::Error::invalid_length(flags.len() + 1, &self));
                    }
                    flags.push((name, value));
                }
                Ok(Flags(flags))
            }
        }
        deserializer.deserialize_map(FlagsVisitor)
    }
}
