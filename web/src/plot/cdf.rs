//! Cumulative distributions: which share of the requests was at most so slow, or slower.

use super::axis::{self, Area, Scale};
use super::band::Band;
use super::canvas::{Canvas, HPos, Stroke, Type, VPos, text_width};
use super::clip::Point;
use super::scaffold::{self, AxisSpec, Scaffold, Spec, Swatch, Vertical};
use super::ticks::{self, Unit};
use super::{Drawing, Frame, SeriesStyle, Slo};

/// The quantiles with a mark.
const MARKS: [(f64, &str); 3] = [(50.0, "P50"), (90.0, "P90"), (99.0, "P99")];
/// The tail's axis ends here even if there are more samples.
const LEAST_TAIL: f64 = 1e-5;

/// One distribution.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CdfSeries {
    /// For the legend.
    pub(crate) name: String,
    pub(crate) style: SeriesStyle,
    /// (x, share of samples at most x), both increasing, as `Distribution::ecdf` gives them.
    pub(crate) points: Vec<(f64, f64)>,
    /// (percent, x) of the percentiles as they are told elsewhere: interpolated, where the points only step.
    pub(crate) percentiles: Vec<(f64, f64)>,
}

/// Cumulative distributions over one axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CdfPlot {
    /// The most important one first: it alone gets labels at its marks, and lies on top.
    pub(crate) series: Vec<CdfSeries>,
    /// Around one of them.
    pub(crate) band: Option<Band>,
    pub(crate) x_unit: Unit,
    /// Of the x axis, such as `TTFT`.
    pub(crate) x_title: String,
    /// Of what: `requests`, or `gaps` of inter-token latencies.
    pub(crate) noun: String,
    pub(crate) log_x: bool,
    /// `1 − CDF` on a logarithmic axis, where P99 and P99.9 are as far apart as P90 and P99.
    pub(crate) tail: bool,
    pub(crate) slo: Option<Slo>,
    /// What is visible; `None` for everything.
    pub(crate) x_range: Option<(f64, f64)>,
}

impl CdfSeries {
    /// Share of samples at most `x`; `None` without points.
    pub(crate) fn share_at(&self, x: f64) -> Option<f64> {
        let after = self.points.partition_point(|point| point.0 <= x);
        self.points.last().map(|_| if after == 0 { 0.0 } else { self.points[after - 1].1 })
    }

    /// The percentile, if it is known.
    fn percentile(&self, percent: f64) -> Option<f64> {
        self.percentiles.iter().find(|known| (known.0 - percent).abs() < 1e-9).map(|known| known.1)
    }
}

impl CdfPlot {
    /// The plot.
    pub(crate) fn draw(&self, frame: Frame) -> Drawing {
        let scale = if self.log_x { Scale::Log } else { Scale::Linear };
        let xs = self.series.iter().flat_map(|series| &series.points).map(|point| point.0);
        let Some(extent) = axis::extent(scale, xs.chain(self.band.iter().flat_map(Band::xs))) else {
            return scaffold::empty(frame, self.x_unit);
        };
        let range = self.x_range.unwrap_or_else(|| visible_range(scale, extent, self.slo.as_ref()));
        let title = format!("share of {} {}", self.noun, if self.tail { "above" } else { "at most" });
        let y = if self.tail {
            AxisSpec { scale: Scale::Log, unit: Unit::Share, range: (self.least_tail(), 1.0), title: &title }
        } else {
            AxisSpec { scale: Scale::Linear, unit: Unit::Share, range: (0.0, 1.0), title: &title }
        };
        let lines = self.series.iter().map(|s| (s.name.as_str(), Swatch::Line(s.style.look())));
        let spec = Spec {
            x: AxisSpec { scale, unit: self.x_unit, range, title: &self.x_title },
            y: Vertical::Values(y),
            legend: lines.chain(self.band.iter().map(Band::legend)).collect(),
            has_flag: self.slo.is_some(),
            least_left: 0.0,
        };
        Scaffold::new(frame, spec).finish(frame, |scaffold, canvas| {
            scaffold.draw_pass_side(canvas, self.slo.as_ref());
            scaffold.draw_below(canvas);
            self.band.iter().for_each(|band| band.draw(scaffold, canvas, |share| self.height(share)));
            scaffold.draw_slo(canvas, self.slo.as_ref());
            for series in self.series.iter().rev() {
                let look = series.style.look();
                let stroke = Stroke { colour: look.colour(frame.theme), width: 2.0, dash: look.dash };
                canvas.line_within(&self.steps(scaffold, series), scaffold.area, stroke);
            }
            for (i, series) in self.series.iter().enumerate().rev() {
                self.draw_marks(scaffold, canvas, series, i == 0);
            }
            scaffold.draw_above(canvas);
        })
    }

    /// Half of the smallest share that is above anything: the last step down to zero is still seen.
    fn least_tail(&self) -> f64 {
        let shares = self.series.iter().flat_map(|series| &series.points).map(|point| 1.0 - point.1);
        let least = shares.filter(|share| *share > 1e-12).fold(0.1, f64::min);
        (least / 2.0).max(LEAST_TAIL)
    }

    fn height(&self, share: f64) -> f64 {
        if self.tail { 1.0 - share } else { share }
    }

    /// The curve: it rises at each sample.
    fn steps(&self, scaffold: &Scaffold<'_>, series: &CdfSeries) -> Vec<Point> {
        let mut height = scaffold.y.to_pixel(self.height(0.0));
        let mut line = vec![(scaffold.x.to_pixel(f64::MIN), height)];
        for &(x, share) in series.points.iter().filter(|point| !point.0.is_nan() && !point.1.is_nan()) {
            let x = scaffold.x.to_pixel(x);
            line.push((x, height));
            height = scaffold.y.to_pixel(self.height(share));
            line.push((x, height));
        }
        if !self.tail {
            line.push((scaffold.x.to_pixel(f64::MAX), height));
        }
        line
    }

    fn draw_marks(&self, scaffold: &Scaffold<'_>, canvas: &mut Canvas<'_>, series: &CdfSeries, labelled: bool) {
        let colour = series.style.look().colour(canvas.frame.theme);
        let mut last: Option<Point> = None;
        for (percent, name) in MARKS {
            let Some(x) = series.percentile(percent).filter(|&x| scaffold.x.contains(x)) else {
                continue;
            };
            let height = self.height(percent / 100.0);
            if !scaffold.y.contains(height) {
                continue;
            }
            let at = (scaffold.x.to_pixel_within(x), scaffold.y.to_pixel_within(height));
            canvas.dot(at, if labelled { 3.5 } else { 2.5 }, colour);
            // Two labels would lie over each other.
            let crowded = last.is_some_and(|last| (last.1 - at.1).abs() < 15.0 && (at.0 - last.0) < 90.0);
            if labelled && !crowded {
                let text = format!("{name} {}", ticks::text(self.x_unit, x));
                label_mark(scaffold, canvas, at, &text, self.tail);
                last = Some(at);
            }
        }
    }
}

/// Beside a mark, where the curve is not: below a curve that rises, above one that falls.
fn label_mark(scaffold: &Scaffold<'_>, canvas: &mut Canvas<'_>, at: Point, text: &str, falls: bool) {
    let (x, y) = at;
    let (y, v) = if falls { (y - 5.0, VPos::Bottom) } else { (y + 5.0, VPos::Top) };
    let length = text_width(text);
    let left = if length <= scaffold.area.right - x - 8.0 { x + 7.0 } else { scaffold.area.right - length };
    // Over another curve or the limit, the words need a ground.
    let (top, bottom) = if falls { (y - 11.0, y + 1.0) } else { (y - 1.0, y + 11.0) };
    let ground = Area { left: left - 2.0, top, right: left + length, bottom };
    canvas.rect(ground, canvas.colours().surface, 0.8);
    canvas.text(text, (left, y), Type::new(canvas.colours().text, HPos::Left, v));
}

/// Everything, from zero if that is not far, and the limit if that is near.
pub(super) fn visible_range(scale: Scale, (low, high): (f64, f64), slo: Option<&Slo>) -> (f64, f64) {
    let (mut low, mut high) = (low, high);
    if let Some(limit) = slo.map(|slo| slo.limit).filter(|&limit| axis::has_place(scale, limit) && limit > 0.0) {
        if limit <= high * 3.0 {
            high = high.max(limit * 1.08);
        }
        if limit >= low / 3.0 {
            low = low.min(limit * 0.9);
        }
    }
    match scale {
        Scale::Log => {
            let margin = (high / low).powf(0.02);
            (low / margin, high * margin)
        }
        Scale::Linear if low >= 0.0 && low < 0.7 * high => (0.0, high * 1.02),
        Scale::Linear => (low - (high - low) * 0.04, high + (high - low) * 0.04),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_read_where_it_steps() {
        let points = vec![(1.0, 0.25), (2.0, 0.75), (4.0, 1.0)];
        let series = CdfSeries { name: "run".to_owned(), style: SeriesStyle::Current, points, percentiles: Vec::new() };
        for (x, share) in [(0.5, 0.0), (1.0, 0.25), (1.9, 0.25), (2.0, 0.75), (9.0, 1.0)] {
            assert_eq!(series.share_at(x), Some(share), "at {x}");
        }
    }

    #[test]
    fn marks_say_the_percentiles_that_are_told_elsewhere() {
        let series = CdfSeries {
            name: "run".to_owned(),
            style: SeriesStyle::Current,
            points: vec![(1.0, 0.25), (2.0, 0.75), (4.0, 1.0)],
            percentiles: vec![(50.0, 1.625), (99.0, 3.5)],
        };
        let plot = CdfPlot {
            series: vec![series],
            band: None,
            x_unit: Unit::Seconds,
            x_title: "TTFT".to_owned(),
            noun: "requests".to_owned(),
            log_x: false,
            tail: false,
            slo: None,
            x_range: None,
        };
        let frame = Frame { width: 600, height: 300, theme: crate::plot::Theme::Light };
        let svg = plot.draw(frame).svg;
        for (text, is_there) in [("P50 1.62 s", true), ("P99 3.5 s", true), ("P90", false)] {
            assert_eq!(svg.contains(text), is_there, "{text}: {svg}");
        }
    }

    #[test]
    fn the_visible_range_takes_in_a_limit_that_is_near() {
        let slo = |limit| Slo { limit, label: String::new() };
        assert_eq!(visible_range(Scale::Linear, (0.1, 1.0), None), (0.0, 1.02), "from zero");
        assert!(visible_range(Scale::Linear, (0.1, 1.0), Some(&slo(1.5))).1 > 1.5, "near");
        assert!(visible_range(Scale::Linear, (0.1, 1.0), Some(&slo(50.0))).1 < 2.0, "far");
        assert!(visible_range(Scale::Linear, (9.0, 10.0), None).0 > 8.0, "zero is far");
    }
}
