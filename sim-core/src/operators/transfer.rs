//! A GPU that nobody measured, from one that was: each time moved by what the makers say of both.
//!
//! A time has a part that memory, arithmetic or the links bound, which is known for both GPUs (`work`), and
//! a rest: launches, waiting, units left idle. The rest is the question. Between GPUs of one architecture and like figures
//! it is that of the same kernels at about the same clock, and is kept as it is. Otherwise part of it is latency and part
//! a share of the work, and the time lies between what the one and the other would make of it: at their geometric mean.
//! How good that is was found by leaving each measured GPU out; [`Kinship::range`] says what came of it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::gpu::{Gpu, Links};
use super::kinds::Operator;
use super::schema::{CurveTable, GridTable, Pack};
use super::work;
use crate::math;
use crate::profile::schema::{Profile, ProvenanceKind, TimeRange};

/// Up to which ratio two GPUs of one architecture have like figures: no pair that was measured differs by more.
const LIKE: f64 = 1.5;

/// How near two GPUs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinship {
    /// One architecture, and memory bandwidth and arithmetic within a factor of 1.5.
    Near,
    /// Anything else.
    Far,
}

impl Kinship {
    /// Of two GPUs.
    #[must_use]
    pub fn of(from: &Gpu, to: &Gpu) -> Self {
        let is_like = |a: f64, b: f64| math::max(a / b, b / a) <= LIKE;
        let is_near = architecture(&from.compute_capability) == architecture(&to.compute_capability)
            && is_like(from.memory_bandwidth, to.memory_bandwidth)
            && is_like(from.bf16_flops, to.bf16_flops);
        if is_near { Self::Near } else { Self::Far }
    }

    /// Between which factors of an estimated pass the measured one lay, rounded to tenths away from 1, for every measured
    /// GPU that was left out and moved to from its nearest of the kinship: decodes of 1 to 256 requests and prompts of
    /// 128 to 8192 tokens of Llama-3.1-8B and Qwen3-30B-A3B in bf16 and fp8, on 1 to 8 GPUs (2 over PCI Express).
    ///
    /// Near, measured over estimated, median (least to most): H100 0.99 (0.90 to 1.09), H200 1.01 (0.91 to 1.12), B200
    /// 1.01 (0.78 to 1.11), B300 0.99 (0.88 to 1.27), GB200 0.98 (0.79 to 1.29), GB300 1.02 (0.74 to 1.27).
    /// Far: A100 1.12 (0.85 to 1.60), L40S 1.04 (0.63 to 1.50), RTX PRO 6000 0.92 (0.62 to 1.53), H100 0.92 (0.64 to
    /// 1.49), H200 0.97 (0.73 to 1.25), B200 1.01 (0.78 to 1.36), B300 1.01 (0.73 to 1.56), GB200 0.99 (0.78 to 1.34),
    /// GB300 1.02 (0.76 to 1.45). Experts in fp8 are not among the far ones: see [`transfer`].
    #[must_use]
    pub const fn range(self) -> TimeRange {
        match self {
            Self::Near => TimeRange { low: 0.7, high: 1.3 },
            Self::Far => TimeRange { low: 0.6, high: 1.7 },
        }
    }
}

/// The generation: from compute capability 10 on, minor numbers are variants of one; before, architectures of their own.
fn architecture(compute_capability: &str) -> &str {
    match compute_capability.split_once('.') {
        Some((major, _)) if major.len() > 1 => major,
        _ => compute_capability,
    }
}

/// A pack that was moved, and how far off it may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Transferred {
    /// The pack, of the GPU that was moved to.
    pub pack: Pack,
    /// How near that is to the measured one.
    pub kinship: Kinship,
    /// What the pack was moved from, for people.
    from: String,
}

impl Transferred {
    /// Says of a profile that was composed of [`Self::pack`] what it is.
    pub fn mark(&self, profile: &mut Profile) {
        profile.provenance.kind = ProvenanceKind::Estimated;
        profile.provenance.range = Some(self.kinship.range());
        profile.provenance.notes.insert(0, self.note());
    }

    fn note(&self) -> String {
        let TimeRange { low, high } = self.kinship.range();
        let (from, to) = (&self.from, &self.pack.gpu.label);
        let how = match self.kinship {
            Kinship::Near => "of the same architecture and like figures",
            Kinship::Far => "of another architecture, or with figures that differ by more than half",
        };
        let limits = self.limits();
        format!(
            "Nobody measured the operators of {to}: they are those of {from}, {how}, moved by the makers' figures for \
             memory, arithmetic and links. Where measured GPUs were left out and moved to in the same way, their passes took \
             {low} to {high} times the estimate.{limits}"
        )
    }

    /// What the range was not tried on.
    fn limits(&self) -> String {
        let to = &self.pack.gpu;
        let mut limits = String::new();
        if to.links == Links::Pcie {
            limits.push_str(" That holds for up to two GPUs: exchange over PCI Express depends on the host.");
        }
        if to.name.starts_with("AMD") {
            limits.push_str(
                " No GPU of this maker was among them, and no range holds for mixtures of experts in fewer than 16 bits: \
                 their kernels differ by up to a factor of 6.",
            );
        }
        limits
    }
}

/// `pack` moved to the GPU `to`.
///
/// Formats that `to` has no units for are left out, and so are experts in formats that multiply in fewer than 16 bits if
/// the architecture is another: their kernels differ so much that measured passes took 0.16 to 6 times the moved ones.
/// Collectives over PCI Express depend on the host; only those of two GPUs are kept.
#[must_use]
pub fn transfer(pack: &Pack, to: &Gpu) -> Transferred {
    let from = &pack.gpu;
    let kinship = Kinship::of(from, to);
    let moving = Moving { from, to, kinship };
    let mut provenance = pack.provenance.clone();
    let curves = pack.curves.iter().filter_map(|table| moving.curves(table)).collect();
    let grids = pack.grids.iter().filter_map(|table| moving.grids(table)).collect();
    let mut moved = Transferred {
        pack: Pack {
            pack_version: pack.pack_version,
            provenance: pack.provenance.clone(),
            gpu: to.clone(),
            // A rate under load is of the GPU that it was measured on.
            sustained: if from == to { pack.sustained.clone() } else { Vec::new() },
            curves,
            grids,
        },
        kinship,
        from: from.label.clone(),
    };
    if from != to {
        provenance.notes.insert(0, moved.note());
        moved.pack.provenance = provenance;
    }
    moved
}

/// From one GPU to another.
#[derive(Debug, Clone, Copy)]
struct Moving<'a> {
    from: &'a Gpu,
    to: &'a Gpu,
    kinship: Kinship,
}

impl Moving<'_> {
    /// Whether the tables of an operator are moved at all.
    fn keeps(self, operator: Operator, format: &str) -> bool {
        let is_same = architecture(&self.from.compute_capability) == architecture(&self.to.compute_capability);
        let is_wide = ["bfloat16", "int4_wo", "w4a16_mxfp4"].contains(&format);
        // A cache in 8 bits needs no units for it, but vLLM's kernels do.
        let has_cache = format != "fp8" || self.to.fp8_flops > 0.0;
        match operator {
            Operator::Product => work::units(format, self.to).is_some(),
            Operator::Experts => work::units(format, self.to).is_some() && (is_same || is_wide),
            _ => has_cache,
        }
    }

    /// Whether a shape is moved.
    fn keeps_shape(self, operator: Operator, sizes: &[u32]) -> bool {
        let is_collective = matches!(
            operator,
            Operator::AllReduce
                | Operator::NcclAllReduce
                | Operator::AllGather
                | Operator::ReduceScatter
                | Operator::AllToAll
        );
        let is_pcie = self.from.links == Links::Pcie || self.to.links == Links::Pcie;
        let is_host = is_pcie && self.from != self.to && sizes.first().is_some_and(|&ranks| ranks > 2);
        !(is_collective && is_host)
    }

    fn curves(self, table: &CurveTable) -> Option<CurveTable> {
        if !self.keeps(table.operator, &table.format) {
            return None;
        }
        let launch = launch_us(table.time_us.iter().flatten());
        let (mut shapes, mut time_us) = (Vec::new(), Vec::new());
        for (sizes, row) in table.shapes.iter().zip(&table.time_us) {
            let place = |count| (table.operator, [&*table.format, &*table.variant], &**sizes, [count, 0]);
            let moved = self.row(row, table.counts.iter().map(|&count| place(count)), launch, &[]);
            if let Some(moved) = moved.filter(|_| self.keeps_shape(table.operator, sizes)) {
                shapes.push(sizes.clone());
                time_us.push(moved);
            }
        }
        (!shapes.is_empty()).then(|| CurveTable { shapes, time_us, ..table.clone() })
    }

    fn grids(self, table: &GridTable) -> Option<GridTable> {
        if !self.keeps(table.operator, &table.format) {
            return None;
        }
        let launch = launch_us(table.time_us.iter().flatten().flatten());
        let (mut shapes, mut time_us) = (Vec::new(), Vec::new());
        for (sizes, grid) in table.shapes.iter().zip(&table.time_us) {
            let mut moved: Vec<Vec<Option<f64>>> = Vec::new();
            for (&requests, row) in table.num_seqs.iter().zip(grid) {
                let place =
                    |context| (table.operator, [&*table.format, &*table.variant], &**sizes, [requests, context]);
                let above = moved.last().map(Vec::as_slice).unwrap_or_default();
                let places = table.context_tokens.iter().map(|&context| place(context));
                moved.extend(self.row(row, places, launch, above));
            }
            if moved.len() == grid.len() {
                shapes.push(sizes.clone());
                time_us.push(moved);
            }
        }
        (!shapes.is_empty()).then(|| GridTable { shapes, time_us, ..table.clone() })
    }

    /// A row moved, not falling, and nowhere below the row above; `None` if the work of a place in it is unknown.
    fn row<'a>(
        self,
        row: &[Option<f64>],
        places: impl Iterator<Item = (Operator, [&'a str; 2], &'a [u32], [u32; 2])>,
        launch: f64,
        above: &[Option<f64>],
    ) -> Option<Vec<Option<f64>>> {
        let mut most = 0.0;
        let mut moved = Vec::with_capacity(row.len());
        for (column, (time, (operator, formats, sizes, counts))) in row.iter().zip(places).enumerate() {
            let Some(time) = *time else {
                moved.push(None);
                continue;
            };
            let from = work::least_us(operator, formats, sizes, counts, self.from)?;
            let to = work::least_us(operator, formats, sizes, counts, self.to)?;
            let above = above.get(column).copied().flatten().unwrap_or(0.0);
            most = math::max(math::max(most, above), self.time(time, launch, [from, to]));
            moved.push(Some(most));
        }
        Some(moved)
    }

    /// A time, of which a `launch` is part, where the GPUs take at least `from` and `to`.
    fn time(self, time: f64, launch: f64, [from, to]: [f64; 2]) -> f64 {
        let ratio = to / from;
        // What is below the makers' figures, out of a cache, has no rest.
        let with_rest = if time > from { time + (to - from) } else { time * ratio };
        if self.kinship == Kinship::Near {
            return with_rest;
        }
        let in_proportion = time + (time - math::min(launch, time)) * (ratio - 1.0);
        math::sqrt(with_rest * in_proportion)
    }
}

/// The shortest time of a table: there a launch is all.
fn launch_us<'a>(times: impl Iterator<Item = &'a Option<f64>>) -> f64 {
    times.flatten().fold(f64::INFINITY, |least, &time| math::min(least, time))
}
