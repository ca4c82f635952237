//! The site's profiles: `profiles/index.json`.

use serde::Deserialize;

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
    /// `measured`, `derived` or `synthetic`.
    pub(crate) kind: String,
    /// One line on what it is.
    #[serde(default, rename = "line")]
    pub(crate) note: String,
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
}
