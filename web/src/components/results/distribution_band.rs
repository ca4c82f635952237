//! Where a run's distribution may lie: between the least and the greatest of several curves.

use crate::answer::Metric;
use crate::plot::SeriesStyle;
use crate::plot::band::Band;
use crate::plot::cdf::CdfSeries;

/// What the band is called.
pub(super) const RANGE: &str = "how far this may be off";

/// A latency as a curve.
pub(super) fn curve(name: &str, style: SeriesStyle, metric: &Metric) -> CdfSeries {
    CdfSeries { name: name.to_owned(), style, points: metric.ecdf.clone(), percentiles: metric.percentiles.clone() }
}

/// The run's own curve, and those at the ends of its range; empty where no range is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curves(pub(super) Vec<CdfSeries>);

impl Curves {
    /// The least and the greatest share at `x`.
    pub(super) fn shares_at(&self, x: f64) -> Option<(f64, f64)> {
        let shares = self.0.iter().filter_map(|curve| curve.share_at(x));
        shares.map(|share| (share, share)).reduce(|ends, share| (ends.0.min(share.0), ends.1.max(share.1)))
    }

    /// What lies between them.
    pub(super) fn band(&self) -> Option<Band> {
        let mut xs: Vec<f64> = self.0.iter().flat_map(|curve| &curve.points).map(|point| point.0).collect();
        xs.sort_by(f64::total_cmp);
        xs.dedup();
        let points = xs.into_iter().filter_map(|x| self.shares_at(x).map(|(least, most)| (x, least, most)));
        let first = self.0.first()?;
        Some(Band { name: first.name.clone(), style: first.style, points: points.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::results::sample::answer;

    #[test]
    fn the_band_is_between_the_ends_and_has_the_curve_in_it() {
        let times = |factor: f64| {
            let mut metric = answer().metrics.swap_remove(0);
            metric.ecdf.iter_mut().for_each(|point| point.0 *= factor);
            curve(RANGE, SeriesStyle::Current, &metric)
        };
        let curves = Curves(vec![times(1.0), times(0.8), times(1.5)]);
        let band = curves.band().expect("a band");
        assert_eq!(band.points.len(), 12, "every step of the three curves");
        for (x, least, most) in &band.points {
            let [own, fast, slow] = [0, 1, 2].map(|curve: usize| curves.0[curve].share_at(*x).expect("a share"));
            assert!(slow <= own && own <= fast, "{slow}, {own}, {fast} at {x}");
            assert_eq!((*least, *most), (slow, fast), "at {x}");
        }
        assert_eq!(Curves(Vec::new()).band(), None, "no range is known");
    }
}
