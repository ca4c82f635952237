//! How good an operator pack is, from the file alone: what is in it, which models it makes up, how much noise was taken
//! out, and whether any time is below what the GPU can do.

mod models;
mod rooflines;
mod table;
mod tables;

use std::io::Write as _;

use anyhow::Result;
use serde::Serialize;
use sim_core::operators::{Pack, sustained};

pub(crate) use table::table;

/// Most bytes of a pack, gzipped, that a page is to load.
const MAX_GZIPPED_BYTES: usize = 400_000;
/// Most that times of a table may have been changed to make them non-falling, in percent on average.
const MAX_SMOOTHING_PERCENT: f64 = 5.0;
/// Share of times that may be below the roofline: small operators are measured inside caches.
const MAX_BELOW_ROOFLINE: f64 = 0.05;

/// What there is to say about a pack.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PackExamination {
    /// The file's name as given.
    pub(crate) file: String,
    /// The GPU's key and label.
    pub(crate) gpu: [String; 2],
    /// Program and day.
    pub(crate) made: String,
    /// What it was made from.
    pub(crate) sources: Vec<String>,
    pub(crate) vllm_version: String,
    /// Operators by format.
    pub(crate) tables: Vec<tables::TableExtent>,
    /// Operators that are not in it.
    pub(crate) missing: Vec<&'static str>,
    /// Models of several families, and whether a profile of each is composed.
    pub(crate) models: Vec<models::ModelVerdict>,
    /// What was changed to make times non-falling, as the notes say.
    pub(crate) smoothing: Vec<tables::Smoothed>,
    /// Times against the GPU's peaks.
    pub(crate) rooflines: rooflines::Rooflines,
    /// What products of the GPU keep up, and how that is known.
    pub(crate) under_load: String,
    pub(crate) gzipped_bytes: usize,
    /// What else the file says of itself.
    pub(crate) notes: Vec<String>,
    /// What is beyond the limits that are stated with it.
    pub(crate) beyond_limits: Vec<String>,
}

/// Whether these bytes say of themselves that they are a pack, well formed or not.
pub(crate) fn is_pack(bytes: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Head {
        pack_version: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Head>(bytes).is_ok_and(|head| head.pack_version.is_some())
}

/// Examines a pack.
///
/// # Errors
/// If it is not a valid one; the message lists every fault.
pub(crate) fn examine(file: &str, bytes: &[u8]) -> Result<PackExamination> {
    let pack = Pack::from_json(bytes)?;
    let (smoothing, notes) = tables::notes(&pack);
    let rooflines = rooflines::rooflines(&pack);
    let gzipped_bytes = gzipped(bytes)?;
    let mut beyond_limits: Vec<String> = smoothing.iter().filter_map(tables::Smoothed::beyond_limit).collect();
    beyond_limits.extend(rooflines.beyond_limit());
    if gzipped_bytes > MAX_GZIPPED_BYTES {
        beyond_limits.push(format!("{gzipped_bytes} bytes gzipped, more than {MAX_GZIPPED_BYTES}"));
    }
    let provenance = &pack.provenance;
    Ok(PackExamination {
        file: file.to_owned(),
        gpu: [pack.gpu.key.clone(), pack.gpu.label.clone()],
        made: format!("{} {}, {}", provenance.tool, provenance.tool_version, provenance.date),
        sources: provenance.sources.iter().map(|source| format!("{} {}", source.name, source.version)).collect(),
        vllm_version: provenance.vllm_version.clone(),
        tables: tables::extents(&pack),
        missing: tables::missing(&pack),
        models: models::verdicts(&pack)?,
        smoothing,
        rooflines,
        under_load: sustained::note(&pack),
        gzipped_bytes,
        notes,
        beyond_limits,
    })
}

fn gzipped(bytes: &[u8]) -> Result<usize> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

#[cfg(test)]
mod tests {
    use super::{examine, is_pack, table};
    use crate::simulate::library::PACKS;
    use sim_core::operators::{Operator, Pack};

    fn shipped(key: &str) -> &'static [u8] {
        PACKS.iter().find(|(its, _)| *its == key).map(|(_, file)| *file).expect("a pack that ships")
    }

    #[test]
    fn a_pack_that_ships_composes_every_family_and_fits_a_page() {
        let examination = examine("h100-sxm.json", shipped("h100-sxm")).expect("a pack");
        assert!(
            examination.missing.is_empty() || !examination.missing.contains(&"product"),
            "{:?}",
            examination.missing
        );
        let refused: Vec<_> = examination.models.iter().filter(|model| model.refusal.is_some()).collect();
        assert!(refused.is_empty(), "{refused:?}");
        assert!(examination.gzipped_bytes < 400_000 && examination.rooflines.num_times > 10_000);
        assert!(examination.smoothing.iter().any(|table| table.table == "Attention of prompts"), "no smoothing found");
        let text = table(&examination).expect("a table");
        for part in
            ["a valid operator pack", "product", "meta-llama/Llama-3.1-8B", "745 TFLOPS in 16 bits", "bytes gzipped"]
        {
            assert!(text.contains(part), "{text}\nwithout {part:?}");
        }
    }

    #[test]
    fn what_a_pack_lacks_is_named_with_the_models_that_need_it() {
        let mut pack = Pack::from_json(shipped("a100-sxm")).expect("a pack");
        pack.curves.retain(|table| table.operator != Operator::Experts);
        let file = pack.to_json().expect("a file");
        let examination = examine("trimmed.json", file.as_bytes()).expect("a pack");
        assert!(examination.missing.contains(&"experts"), "{:?}", examination.missing);
        let refusal = |name: &str| {
            let verdict = examination.models.iter().find(|model| model.name == name).expect("a model that is tried");
            verdict.refusal.clone()
        };
        assert_eq!(refusal("meta-llama/Llama-3.1-8B"), None);
        assert!(refusal("MiniMaxAI/MiniMax-M2.5").is_some_and(|why| why.contains("experts")), "composed");
    }

    #[test]
    fn times_that_no_gpu_can_reach_are_listed() {
        let mut pack = Pack::from_json(shipped("a100-sxm")).expect("a pack");
        for table in &mut pack.curves {
            table.time_us.iter_mut().flatten().flatten().for_each(|time| *time /= 100.0);
        }
        let file = pack.to_json().expect("a file");
        let examination = examine("fast.json", file.as_bytes()).expect("a pack");
        assert!(examination.rooflines.worst.first().is_some_and(|worst| worst.ratio > 10.0), "nothing was found");
        assert!(examination.beyond_limits.iter().any(|limit| limit.contains("roofline")), "{examination:?}");
    }

    #[test]
    fn a_profile_is_no_pack() {
        assert!(is_pack(shipped("l40s")) && !is_pack(b"{\"version\": 1}") && !is_pack(b"[]") && !is_pack(b"{"));
    }
}
