//! Histograms: how many requests were how slow.

use super::axis::{self, Area, Scale};
use super::canvas::{Canvas, Stroke};
use super::cdf::visible_range;
use super::clip::Point;
use super::scaffold::{self, AxisSpec, Scaffold, Spec, Swatch, Vertical};
use super::ticks::Unit;
use super::{Drawing, Frame, SeriesStyle, Slo};

/// Counts between edges.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HistogramSeries {
    /// For the legend.
    pub(crate) name: String,
    pub(crate) style: SeriesStyle,
    /// Increasing, one more than `counts`.
    pub(crate) edges: Vec<f64>,
    pub(crate) counts: Vec<f64>,
}

/// Histograms over one axis. Give all series the same edges: heights of bins of different widths say nothing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HistogramPlot {
    /// The most important one first: it is filled.
    pub(crate) series: Vec<HistogramSeries>,
    pub(crate) x_unit: Unit,
    /// Of the x axis, such as `TTFT`.
    pub(crate) x_title: String,
    /// Of what: `requests`, or `gaps` of inter-token latencies.
    pub(crate) noun: String,
    /// Bins of equal ratio look equally wide; the y axis says so.
    pub(crate) log_x: bool,
    /// Shares of each series' samples, so that runs of different length can be compared.
    pub(crate) as_share: bool,
    pub(crate) slo: Option<Slo>,
    /// What is visible; `None` for everything.
    pub(crate) x_range: Option<(f64, f64)>,
}

impl HistogramSeries {
    /// The bin that holds `x`: its lower and upper edge and its count.
    pub(crate) fn bin_at(&self, x: f64) -> Option<(f64, f64, f64)> {
        self.bins()
            .find(|&(low, high, _)| low <= x && x < high)
            .or_else(|| self.bins().last().filter(|bin| bin.1 <= x && x <= bin.1))
    }

    fn bins(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        self.edges.windows(2).zip(&self.counts).map(|(edges, &count)| (edges[0], edges[1], count))
    }

    fn total(&self) -> f64 {
        self.counts.iter().filter(|count| axis::has_place(Scale::Linear, **count)).sum()
    }
}

impl HistogramPlot {
    /// The plot.
    pub(crate) fn draw(&self, frame: Frame) -> Drawing {
        let scale = if self.log_x { Scale::Log } else { Scale::Linear };
        let edges = self.series.iter().filter(|s| !s.counts.is_empty()).flat_map(|s| s.edges.iter().copied());
        let Some(extent) = axis::extent(scale, edges) else {
            return scaffold::empty(frame, self.x_unit);
        };
        let range = self.x_range.unwrap_or_else(|| visible_range(scale, extent, self.slo.as_ref()));
        let heights = self.series.iter().flat_map(|s| s.bins().map(|bin| self.height(s, bin.2)));
        let (_, highest) = axis::extent(Scale::Linear, heights).unwrap_or((0.0, 1.0));
        let title = format!(
            "{}{} per bin{}",
            if self.as_share { "share of " } else { "" },
            self.noun,
            if self.log_x { " (bins of equal ratio)" } else { "" }
        );
        let unit = if self.as_share { Unit::Share } else { Unit::Count };
        let top = if highest > 0.0 { highest * 1.05 } else { 1.0 };
        let spec = Spec {
            x: AxisSpec { scale, unit: self.x_unit, range, title: &self.x_title },
            y: Vertical::Values(AxisSpec { scale: Scale::Linear, unit, range: (0.0, top), title: &title }),
            legend: self.series.iter().map(|s| (s.name.as_str(), Swatch::Line(s.style.look()))).collect(),
            has_flag: self.slo.is_some(),
            least_left: 0.0,
        };
        Scaffold::new(frame, spec).finish(frame, |scaffold, canvas| {
            scaffold.draw_pass_side(canvas, self.slo.as_ref());
            scaffold.draw_below(canvas);
            if let Some(first) = self.series.first() {
                self.fill(scaffold, canvas, first);
            }
            for series in self.series.iter().rev() {
                let look = series.style.look();
                let stroke = Stroke { colour: look.colour(frame.theme), width: 1.75, dash: look.dash };
                canvas.line_within(&self.outline(scaffold, series), scaffold.area, stroke);
            }
            scaffold.draw_slo(canvas, self.slo.as_ref());
            scaffold.draw_above(canvas);
        })
    }

    fn height(&self, series: &HistogramSeries, count: f64) -> f64 {
        let total = series.total();
        if self.as_share && total > 0.0 { count / total } else { count }
    }

    fn fill(&self, scaffold: &Scaffold<'_>, canvas: &mut Canvas<'_>, series: &HistogramSeries) {
        let colour = series.style.look().colour(canvas.frame.theme);
        for (low, high, count) in series.bins() {
            let left = scaffold.x.to_pixel_within(low);
            let right = scaffold.x.to_pixel_within(high).max(left + if scaffold.x.contains(low) { 1.0 } else { 0.0 });
            let top = scaffold.y.to_pixel_within(self.height(series, count));
            canvas.rect(Area { left, top, right, bottom: scaffold.area.bottom }, colour, 0.28);
        }
    }

    fn outline(&self, scaffold: &Scaffold<'_>, series: &HistogramSeries) -> Vec<Point> {
        let floor = scaffold.y.to_pixel(0.0);
        let mut line: Vec<Point> = Vec::new();
        for (low, high, count) in series.bins() {
            let (left, right) = (scaffold.x.to_pixel(low), scaffold.x.to_pixel(high));
            let top = scaffold.y.to_pixel(self.height(series, count));
            if line.is_empty() {
                line.push((left, floor));
            }
            line.extend([(left, top), (right.max(left + 1.0), top)]);
        }
        if let Some(&(right, _)) = line.last() {
            line.push((right, floor));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_one_bin() {
        let (edges, counts) = (vec![0.0, 1.0, 2.0], vec![3.0, 4.0]);
        let series = HistogramSeries { name: String::new(), style: SeriesStyle::Current, edges, counts };
        assert_eq!(series.bin_at(0.0), Some((0.0, 1.0, 3.0)), "lower edge");
        assert_eq!(series.bin_at(1.0), Some((1.0, 2.0, 4.0)), "an edge belongs to the upper bin");
        assert_eq!(series.bin_at(2.0), Some((1.0, 2.0, 4.0)), "the last one has both edges");
        assert_eq!(series.bin_at(2.1), None, "outside");
    }
}
