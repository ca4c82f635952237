//! `profiler import operators`: the operator pack of a GPU, from the tables of aiconfigurator-core (Apache-2.0).
//!
//! The Python package carries parquet tables of single operators, measured in real vLLM layers.
//! [`super::aiconfigurator`] finds and reads them under limits. [`tidy`] takes noise out, [`products`], [`attention`],
//! [`experts`], [`latent`], [`states`] and [`collectives`] each make the tables of a pack from one kind of file, and
//! thin them out: a pack is loaded by a page.

mod attention;
mod cold;
mod collectives;
mod experts;
pub(crate) mod grids;
mod latent;
mod products;
mod states;
pub(crate) mod tidy;

use std::path::Path;

use anyhow::{Context as _, Result};
use sim_core::operators::gpu::Gpu;
use sim_core::operators::schema::{CurveTable, GridTable, Pack, PackProvenance};
use sim_core::operators::{Operator, gpu_table};
use sim_core::profile::schema::Source;

use self::tidy::Tidier;
use super::aiconfigurator::package::Package;

/// The package's names of systems, and ours.
pub(crate) const SYSTEMS: [(&str, &str); 9] = [
    ("h100_sxm", "h100-sxm"),
    ("h200_sxm", "h200-sxm"),
    ("b200_sxm", "b200-sxm"),
    ("b300_sxm", "b300-sxm"),
    ("gb200", "gb200"),
    ("gb300", "gb300"),
    ("l40s", "l40s"),
    ("a100_sxm", "a100-sxm"),
    ("rtx_pro_6000_server", "rtx-pro-6000"),
];

/// The package's name of the GPU that we call `key`.
pub(crate) fn system_of(key: &str) -> Option<&'static str> {
    SYSTEMS.iter().find(|(_, ours)| *ours == key).map(|(system, _)| *system)
}

/// Our name of a system of the package's.
pub(crate) fn key_of(system: &str) -> Option<&'static str> {
    SYSTEMS.iter().find(|(its, _)| *its == system).map(|(_, key)| *key)
}

/// What the parts of a pack are made of.
struct Sources {
    package: Package,
    version: super::version::Version,
    tidier: Tidier,
}

/// The GPU called `key`, its tables in the package at `data`, and what to call that.
fn open(data: &Path, key: &str) -> Result<(Gpu, Sources, Source)> {
    let keys = || SYSTEMS.map(|(_, key)| key).join(", ");
    let gpu = gpu_table::find(key).zip(system_of(key));
    let (gpu, system) = gpu.with_context(|| format!("--gpu {key:?} is unknown; must be one of {}", keys()))?;
    let package = Package::open(data, system)?;
    let version = package.newest()?;
    let source = Source {
        name: package.identity().name.clone(),
        version: package.identity().version.clone(),
        licence: "Apache-2.0".to_owned(),
        url: format!("https://pypi.org/project/{}/{}/", package.identity().name, package.identity().version),
    };
    Ok((gpu, Sources { package, version, tidier: Tidier::default() }, source))
}

/// The all-reduces of the GPU called `key`, the version of vLLM that they count for, and where they come from.
///
/// # Errors
/// If the GPU is unknown, or the package cannot be read or has no such table.
pub(crate) fn all_reduces(data: &Path, key: &str) -> Result<(CurveTable, String, Source)> {
    let (_, mut sources, source) = open(data, key)?;
    let tables = collectives::tables(&mut sources)?;
    let table = tables.into_iter().find(|table| table.operator == Operator::AllReduce);
    let version = sources.version.to_string();
    let table = table.with_context(|| {
        format!("custom_allreduce_perf of vLLM {version} or older is not in the package; it must be there")
    })?;
    Ok((table, version, source))
}

/// The pack of the GPU called `key`, from the package at `data`, dated `date` (`YYYY-MM-DD`).
///
/// # Errors
/// If the GPU is unknown, or the package cannot be read or has not its tables.
pub(crate) fn build(data: &Path, key: &str, date: &str) -> Result<Pack> {
    let (gpu, mut sources, source) = open(data, key)?;
    let vllm_version = sources.version.to_string();
    let (mut curves, mut grids): (Vec<CurveTable>, Vec<GridTable>) = (vec![], vec![]);
    curves.extend(products::tables(&mut sources)?);
    curves.extend(experts::tables(&mut sources)?);
    attention::tables(&mut sources, &gpu, &mut curves, &mut grids)?;
    latent::tables(&mut sources, &mut curves, &mut grids)?;
    curves.extend(states::tables(&mut sources)?);
    curves.extend(collectives::tables(&mut sources)?);
    let provenance = PackProvenance {
        tool: "profiler".to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        date: date.to_owned(),
        sources: vec![source],
        vllm_version,
        notes: sources.tidier.notes(),
    };
    let pack = Pack { pack_version: Pack::VERSION, provenance, gpu, sustained: vec![], curves, grids };
    pack.validate().context("the package's data make no valid pack")?;
    Ok(pack)
}

/// Four figures: a pack is to be short, and no time is known better.
pub(crate) fn rounded(time_us: f64) -> f64 {
    if time_us <= 0.0 {
        return 0.0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a logarithm, below 400")]
    let power = 3 - time_us.log10().floor() as i32;
    let scale = 10_f64.powi(power);
    (time_us * scale).round() / scale
}
