//! Mixtures of experts of any shape, from those that were measured.
//!
//! A measured shape has its own curve. Another one is carried from the nearest: its launch kept, the rest by the ratio of
//! the rooflines, which read the weights of the experts that tokens fall on and multiply each token with its own.

use super::format::NumberFormat;
use super::gpu::Gpu;
use super::kinds::Operator;
use super::products::Found;
use super::schema::{CurveTable, Pack};
use super::series::Series;
use crate::math;

/// Above this distance a measured number format of another shape is worth less than the shape in another format.
const FAR: f64 = 1.0;
/// Octaves that a number format of its own is worth.
const OTHER_FORMAT: f64 = 1.5;

/// The experts of a layer, and the ranks that share them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpertsOnRank {
    /// Width of a token.
    pub hidden_size: u32,
    /// Width of one expert, whole.
    pub intermediate_size: u32,
    /// Experts of a token.
    pub num_experts_per_tok: u32,
    /// Experts of the layer.
    pub num_experts: u32,
    /// Ranks that slice each expert.
    pub slices: u32,
    /// Ranks that share the experts out.
    pub shares: u32,
    /// Matrices of an expert: 3 with a gate, 2 without.
    pub num_matrices: u32,
}

impl ExpertsOnRank {
    fn sizes(&self) -> [u32; 6] {
        [self.hidden_size, self.intermediate_size, self.num_experts_per_tok, self.num_experts, self.slices, self.shares]
    }

    pub(super) fn of_sizes(sizes: &[u32]) -> Option<Self> {
        let &[hidden_size, intermediate_size, num_experts_per_tok, num_experts, slices, shares] = sizes else {
            return None;
        };
        let num_matrices = 3;
        Some(Self { hidden_size, intermediate_size, num_experts_per_tok, num_experts, slices, shares, num_matrices })
    }

    /// The least time that peak rates allow for `tokens` tokens, in microseconds.
    pub(super) fn roofline_us(&self, tokens: f64, format: NumberFormat, gpu: &Gpu) -> f64 {
        let [hidden, width, per_token, experts, slices, shares] = self.sizes().map(math::u32_to_f64);
        let one = math::u32_to_f64(self.num_matrices) * hidden * width / slices;
        let own = math::max(experts / shares, 1.0);
        // Experts that at least one token falls on, if all were as likely.
        let reached = own * (1.0 - math::exp(tokens * math::ln_1p(-math::min(per_token / experts, 1.0 - 1e-9))));
        let bytes = format.weight_bytes() * reached * one + 4.0 * tokens * per_token / shares * hidden;
        let compute = 2.0 * tokens * per_token / shares * one / format.flops(gpu);
        math::max(compute, bytes / gpu.memory_bandwidth) * 1e6
    }

    /// Octaves between two, in what a rank has of them.
    fn octaves(&self, other: &Self) -> f64 {
        let own = |of: &Self| {
            let [hidden, width, per_token, experts, slices, shares] = of.sizes().map(math::u32_to_f64);
            [hidden, width / slices, per_token, experts, experts / shares]
        };
        let sum: f64 = own(self).into_iter().zip(own(other)).map(|(a, b)| math::ln(a / b)).map(|log| log * log).sum();
        math::sqrt(sum) / core::f64::consts::LN_2
    }
}

/// The tables that a format's experts can be read from, best first.
const fn candidates(format: NumberFormat) -> &'static [NumberFormat] {
    use NumberFormat::{Bf16, Fp8, Fp8Block, Int4, Int8, Mxfp4, Mxfp4Fp8, Nvfp4};
    match format {
        Bf16 => &[Bf16],
        Fp8 | Int8 => &[Fp8, Fp8Block, Bf16],
        Fp8Block => &[Fp8Block, Fp8, Bf16],
        Nvfp4 => &[Nvfp4, Mxfp4, Int4, Bf16],
        Mxfp4 => &[Mxfp4, Int4, Bf16],
        Mxfp4Fp8 => &[Mxfp4Fp8, Mxfp4, Int4, Bf16],
        Int4 => &[Int4, Mxfp4, Bf16],
    }
}

/// The experts on a rank, over the tokens of all ranks that share them; `variant` says how tokens fall on experts. `None`
/// if the pack has no such table.
#[must_use]
pub fn find(pack: &Pack, experts: &ExpertsOnRank, format: NumberFormat, variant: &str) -> Option<Found> {
    let mut best: Option<(f64, Found)> = None;
    for (place, &candidate) in candidates(format).iter().enumerate() {
        let is_it = |table: &&CurveTable| {
            table.operator == Operator::Experts && table.format == candidate.table() && table.variant == variant
        };
        let Some(table) = pack.curves.iter().find(is_it) else { continue };
        let Some(found) = carried(table, experts, [candidate, format], &pack.gpu) else { continue };
        let is_own_format = place == 0;
        let far = if is_own_format && found.distance <= FAR { 0.0 } else { found.distance };
        let penalty = far + if is_own_format { 0.0 } else { OTHER_FORMAT };
        let found = Found { is_own_format, ..found };
        // With scales of tensors Hopper's kernels are slow where most tokens fall on few experts; vLLM has others.
        if place > 0 && found.distance == 0.0 && format == NumberFormat::Fp8 && candidate == NumberFormat::Fp8Block {
            best = best.map(|(penalty, own)| (penalty, faster(own, &found)));
        }
        if best.as_ref().is_none_or(|(least, _)| penalty < *least) {
            best = Some((penalty, found));
        }
    }
    best.map(|(_, found)| found)
}

/// The shorter of both at each count.
fn faster(own: Found, other: &Found) -> Found {
    let series = own.series.map(|count, time| math::min(time, other.series.at(count)));
    Found { series, ..own }
}

/// From the nearest shape of a table in format `formats[0]`, for an operator in format `formats[1]`.
fn carried(table: &CurveTable, experts: &ExpertsOnRank, formats: [NumberFormat; 2], gpu: &Gpu) -> Option<Found> {
    let mut nearest: Option<(f64, ExpertsOnRank, Series)> = None;
    for (sizes, row) in table.shapes.iter().zip(&table.time_us) {
        let site = ExpertsOnRank::of_sizes(sizes)?;
        let distance = experts.octaves(&site);
        let is_nearer = nearest.as_ref().is_none_or(|(least, ..)| distance < *least);
        // Of some shapes the source has one time, or none.
        if let Some(series) = Series::of_row(&table.counts, row).filter(|_| is_nearer) {
            nearest = Some((distance, site, series));
        }
    }
    let (distance, site, series) = nearest?;
    if distance == 0.0 && formats[0].table() == formats[1].table() && site.num_matrices == experts.num_matrices {
        return Some(Found { series, distance, is_own_format: true });
    }
    let launch = math::min(series.times_us().first().copied().unwrap_or(0.0), LAUNCH_US);
    let series = series.map(|tokens, time| {
        let ratio = experts.roofline_us(tokens, formats[1], gpu) / site.roofline_us(tokens, formats[0], gpu);
        launch + math::max(time - launch, 0.0) * ratio
    });
    Some(Found { series, distance, is_own_format: true })
}

/// Routing, sorting and launches, which every mixture has: the least that any was measured with is 14 to 30 us.
const LAUNCH_US: f64 = 15.0;
