//! How the engine comes up: the model's sizes, the device, its kernels checked, the model on it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::collectives::{Messages, TensorParallel};
use super::device::Device;
use super::engine::CudaEngine;
use super::facts::{LEAST_FP8_CAPABILITY, facts as of_engine};
use super::flags::CudaFlags;
use super::gpu::{Gpu, GpuDevice, KernelCheck, check, collectives, speeds};
use super::number::{Format, Storage};
use super::shape::Shape;
use crate::simulate::library::catalogue;
use crate::vllm::model::ModelDir;

/// Tokens per KV block of the kernels that `--check-kernels` compiles: vLLM's usual.
pub(super) const BLOCK_SIZE: u32 = 16;
/// Heads that `--check-kernels` compiles the kernels for: (width, query heads per key head).
pub(super) const CHECKED_HEADS: [(u32, u32); 4] = [(64, 1), (64, 8), (128, 4), (128, 5)];

/// Starts the engine for a model (a folder, a `config.json`, a name in the list that ships, or a built-in model) on the device of this number.
///
/// # Errors
/// If the model, a flag or the device is refused, or a kernel computes something else than its reference.
pub(crate) fn start(model: &str, flags: &[String], device: usize) -> Result<CudaEngine> {
    let flags = CudaFlags::parse(flags)?;
    let shape = Shape::new(&read_config(model)?, &flags).with_context(|| format!("--model {model}"))?;
    let num_ranks = flags.tensor_parallel_size();
    let rank = shape.rank(num_ranks).with_context(|| format!("--model {model}"))?;
    let mut gpu = Gpu::open(device)?;
    let (mut facts, mut sizes) = of_engine(&gpu.properties, &shape, &flags, model)?;
    let mut times = None;
    if num_ranks > 1 {
        let largest = Messages::of_pass(&rank, sizes.max_rows, sizes.max_num_seqs);
        let measured = collectives::measure(&mut gpu, num_ranks, largest)?;
        // NCCL takes memory of the device, as in vLLM.
        (facts, sizes) = of_engine(&gpu.properties, &shape, &flags, model)?;
        facts.host = format!("{}; {}", facts.host, measured.summary(num_ranks));
        times = Some(measured);
    }
    let checks = check(&gpu, &rank, facts.config.block_size())?;
    let wrong: Vec<&str> = checks.iter().filter(|check| !check.is_passed()).map(|check| check.name).collect();
    ensure!(
        wrong.is_empty(),
        "kernels compute something else than their references on {}: {}; see --check-kernels",
        gpu.properties.name,
        wrong.join(", ")
    );
    let device = Box::new(GpuDevice::new(gpu, rank.clone(), &facts, sizes)?);
    let device: Box<dyn Device> = match times {
        Some(times) => Box::new(TensorParallel::new(device, rank, times, facts.capture_sizes.clone())),
        None => device,
    };
    Ok(CudaEngine::new(facts, device))
}

/// Compares the kernels with their references for several widths of heads in both number formats, and times the
/// large operators. Whether all agree, and a table.
///
/// # Errors
/// If the device is refused or fails.
pub(crate) fn check_kernels(device: usize) -> Result<(bool, String)> {
    let gpu = Gpu::open(device)?;
    let mut table = format!("{}\nkernel, and its largest error as a share of the allowed one\n", gpu.properties.name);
    let mut is_right = true;
    let storages: &[Storage] = if gpu.properties.compute_capability >= LEAST_FP8_CAPABILITY {
        &[Storage::Half, Storage::Fp8]
    } else {
        table.push_str("(fp8 is not checked: it needs compute capability 8.9)\n");
        &[Storage::Half]
    };
    for &storage in storages {
        for format in [Format::BFloat16, Format::Float16] {
            for (head_dim, group) in CHECKED_HEADS {
                let checks = check(&gpu, &shape_of_heads(head_dim, group, format, storage), BLOCK_SIZE)?;
                is_right &= checks.iter().all(KernelCheck::is_passed);
                let formats = if storage == Storage::Fp8 { " and fp8" } else { "" };
                let title = format!("{}{formats}, heads of {head_dim}, {group} to a key head", format.name());
                // Writing to a string cannot fail.
                writeln!(table, "{title}:").unwrap_or(());
                for check in &checks {
                    let verdict = if check.is_passed() { "" } else { "  WRONG" };
                    writeln!(table, "  {:<40}{:>8.3}{verdict}", check.name, check.error).unwrap_or(());
                }
            }
        }
    }
    for &storage in storages {
        let formats = if storage == Storage::Fp8 { "fp8" } else { "bfloat16" };
        writeln!(
            table,
            "speed, {formats}, heads of 128, 4 to a key head; attention on zeros, products on cold random weights:"
        )
        .unwrap_or(());
        for line in speeds(&gpu, &shape_of_heads(128, 4, Format::BFloat16, storage), BLOCK_SIZE)? {
            writeln!(table, "  {line}").unwrap_or(());
        }
    }
    Ok((is_right, table))
}

/// A model of which only the heads and the numbers' formats count.
pub(super) fn shape_of_heads(head_dim: u32, group: u32, format: Format, storage: Storage) -> Shape {
    Shape {
        num_layers: 1,
        hidden: 256,
        intermediate: 512,
        q_heads: 2 * group,
        kv_heads: 2,
        head_dim,
        vocab: 1024,
        vocab_per_rank: 1024,
        max_position_embeddings: 1024,
        has_qk_norm: true,
        is_tied: true,
        format,
        linear: storage,
        kv_cache: storage,
    }
}

/// The `config.json` of a folder, that file itself, or that of a listed or a built-in model.
fn read_config(model: &str) -> Result<Vec<u8>> {
    if Path::new(model).is_file() {
        return fs::read(model).with_context(|| format!("--model {model} cannot be read"));
    }
    let folder = match ModelDir::new(model) {
        Ok(folder) => folder,
        Err(unknown) => return catalogue()?.find(model).map_or(Err(unknown), |listed| Ok(listed.config_json())),
    };
    fs::read(folder.path().join("config.json")).with_context(|| format!("--model {model}: its config.json"))
}
