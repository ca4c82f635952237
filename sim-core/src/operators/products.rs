//! Matrix products of any shape, from those that were measured.
//!
//! A measured (n, k) has its own curve over m. For another one, utilisation (the roofline's time divided by the measured
//! one) is taken from the nearest measured shapes in log space, weighted by the inverse of the squared distance: the
//! rule of aiconfigurator, whose own estimate of its error is 3.6 % at the median. A number format that was not measured
//! takes what the product takes in 16 bits, its launch kept, the rest by the ratio of the rooflines.

use alloc::vec::Vec;

use super::format::NumberFormat;
use super::gpu::Gpu;
use super::kinds::Operator;
use super::schema::{CurveTable, Pack};
use super::series::Series;
use super::sustained;
use crate::math;

/// Measured shapes that an unmeasured one is made of.
const NUM_NEIGHBOURS: usize = 4;
/// Below this distance a shape counts as measured.
const SAME_SHAPE: f64 = 1e-9;

/// (n, k) of a product of an m × k with a k × n matrix.
pub type Shape = (u32, u32);

/// A curve that was found for a shape, and how far it was carried.
#[derive(Debug, Clone)]
pub struct Found {
    /// The times.
    pub series: Series,
    /// Octaves to the nearest measured shape; 0 if it was measured itself.
    pub distance: f64,
    /// Whether the number format itself was measured.
    pub is_own_format: bool,
}

/// The products of one GPU.
#[derive(Debug, Clone, Copy)]
pub struct Products<'a> {
    pack: &'a Pack,
}

impl<'a> Products<'a> {
    /// Those of `pack`.
    #[must_use]
    pub const fn new(pack: &'a Pack) -> Self {
        Self { pack }
    }

    fn table(self, format: NumberFormat) -> Option<&'a CurveTable> {
        let is_it = |table: &&CurveTable| table.operator == Operator::Product && table.format == format.table();
        self.pack.curves.iter().find(is_it)
    }

    /// The product of any shape at a rate that the GPU keeps up; `None` if the pack has no products.
    #[must_use]
    pub fn find(self, shape: Shape, format: NumberFormat) -> Option<Found> {
        let found = self.burst(shape, format)?;
        let Some(flops) = sustained::flops(self.pack, format) else { return Some(found) };
        let each = 2e6 * math::u32_to_f64(shape.0) * math::u32_to_f64(shape.1) / flops;
        Some(Found { series: found.series.map(|m, time| math::max(time, m * each)), ..found })
    }

    /// The same as it was timed, after a rest.
    fn burst(self, shape: Shape, format: NumberFormat) -> Option<Found> {
        use NumberFormat::{Bf16, Fp8, Fp8Block, Int4, Int8, Mxfp4, Mxfp4Fp8, Nvfp4};
        let measured: &[NumberFormat] = match format {
            Bf16 => &[Bf16],
            Fp8 | Int8 => &[Fp8],
            Fp8Block => &[Fp8Block, Fp8],
            Nvfp4 => &[Nvfp4],
            // vLLM's kernels for these multiply 16 bits.
            Mxfp4 | Mxfp4Fp8 | Int4 => &[],
        };
        for &candidate in measured {
            if let Some(table) = self.table(candidate) {
                return self.carried(table, shape, candidate);
            }
        }
        let found = self.carried(self.table(Bf16)?, shape, Bf16)?;
        let launch = self.launch_us();
        let gpu = &self.pack.gpu;
        let series = found.series.map(|m, time| {
            let ratio = roofline_us(m, shape, format, gpu) / roofline_us(m, shape, Bf16, gpu);
            launch + math::max(time - launch, 0.0) * ratio
        });
        Some(Found { series, is_own_format: false, ..found })
    }

    /// What the shortest product takes, in microseconds.
    #[must_use]
    pub fn launch_us(self) -> f64 {
        let rows = self.table(NumberFormat::Bf16).map(|table| table.time_us.as_slice()).unwrap_or_default();
        let least = rows.iter().filter_map(|row| *row.first()?).fold(f64::INFINITY, math::min);
        if least.is_finite() { least } else { 0.0 }
    }

    fn carried(self, table: &CurveTable, shape: Shape, format: NumberFormat) -> Option<Found> {
        let mut near: Vec<(f64, usize)> = Vec::new();
        for (place, site) in table.shapes.iter().enumerate() {
            if let &[n, k] = site.as_slice() {
                near.push((octaves((n, k), shape), place));
            }
        }
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let &(nearest, first) = near.first()?;
        if nearest < SAME_SHAPE {
            let series = Series::of_row(&table.counts, table.time_us.get(first)?)?;
            return Some(Found { series, distance: 0.0, is_own_format: true });
        }
        near.truncate(NUM_NEIGHBOURS);
        let gpu = &self.pack.gpu;
        let mut points = Vec::new();
        for (column, &count) in table.counts.iter().enumerate() {
            let m = math::u32_to_f64(count);
            let (mut weights, mut utilisation) = (0.0, 0.0);
            // Where all of them were measured: a point that one lacks would be a jump.
            let mut has_all = true;
            for &(distance, place) in &near {
                let time = table.time_us.get(place).and_then(|row| *row.get(column)?);
                let site = table.shapes.get(place).and_then(|site| Some((*site.first()?, *site.get(1)?)));
                let (Some(time), Some(site)) = (time, site) else {
                    has_all = false;
                    break;
                };
                let weight = 1.0 / (distance * distance);
                weights += weight;
                utilisation += weight * math::min(roofline_us(m, site, format, gpu) / time, 1.0);
            }
            if has_all && utilisation > 0.0 {
                points.push((m, roofline_us(m, shape, format, gpu) * weights / utilisation));
            }
        }
        Some(Found { series: Series::new(points)?, distance: nearest, is_own_format: true })
    }
}

/// The least time that peak rates allow, in microseconds.
pub(super) fn roofline_us(m: f64, (n, k): Shape, format: NumberFormat, gpu: &Gpu) -> f64 {
    let [n, k] = [n, k].map(math::u32_to_f64);
    let compute = 2.0 * m * n * k / format.flops(gpu);
    // Results count as the source counts them: in the format of what is multiplied.
    let bytes = format.weight_bytes() * n * k + format.activation_bytes() * (m * k + m * n);
    math::max(compute, bytes / gpu.memory_bandwidth) * 1e6
}

fn octaves(a: Shape, b: Shape) -> f64 {
    let one = |a: u32, b: u32| math::ln(math::u32_to_f64(a) / math::u32_to_f64(b)) / core::f64::consts::LN_2;
    let (n, k) = (one(a.0, b.0), one(a.1, b.1));
    math::sqrt(n * n + k * k)
}
