//! Where a cumulative distribution may lie: what is between the steps of two.

use super::SeriesStyle;
use super::canvas::{BAND_ALPHA, Canvas};
use super::clip::Point;
use super::scaffold::{Scaffold, Swatch};

/// Between which shares a distribution may lie: in its colour, pale.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Band {
    /// For the legend.
    pub(crate) name: String,
    /// Of the distribution that it is around.
    pub(crate) style: SeriesStyle,
    /// x, and the least and the greatest share of samples at most x; all increasing.
    pub(crate) points: Vec<(f64, f64, f64)>,
}

impl Band {
    /// Where it has a step.
    pub(super) fn xs(&self) -> impl Iterator<Item = f64> {
        self.points.iter().map(|point| point.0)
    }

    /// Its entry in the legend.
    pub(super) fn legend(&self) -> (&str, Swatch) {
        (&self.name, Swatch::Band(self.style.look()))
    }

    /// Draws it; `height` says how high a share stands.
    pub(super) fn draw(&self, scaffold: &Scaffold<'_>, canvas: &mut Canvas<'_>, height: impl Fn(f64) -> f64) {
        let edge = |share: fn(&(f64, f64, f64)) -> f64| {
            let mut y = scaffold.y.to_pixel_within(height(0.0));
            let mut line: Vec<Point> = Vec::new();
            for point in self.points.iter().filter(|point| !point.0.is_nan() && !share(point).is_nan()) {
                let x = scaffold.x.to_pixel_within(point.0);
                line.push((x, y));
                y = scaffold.y.to_pixel_within(height(share(point)));
                line.push((x, y));
            }
            line
        };
        let mut outline = edge(|point| point.1);
        outline.extend(edge(|point| point.2).into_iter().rev());
        canvas.polygon(&outline, self.style.look().colour(canvas.frame.theme), BAND_ALPHA);
    }
}
