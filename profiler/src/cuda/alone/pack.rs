//! From times to a pack.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use sim_core::config::VllmVersion;
use sim_core::operators::schema::{CurveTable, GridTable, PackProvenance};
use sim_core::operators::sustained::UnderLoad;
use sim_core::operators::{Operator, Pack};
use sim_core::profile::schema::Source;

use super::device_facts;
use super::sites::{ALL_GATHER_BYTES, ALL_REDUCE_BYTES, CONTEXTS, PROMPTS, ROWS, SEQS, Site, format_name};
use crate::cuda::collectives::timed_sizes;
use crate::cuda::device::DeviceProperties;
use crate::cuda::number::Storage;
use crate::cuda::provenance;
use crate::cuda::shape::Matrix;
use crate::import::packs::grids::{Cells, grid};
use crate::import::packs::rounded;
use crate::import::packs::tidy::Tidier;

/// Bytes of a number that is summed.
const NUM_BYTES: u64 = 2;
/// Whose operators these are.
const OWN: &str = "Operators of profiler's own were timed one by one on this device, none of vLLM's: matrix products by \
                   cuBLASLt's first choice of an algorithm, attention by kernels of profiler's, collectives by NCCL. \
                   vLLM's may be faster or slower.";
/// How.
const HOW: &str = "Each was captured as a CUDA graph and replayed three times, the median taken; weights, keys and values \
                   were random, scattered, and in no cache at the start of a replay. Products in fp8 have one scale a \
                   matrix; what quantises their inputs is not in their time. Attention over a cache in fp8 multiplies in \
                   16 bits.";
/// What the engine has no kernels for.
const MISSING: &str = "Not in this pack, as profiler has no such kernels: experts, latent attention, sparse latent \
                       attention, gated delta networks, Kimi's delta attention, vLLM's own all-reduce, reduce-scatter, \
                       all-to-all, matrices in 4 bits or with scales of blocks, windows, heads of other widths than 64 and \
                       128. Models with experts are refused by name. Other heads, windows, formats and latent attention \
                       are carried from what was timed, delta networks follow a formula, NCCL's all-reduce stands for \
                       vLLM's; a composed profile's notes say so.";

/// What is told beside the times.
pub(super) struct Told<'a> {
    pub(super) device: &'a DeviceProperties,
    pub(super) gpu_key: Option<&'a str>,
    pub(super) date: &'a str,
    /// Of clocks, and of what was not timed.
    pub(super) about: Vec<String>,
    /// Rates under load, if they were measured.
    pub(super) sustained: Vec<UnderLoad>,
}

type Times = BTreeMap<Site, Vec<Option<f64>>>;

/// The pack of these times.
///
/// # Errors
/// If the GPU's rates are unknown, or it is no valid pack.
pub(super) fn pack(times: &Times, told: &Told<'_>) -> Result<Pack> {
    let (gpu, note) = device_facts::gpu(told.device, told.gpu_key, times)?;
    let mut tidier = Tidier::default();
    let (mut curves, mut grids) = (vec![], vec![]);
    for storage in [Storage::Half, Storage::Fp8] {
        curves.extend(products(times, storage, &mut tidier));
        curves.extend(prompts(times, storage, &mut tidier));
        grids.extend(decodes(times, storage, &mut tidier));
    }
    curves.extend(collectives(times, &mut tidier));
    let versions: Vec<String> =
        told.device.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let (major, minor) = told.device.compute_capability;
    let mut notes = vec![OWN.to_owned(), HOW.to_owned(), MISSING.to_owned()];
    notes.push(format!(
        "Measured on {}, compute capability {major}.{minor}, with {}. The version of vLLM that is named is the one whose \
         scheduling follows; none of its operators ran.",
        told.device.name,
        versions.join(", ")
    ));
    notes.extend(note);
    notes.extend(told.about.iter().cloned());
    notes.extend(tidier.notes());
    let pack = Pack {
        pack_version: Pack::VERSION,
        provenance: PackProvenance {
            tool: "profiler".to_owned(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            date: told.date.to_owned(),
            sources: sources(told.device),
            vllm_version: VllmVersion::NEWEST.name().to_owned(),
            notes,
        },
        gpu,
        sustained: told.sustained.clone(),
        curves,
        grids,
    };
    pack.validate().context("the times make no valid pack")?;
    Ok(pack)
}

fn sources(device: &DeviceProperties) -> Vec<Source> {
    let mut sources = provenance::sources(&device.versions);
    let nccl = device.versions.iter().find(|(name, _)| name == "NCCL");
    sources.extend(nccl.map(|(name, version)| Source {
        name: name.clone(),
        version: version.clone(),
        licence: "BSD-3-Clause".to_owned(),
        url: "https://github.com/NVIDIA/nccl".to_owned(),
    }));
    sources
}

/// A row as packs have it: made non-falling and rounded. `None` if it has fewer than two times.
fn row(times: &[Option<f64>], what: &str, tidier: &mut Tidier) -> Option<Vec<Option<f64>>> {
    let known: Vec<f64> = times.iter().flatten().copied().collect();
    if known.len() < 2 {
        return None;
    }
    let mut smooth = tidier.curve(what, &known).into_iter();
    Some(times.iter().map(|time| time.and(smooth.next()).map(rounded)).collect())
}

/// Rows of shapes as a table; `None` without rows.
fn table(
    operator: Operator,
    [format, kernel]: [&str; 2],
    counts: Vec<u32>,
    rows: Vec<(Vec<u32>, Vec<Option<f64>>)>,
) -> Option<CurveTable> {
    if rows.is_empty() {
        return None;
    }
    let (shapes, time_us) = rows.into_iter().unzip();
    let kernels = vec![kernel.to_owned()];
    Some(CurveTable { operator, format: format.to_owned(), variant: String::new(), kernels, counts, shapes, time_us })
}

fn products(times: &Times, storage: Storage, tidier: &mut Tidier) -> Option<CurveTable> {
    let format = format_name(storage);
    let mut rows = vec![];
    for (site, times) in times {
        if let Site::Product(Matrix { rows: n, columns: k }, its) = *site
            && its == storage
            && let Some(row) = row(times, &format!("Matrix products in {format}"), tidier)
        {
            rows.push((vec![n, k], row));
        }
    }
    table(Operator::Product, [format, "cublasLt"], ROWS.to_vec(), rows)
}

fn prompts(times: &Times, storage: Storage, tidier: &mut Tidier) -> Option<CurveTable> {
    let mut rows = vec![];
    for (site, times) in times {
        if let Site::Prompt(heads, its) = *site
            && its == storage
            && let Some(row) = row(times, "Attention of prompts", tidier)
        {
            rows.push((heads.sizes(), row));
        }
    }
    table(Operator::PromptAttention, [format_name(storage), "profiler_prefill_attention"], PROMPTS.to_vec(), rows)
}

fn decodes(times: &Times, storage: Storage, tidier: &mut Tidier) -> Option<GridTable> {
    let (mut shapes, mut time_us) = (vec![], vec![]);
    for (site, times) in times {
        if let Site::Decode(heads, its) = *site
            && its == storage
            && let Some(rows) = decode_rows(times, tidier)
        {
            shapes.push(heads.sizes());
            time_us.push(rows);
        }
    }
    (!shapes.is_empty()).then(|| GridTable {
        operator: Operator::DecodeAttention,
        format: format_name(storage).to_owned(),
        variant: String::new(),
        kernels: vec!["profiler_decode_attention".to_owned()],
        num_seqs: SEQS.to_vec(),
        context_tokens: CONTEXTS.to_vec(),
        shapes,
        time_us,
    })
}

fn decode_rows(times: &[Option<f64>], tidier: &mut Tidier) -> Option<Vec<Vec<Option<f64>>>> {
    let places = SEQS.into_iter().flat_map(|seqs| CONTEXTS.map(|context| (seqs, context)));
    let cells: Cells = places.zip(times).filter_map(|(place, time)| Some((place, (*time)?))).collect();
    grid(&cells, [&SEQS, &CONTEXTS], "Attention of decodes", tidier)
}

/// NCCL's all-reduce and all-gather over numbers: those that are summed, those that all hold together.
fn collectives(times: &Times, tidier: &mut Tidier) -> Vec<CurveTable> {
    let reduced = timed_sizes(ALL_REDUCE_BYTES);
    let counts: Vec<u32> = reduced.iter().filter_map(|bytes| u32::try_from(bytes / NUM_BYTES).ok()).collect();
    let (mut sums, mut gathers) = (vec![], vec![]);
    for (site, times) in times {
        let Site::Collectives(num_ranks) = *site else { continue };
        let (of_sums, of_gathers) = times.split_at(reduced.len().min(times.len()));
        sums.extend(row(of_sums, "Collectives", tidier).map(|row| (vec![num_ranks], row)));
        let together = |sent: u64| sent / NUM_BYTES * u64::from(num_ranks);
        let sent = timed_sizes(ALL_GATHER_BYTES);
        let by_count: BTreeMap<u64, f64> =
            sent.into_iter().zip(of_gathers).filter_map(|(sent, time)| Some((together(sent), (*time)?))).collect();
        let gathered: Vec<Option<f64>> = counts.iter().map(|&count| by_count.get(&u64::from(count)).copied()).collect();
        gathers.extend(row(&gathered, "Collectives", tidier).map(|row| (vec![num_ranks], row)));
    }
    let of = |operator, rows| table(operator, ["bfloat16", "nccl"], counts.clone(), rows);
    [of(Operator::NcclAllReduce, sums), of(Operator::AllGather, gathers)].into_iter().flatten().collect()
}
