//! Matrix products of any shape, from those that were measured.
//!
//! A measured (n, k) has its own curve over m. For another one, utilisation (the roofline's time divided by the measured
//! one) is taken from the nearest measured shapes in log space, weighted by the inverse of the squared distance: the
//! source's rule, and its own estimate of that rule's error is 3.6 % at the median.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::super::gpus::Gpu;
use super::Dtype;
use super::columns::Wanted;
use super::measured;
use super::package::TableFile;
use super::series::Series;

/// Measured shapes that an unmeasured one is made of.
const NUM_NEIGHBOURS: usize = 4;
/// Farthest of them, in octaves.
const MAX_DISTANCE: f64 = 2.0;
/// Farthest that the nearest may be, below which a shape counts as measured.
const SAME_SHAPE: f64 = 1e-9;

/// (n, k) of a product of an m × k with a k × n matrix.
pub(super) type Shape = (u32, u32);

/// The products of one number format.
#[derive(Debug)]
pub(super) struct Gemms {
    dtype: Dtype,
    curves: BTreeMap<Shape, BTreeMap<u32, f64>>,
    flops: f64,
    memory_bandwidth: f64,
}

/// A product's times over m.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) series: Series,
    /// Octaves to the nearest measured shape; 0 if it was measured itself.
    pub(super) distance: f64,
}

impl Gemms {
    /// Reads all shapes of one number format.
    ///
    /// # Errors
    /// If a file cannot be read, or has none.
    pub(super) fn read(files: &[TableFile], dtype: Dtype, gpu: &Gpu) -> Result<Self> {
        let wanted = Wanted { texts: &["gemm_dtype"], counts: &["m", "n", "k"], ..Wanted::default() };
        let measured = measured::read(files, &wanted, |columns, row| {
            let shape = ["n", "k", "m"].map(|name| columns.count(name, row));
            let is_it = columns.text("gemm_dtype", row) == dtype.name() && shape.iter().all(|&size| size > 0);
            is_it.then_some(shape)
        })?;
        let mut curves: BTreeMap<Shape, BTreeMap<u32, f64>> = BTreeMap::new();
        for ([n, k, m], time) in measured.times {
            curves.entry((n, k)).or_default().insert(m, time);
        }
        ensure!(!curves.is_empty(), "gemm_perf: gemm_dtype {} was not measured on {}", dtype.name(), gpu.name);
        let flops = if dtype == Dtype::Bfloat16 { gpu.bf16_flops } else { gpu.fp8_flops };
        Ok(Self { dtype, curves, flops, memory_bandwidth: gpu.memory_bandwidth })
    }

    /// The product of any shape.
    ///
    /// # Errors
    /// If no measured shape is near.
    pub(super) fn product(&self, (n, k): Shape) -> Result<Product> {
        let label = format!("gemm_perf {} n={n} k={k}", self.dtype.name());
        let mut near: Vec<(f64, Shape)> = self
            .curves
            .keys()
            .map(|&site| (distance(site, (n, k)), site))
            .filter(|near| near.0 <= MAX_DISTANCE)
            .collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let nearest = near.first().map(|near| near.0);
        let Some(nearest) = nearest else {
            anyhow::bail!("{label}: no shape within {MAX_DISTANCE} octaves was measured");
        };
        near.truncate(if nearest < SAME_SHAPE { 1 } else { NUM_NEIGHBOURS });
        let curves: Vec<(f64, Shape, &BTreeMap<u32, f64>)> =
            near.iter().filter_map(|&(distance, site)| Some((distance, site, self.curves.get(&site)?))).collect();
        // Where all of them were measured: a point that one lacks would be a jump.
        let counts = curves.first().into_iter().flat_map(|(_, _, curve)| curve.keys().copied());
        let counts = counts.filter(|m| curves.iter().all(|(_, _, curve)| curve.contains_key(m)));
        let points: Vec<(u32, f64)> = counts.map(|m| (m, self.time(m, (n, k), &curves))).collect();
        let distance = if nearest < SAME_SHAPE { 0.0 } else { nearest };
        Ok(Product { series: Series::new(label, &points)?, distance })
    }

    fn time(&self, m: u32, shape: Shape, near: &[(f64, Shape, &BTreeMap<u32, f64>)]) -> f64 {
        if let [(distance, _, curve)] = near
            && *distance < SAME_SHAPE
        {
            return curve.get(&m).copied().unwrap_or(0.0);
        }
        let (mut weights, mut utilisation) = (0.0, 0.0);
        for &(distance, site, curve) in near {
            let weight = 1.0 / (distance * distance);
            let measured = curve.get(&m).copied().unwrap_or(f64::INFINITY);
            weights += weight;
            utilisation += weight * (self.roofline_us(m, site) / measured).min(1.0);
        }
        self.roofline_us(m, shape) * weights / utilisation
    }

    /// The least time that peak rates allow.
    fn roofline_us(&self, m: u32, (n, k): Shape) -> f64 {
        let [m, n, k] = [m, n, k].map(f64::from);
        let compute = 2.0 * m * n * k / self.flops;
        let bytes = f64::from(self.dtype.bytes()) * (n * k + m * k + m * n);
        compute.max(bytes / self.memory_bandwidth) * 1e6
    }
}

fn distance(a: Shape, b: Shape) -> f64 {
    let octaves = |a: u32, b: u32| (f64::from(a) / f64::from(b)).log2();
    octaves(a.0, b.0).hypot(octaves(a.1, b.1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Dtype, Gemms, Shape};

    const M: [u32; 5] = [1, 16, 256, 1024, 8192];

    /// Products that take `1 / utilisation` of the roofline's time.
    fn gemms(shapes: &[(Shape, f64)]) -> Gemms {
        let mut gemms =
            Gemms { dtype: Dtype::Bfloat16, curves: BTreeMap::new(), flops: 989e12, memory_bandwidth: 3.35e12 };
        for &(shape, utilisation) in shapes {
            let curve = M.iter().map(|&m| (m, gemms.roofline_us(m, shape) / utilisation)).collect();
            gemms.curves.insert(shape, curve);
        }
        gemms
    }

    #[track_caller]
    fn check(gemms: &Gemms, shape: Shape, utilisation: f64, distance: f64) {
        let product = gemms.product(shape).expect("a shape is near");
        assert!((product.distance - distance).abs() < 1e-9, "{} octaves", product.distance);
        for m in M {
            let expect = gemms.roofline_us(m, shape) / utilisation;
            let got = product.series.raw_at(f64::from(m));
            assert!((got / expect - 1.0).abs() < 1e-9, "m={m}: {got} us instead of {expect}");
        }
    }

    #[test]
    fn a_measured_shape_is_its_own() {
        check(&gemms(&[((4096, 4096), 0.5), ((8192, 4096), 0.9)]), (4096, 4096), 0.5, 0.0);
    }

    #[test]
    fn another_shape_has_the_utilisation_of_the_nearest_by_the_inverse_of_the_squared_distance() {
        check(&gemms(&[((4096, 4096), 0.6)]), (8192, 4096), 0.6, 1.0);
        check(&gemms(&[((4096, 4096), 0.6), ((16384, 4096), 0.8)]), (8192, 4096), 0.7, 1.0);
        // At 1 and at 2 octaves: four times the weight.
        check(&gemms(&[((4096, 4096), 0.5), ((32768, 4096), 1.0)]), (8192, 4096), 0.6, 1.0);
    }

    #[test]
    fn a_shape_far_from_all_is_refused_by_name() {
        let error = gemms(&[((256, 256), 0.5)]).product((4096, 4096)).expect_err("too far");
        assert_eq!(error.to_string(), "gemm_perf bfloat16 n=4096 k=4096: no shape within 2 octaves was measured");
    }
}
