//! Setups to begin with: examples, and the site's profiles that are whole (`profiles/index.json`).

use serde::Deserialize;
use sim_core::operators::gpu_table;
use sim_core::scenario::examples::{Example, examples};

/// A profile of the site, as the index tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct GalleryEntry {
    /// Its name: the file is `profiles/NAME.json`, and the index names the file.
    #[serde(rename = "file")]
    pub(crate) name: String,
    /// The model.
    pub(crate) model: String,
    /// The device.
    pub(crate) hardware: String,
    /// Number format of the weights.
    pub(crate) weights: String,
    /// Devices of one engine.
    pub(crate) num_devices: u32,
    /// `measured`, `derived` or `synthetic`.
    pub(crate) kind: String,
    /// One line on what it is.
    #[serde(default, rename = "line")]
    pub(crate) note: String,
}

impl GalleryEntry {
    /// What tells it from the other profiles of its model.
    pub(crate) fn setup(&self) -> String {
        let device = self.hardware.strip_prefix("NVIDIA ").unwrap_or(&self.hardware);
        format!("{} × {device}, {} ({})", self.num_devices, self.weights, self.kind)
    }
}

/// The examples of each model, each with what tells it from the others.
pub(crate) fn examples_by_model() -> Vec<(&'static str, Vec<(Example, String)>)> {
    let mut groups: Vec<(&'static str, Vec<(Example, String)>)> = vec![];
    for example in examples() {
        let label = gpu_table::NAMES.iter().find(|gpu| gpu.key == example.gpu).map_or(example.gpu, |gpu| gpu.label);
        let setup = format!("{} × {label}, {}", example.num_gpus, example.quantization.unwrap_or("bf16"));
        match groups.iter_mut().find(|(model, _)| *model == example.model) {
            Some((_, group)) => group.push((example, setup)),
            None => groups.push((example.model, vec![(example, setup)])),
        }
    }
    groups
}

/// The profile of the first visit.
pub(crate) const DEFAULT_PROFILE: &str = "h100-sxm_llama-3.1-8b_bf16_tp1";

/// Most entries that are shown.
const MAX_ENTRIES: usize = 1_000;

/// Reads the index.
pub(crate) fn parse(json: &str) -> Result<Vec<GalleryEntry>, String> {
    let mut entries: Vec<GalleryEntry> =
        serde_json::from_str(json).map_err(|error| format!("profiles/index.json: {error}"))?;
    entries.truncate(MAX_ENTRIES);
    for entry in &mut entries {
        entry.name = entry.name.strip_suffix(".json").unwrap_or(&entry.name).to_owned();
    }
    entries.retain(|entry| sim_core::scenario::link::is_profile_name(&entry.name));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sites_own_index_is_read_and_has_the_profile_of_the_first_visit() {
        let entries = parse(include_str!("../../www/profiles/index.json")).expect("an index");
        let first = entries.iter().find(|entry| entry.name == DEFAULT_PROFILE).expect("the first visit's profile");
        assert!(!first.note.is_empty() && first.kind == "derived", "{first:?}");
    }

    #[test]
    fn examples_of_a_model_stand_together_and_differ_in_words() {
        let groups = examples_by_model();
        assert_eq!(groups.iter().map(|(_, group)| group.len()).sum::<usize>(), examples().count(), "each is in one");
        for (model, group) in &groups {
            let mut setups: Vec<&String> = group.iter().map(|(_, setup)| setup).collect();
            setups.sort_unstable();
            setups.dedup();
            assert_eq!(setups.len(), group.len(), "two examples of {model} read alike: {setups:?}");
        }
    }
}
