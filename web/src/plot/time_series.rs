//! Quantities over time: a line, and the band between the lowest and the highest value that it leaves out.

use super::axis::{self, Scale};
use super::canvas::{Canvas, HPos, Stroke, Type, VPos, fitted, text_width};
use super::clip::Point;
use super::palette::{Dash, Look};
use super::scaffold::{self, AxisSpec, Scaffold, Spec, Swatch, Vertical};
use super::ticks::Unit;
use super::{Drawing, Frame};

/// A quantity in one span of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BandPoint {
    /// Middle of the span, in seconds.
    pub(crate) time_s: f64,
    pub(crate) min: f64,
    pub(crate) mean: f64,
    pub(crate) max: f64,
}

/// A quantity over time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TimeSeries {
    /// For the legend.
    pub(crate) name: String,
    pub(crate) look: Look,
    /// In order of time.
    pub(crate) points: Vec<BandPoint>,
}

/// A bound on the y axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limit {
    pub(crate) value: f64,
    /// Such as `max_num_seqs 256`.
    pub(crate) label: String,
}

/// Quantities over one axis of time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TimeSeriesPlot {
    /// The first lies on top.
    pub(crate) series: Vec<TimeSeries>,
    pub(crate) y_unit: Unit,
    /// Of the y axis, such as `requests`.
    pub(crate) y_title: String,
    /// Drawn if it is not far above the data: it would press them flat.
    pub(crate) limit: Option<Limit>,
    /// What is visible, in seconds. Give plots that stand above each other the same.
    pub(crate) x_range: Option<(f64, f64)>,
}

impl TimeSeries {
    /// The point nearest in time.
    pub(crate) fn at(&self, time_s: f64) -> Option<BandPoint> {
        let after = self.points.partition_point(|point| point.time_s < time_s);
        let around = self.points[after.saturating_sub(1)..].iter().take(2);
        around.min_by(|a, b| (a.time_s - time_s).abs().total_cmp(&(b.time_s - time_s).abs())).copied()
    }

    fn drawable(&self) -> impl DoubleEndedIterator<Item = &BandPoint> {
        let has_place = |value| axis::has_place(Scale::Linear, value);
        self.points
            .iter()
            .filter(move |p| has_place(p.time_s) && has_place(p.min) && has_place(p.mean) && has_place(p.max))
    }
}

impl TimeSeriesPlot {
    /// The plot.
    pub(crate) fn draw(&self, frame: Frame) -> Drawing {
        let points = || self.series.iter().flat_map(TimeSeries::drawable);
        let times = axis::extent(Scale::Linear, points().map(|point| point.time_s));
        let values = axis::extent(Scale::Linear, points().flat_map(|point| [point.min, point.max]));
        let (Some(times), Some((lowest, highest))) = (times, values) else {
            return scaffold::empty(frame, Unit::Seconds);
        };
        let limit = self.limit.as_ref().filter(|limit| limit.value > 0.0 && limit.value <= highest * 2.5);
        let top = limit.map_or(highest, |limit| highest.max(limit.value));
        let y_range = (lowest.min(0.0), if top > 0.0 { top * 1.06 } else { 1.0 });
        let spec = Spec {
            x: AxisSpec {
                scale: Scale::Linear,
                unit: Unit::Seconds,
                range: self.x_range.unwrap_or((times.0.min(0.0), times.1)),
                title: "simulated time",
            },
            y: Vertical::Values(AxisSpec {
                scale: Scale::Linear,
                unit: self.y_unit,
                range: y_range,
                title: &self.y_title,
            }),
            legend: self.series.iter().map(|s| (s.name.as_str(), Swatch::Line(s.look))).collect(),
            has_flag: false,
            least_left: 0.0,
        };
        Scaffold::new(frame, spec).finish(frame, |scaffold, canvas| {
            scaffold.draw_below(canvas);
            // Two bands over each other would be of neither's colour.
            if let Some(series) = self.series.first() {
                draw_band(scaffold, canvas, series);
            }
            for series in self.series.iter().rev() {
                let at = |p: &BandPoint| (scaffold.x.to_pixel(p.time_s), scaffold.y.to_pixel(p.mean));
                let line: Vec<Point> = series.drawable().map(at).collect();
                let colour = series.look.colour(frame.theme);
                canvas.line_within(&line, scaffold.area, Stroke { colour, width: 1.6, dash: series.look.dash });
                if let [only] = line[..] {
                    canvas.dot(only, 3.0, colour);
                }
            }
            if let Some(limit) = limit {
                draw_limit(scaffold, canvas, limit, &self.y_title);
            }
            scaffold.draw_above(canvas);
        })
    }
}

/// Between lowest and highest values, as far as it is visible.
fn draw_band(scaffold: &Scaffold<'_>, canvas: &mut Canvas<'_>, series: &TimeSeries) {
    let visible: Vec<&BandPoint> = series.drawable().filter(|point| scaffold.x.contains(point.time_s)).collect();
    let at = |time_s, value| (scaffold.x.to_pixel_within(time_s), scaffold.y.to_pixel_within(value));
    let upper = visible.iter().map(|point| at(point.time_s, point.max));
    let lower = visible.iter().rev().map(|point| at(point.time_s, point.min));
    let band: Vec<Point> = upper.chain(lower).collect();
    canvas.polygon(&band, series.look.colour(canvas.frame.theme), 0.2);
}

fn draw_limit(scaffold: &Scaffold<'_>, canvas: &mut Canvas<'_>, limit: &Limit, title: &str) {
    let y = scaffold.y.to_pixel_within(limit.value);
    let colour = canvas.colours().limit;
    let line = [(scaffold.area.left, y), (scaffold.area.right, y)];
    canvas.line(&line, Stroke { colour, width: 1.2, dash: Dash::Dashed });
    let words = Type::new(colour, HPos::Right, VPos::Top);
    // The y axis' name stands in the same row.
    let label = fitted(&limit.label, (scaffold.area.right - text_width(title) - 24.0).max(0.0));
    canvas.text(&label, (scaffold.area.right, scaffold.area.top - 17.0), words);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_point_is_read() {
        let point = |time_s| BandPoint { time_s, min: 0.0, mean: 1.0, max: 2.0 };
        let look = Look { series: 1, dash: Dash::Solid };
        let series = TimeSeries { name: String::new(), look, points: vec![point(1.0), point(2.0), point(4.0)] };
        for (time_s, expect) in [(0.0, 1.0), (1.4, 1.0), (1.6, 2.0), (3.5, 4.0), (9.0, 4.0)] {
            assert_eq!(series.at(time_s).map(|p| p.time_s), Some(expect), "at {time_s}");
        }
    }
}
