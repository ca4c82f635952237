//! GPUs whose operators nobody measured for us, and which measured GPU is nearest to each.
//!
//! Rates are dense, with sums in 32 bits, as the maker's data sheet or white paper has them: consumers' cards calculate with
//! such sums at half the rate of their peaks. Comments name the source of each line. Memory is judged: what Python programs
//! are told on such a device, from public logs of some that ran out of it; drivers differ by 1 %.

use super::gpu::Links;

/// A line of the table.
#[derive(Debug)]
pub(super) struct Unmeasured {
    /// Key, label, the driver's name, compute capability.
    pub(super) names: [&'static str; 4],
    /// GiB that a program is told of.
    pub(super) memory_gib: f64,
    /// TB/s of memory; Tflop/s in 16 bits, in 8 bits, in 4 bits, 0 without such units.
    pub(super) rates: [f64; 4],
    pub(super) links: Links,
    /// GB/s to the others, one direction.
    pub(super) link: f64,
    /// Key of the measured GPU.
    pub(super) nearest: &'static str,
}

/// Why a line's memory is what it is.
pub(super) const MEMORY_REASON: &str = "Judged: what public logs of PyTorch on such a device name as total; drivers differ \
                                        by about 1 %.";

const fn line(
    names: [&'static str; 4],
    memory_gib: f64,
    rates: [f64; 4],
    (links, link): (Links, f64),
    nearest: &'static str,
) -> Unmeasured {
    Unmeasured { names, memory_gib, rates, links, link, nearest }
}

/// PCI Express with 16 lanes, by generation.
const PCIE3: (Links, f64) = (Links::Pcie, 16.0);
const PCIE4: (Links, f64) = (Links::Pcie, 32.0);
const PCIE5: (Links, f64) = (Links::Pcie, 64.0);

const fn fabric(link: f64) -> (Links, f64) {
    (Links::Fabric, link)
}

pub(super) const TABLE: &[Unmeasured] = &[
    // Volta and Turing multiply in fp16; they have no bf16. NVIDIA V100 and T4 data sheets.
    line(
        ["v100-sxm", "V100 SXM 32 GB", "Tesla V100-SXM2-32GB", "7.0"],
        31.73,
        [0.9, 125.0, 0.0, 0.0],
        fabric(150.0),
        "a100-sxm",
    ),
    line(["t4", "T4", "Tesla T4", "7.5"], 14.74, [0.32, 65.0, 0.0, 0.0], PCIE3, "l40s"),
    // NVIDIA A100 and A30 data sheets.
    line(
        ["a100-sxm-40gb", "A100 SXM 40 GB", "NVIDIA A100-SXM4-40GB", "8.0"],
        39.39,
        [1.555, 312.0, 0.0, 0.0],
        fabric(300.0),
        "a100-sxm",
    ),
    line(
        ["a100-pcie-40gb", "A100 PCIe 40 GB", "NVIDIA A100-PCIE-40GB", "8.0"],
        39.39,
        [1.555, 312.0, 0.0, 0.0],
        PCIE4,
        "a100-sxm",
    ),
    line(
        ["a100-pcie-80gb", "A100 PCIe 80 GB", "NVIDIA A100 80GB PCIe", "8.0"],
        79.14,
        [1.935, 312.0, 0.0, 0.0],
        PCIE4,
        "a100-sxm",
    ),
    line(["a30", "A30", "NVIDIA A30", "8.0"], 23.5, [0.933, 165.0, 0.0, 0.0], PCIE4, "a100-sxm"),
    // GA102: memory and links like an L40S, arithmetic like an A100. NVIDIA A10, A40 and RTX A6000 data sheets, Ampere
    // GA102 white paper. Amazon's A10G has 70 Tflop/s where the A10 has 125 (NVIDIA's A10G data sheet).
    line(["a10g", "A10G", "NVIDIA A10G", "8.6"], 22.06, [0.6, 70.0, 0.0, 0.0], PCIE4, "l40s"),
    line(["a10", "A10", "NVIDIA A10", "8.6"], 22.06, [0.6, 125.0, 0.0, 0.0], PCIE4, "l40s"),
    line(["a40", "A40", "NVIDIA A40", "8.6"], 44.34, [0.696, 149.7, 0.0, 0.0], PCIE4, "l40s"),
    line(["rtx-a6000", "RTX A6000", "NVIDIA RTX A6000", "8.6"], 47.43, [0.768, 154.8, 0.0, 0.0], PCIE4, "l40s"),
    line(["rtx-3090", "RTX 3090", "NVIDIA GeForce RTX 3090", "8.6"], 23.57, [0.936, 71.0, 0.0, 0.0], PCIE4, "l40s"),
    // NVIDIA L4, L40 and RTX 6000 Ada data sheets, Ada white paper.
    line(["l4", "L4", "NVIDIA L4", "8.9"], 22.03, [0.3, 121.0, 242.5, 0.0], PCIE4, "l40s"),
    line(["l40", "L40", "NVIDIA L40", "8.9"], 44.42, [0.864, 181.05, 362.1, 0.0], PCIE4, "l40s"),
    line(
        ["rtx-6000-ada", "RTX 6000 Ada", "NVIDIA RTX 6000 Ada Generation", "8.9"],
        47.38,
        [0.96, 364.2, 728.5, 0.0],
        PCIE4,
        "l40s",
    ),
    line(["rtx-4090", "RTX 4090", "NVIDIA GeForce RTX 4090", "8.9"], 23.52, [1.008, 165.2, 330.3, 0.0], PCIE4, "l40s"),
    // NVIDIA H100 data sheet; H20 and GH200 as vendors of servers quote NVIDIA.
    line(["h100-pcie", "H100 PCIe", "NVIDIA H100 PCIe", "9.0"], 79.18, [2.0, 756.0, 1513.0, 0.0], PCIE5, "h100-sxm"),
    line(["h100-nvl", "H100 NVL", "NVIDIA H100 NVL", "9.0"], 93.1, [3.9, 835.5, 1671.0, 0.0], PCIE5, "h100-sxm"),
    line(["h20", "H20", "NVIDIA H20", "9.0"], 95.0, [4.0, 148.0, 296.0, 0.0], fabric(450.0), "h200-sxm"),
    line(
        ["gh200", "GH200 96 GB", "NVIDIA GH200 480GB", "9.0"],
        94.5,
        [4.0, 989.0, 1978.0, 0.0],
        fabric(450.0),
        "h200-sxm",
    ),
    // RTX Blackwell white paper. GB10: the maker says 1 Pflop/s in 4 bits with sparsity and 273 GB/s; the rest is half of
    // each. Two of them are linked by Ethernet of 200 Gbit/s.
    line(
        ["rtx-5090", "RTX 5090", "NVIDIA GeForce RTX 5090", "12.0"],
        31.36,
        [1.792, 209.5, 419.0, 1676.0],
        PCIE5,
        "rtx-pro-6000",
    ),
    line(
        ["gb10", "GB10 (DGX Spark)", "NVIDIA GB10", "12.1"],
        119.7,
        [0.273, 125.0, 250.0, 500.0],
        (Links::Pcie, 25.0),
        "rtx-pro-6000",
    ),
    // AMD Instinct data sheets; the compute capability is PyTorch's name for gfx942 and gfx950.
    line(
        ["mi300x", "MI300X", "AMD Instinct MI300X", "9.4"],
        191.7,
        [5.3, 1307.4, 2614.9, 0.0],
        fabric(448.0),
        "h200-sxm",
    ),
    line(
        ["mi325x", "MI325X", "AMD Instinct MI325X", "9.4"],
        255.7,
        [6.0, 1307.4, 2614.9, 0.0],
        fabric(448.0),
        "h200-sxm",
    ),
    line(
        ["mi355x", "MI355X", "AMD Instinct MI355X", "9.5"],
        287.7,
        [8.0, 2516.6, 5033.2, 10_066.3],
        fabric(537.6),
        "b200-sxm",
    ),
];
