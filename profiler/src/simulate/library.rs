//! What ships inside the program: the packs of operators of nine GPUs, and the list of models.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use sim_core::models::catalogue::Catalogue;
use sim_core::operators::prices::{MAX_BYTES, Prices};
use sim_core::operators::{Pack, gpu_table};
use sim_core::scenario::link::fingerprint;

use crate::input_file::{Wanted, explained, read_limited};

/// The list of models.
const MODELS: &[u8] = include_bytes!("../../../www/models.json");

/// What an hour of a GPU costs.
const PRICES: &[u8] = include_bytes!("../../../www/prices.json");

macro_rules! packs {
    ($($key:literal),*) => {
        /// The packs that are built in, by the GPU's key.
        pub(crate) const PACKS: &[(&str, &[u8])] =
            &[$(($key, include_bytes!(concat!("../../../www/packs/", $key, ".json")))),*];
    };
}
packs!("h100-sxm", "h200-sxm", "b200-sxm", "b300-sxm", "gb200", "gb300", "l40s", "a100-sxm", "rtx-pro-6000");

/// The list of models.
///
/// # Errors
/// None, unless the program was built with a broken list.
pub(crate) fn catalogue() -> Result<Catalogue> {
    Ok(Catalogue::from_json(MODELS)?)
}

/// The prices of the user's list, or of the one that ships.
///
/// # Errors
/// If the list cannot be read.
pub(crate) fn prices(path: Option<&Path>) -> Result<Prices> {
    let Some(path) = path else { return Ok(Prices::from_json(PRICES)?) };
    Prices::from_json(&read_limited(path, MAX_BYTES)?).with_context(|| path.display().to_string())
}

/// One number for what is composed: packs and models, not prices.
pub(crate) fn built_in() -> u64 {
    let prints = PACKS.iter().map(|(_, file)| *file).chain([MODELS]).flat_map(|file| fingerprint(file).to_le_bytes());
    fingerprint(&prints.collect::<Vec<u8>>())
}

/// A pack, and its file if it is the user's own.
#[derive(Debug)]
pub(crate) struct FoundPack {
    pub(crate) pack: Pack,
    pub(crate) file: Option<Vec<u8>>,
}

/// The pack that `--gpu` means: of a key that is known, or a file. A GPU that nobody measured has another's pack, which is
/// moved to it while composing.
///
/// # Errors
/// If it is neither, or the file is no pack.
pub(crate) fn pack(given: &str) -> Result<FoundPack> {
    let measured = gpu_table::measured(given);
    if let Some((_, file)) = PACKS.iter().find(|(key, _)| Some(*key) == measured) {
        return Ok(FoundPack { pack: Pack::from_json(file).with_context(|| given.to_owned())?, file: None });
    }
    let path = Path::new(given);
    let is_path = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    if !is_path && !path.is_file() {
        let keys: Vec<String> = gpu_table::known().into_iter().map(|gpu| gpu.key).collect();
        bail!("--gpu {given:?} is not known: give one of {}, or the file of a pack", keys.join(", "));
    }
    let file = read_limited(path, Pack::MAX_BYTES)?;
    let pack = Pack::from_json(&file).map_err(|fault| explained(path, &file, Wanted::Pack, fault))?;
    Ok(FoundPack { pack, file: Some(file) })
}
