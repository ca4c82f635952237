//! Figures against load: lines through what was tried, the bound that must hold, and the load up to which it does.

use super::axis::{self, Area, Scale};
use super::canvas::{Canvas, HPos, Stroke, Type, VPos, fitted, text_width};
use super::clip::Point;
use super::palette::{Dash, Look};
use super::scaffold::{self, AxisSpec, Scaffold, Spec, Swatch, Vertical};
use super::ticks::{self, Unit};
use super::{Drawing, Frame};

/// A figure at each load that was tried.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LoadLine {
    /// For the legend.
    pub(crate) name: String,
    pub(crate) look: Look,
    /// Load and figure, by load.
    pub(crate) points: Vec<(f64, f64)>,
}

/// A bound on the figure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bound {
    pub(crate) value: f64,
    /// Such as `SLO 500 ms`.
    pub(crate) label: String,
    /// Whether what is below passes; else what is above.
    pub(crate) is_upper: bool,
}

/// How much is carried.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Knee {
    pub(crate) load: f64,
    /// How far the seeds let it be off.
    pub(crate) interval: Option<(f64, f64)>,
    /// Such as `carries 12.4`.
    pub(crate) label: String,
}

/// Figures against load.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LoadCurvePlot {
    /// The first lies on top.
    pub(crate) lines: Vec<LoadLine>,
    /// Of the x axis, such as `requests/s`.
    pub(crate) x_title: String,
    pub(crate) y_unit: Unit,
    pub(crate) y_title: String,
    /// Logarithmic y axis; else it begins at 0, or where a share that is looked at closely begins.
    pub(crate) is_log: bool,
    /// Drawn if it is not far above the data: it would press them flat.
    pub(crate) bound: Option<Bound>,
    pub(crate) knee: Option<Knee>,
    /// What is visible. Give plots that stand above each other the same.
    pub(crate) x_range: Option<(f64, f64)>,
}

/// Radius of the dot at a load that was tried.
const DOT_PX: f64 = 2.2;

impl LoadLine {
    /// The point nearest to a load.
    pub(crate) fn at(&self, load: f64) -> Option<(f64, f64)> {
        self.points.iter().min_by(|a, b| (a.0 - load).abs().total_cmp(&(b.0 - load).abs())).copied()
    }

    fn drawable(&self, scale: Scale) -> impl Iterator<Item = (f64, f64)> {
        self.points
            .iter()
            .copied()
            .filter(move |&(load, value)| axis::has_place(Scale::Linear, load) && axis::has_place(scale, value))
    }
}

impl LoadCurvePlot {
    fn scale(&self) -> Scale {
        if self.is_log { Scale::Log } else { Scale::Linear }
    }

    /// The plot.
    pub(crate) fn draw(&self, frame: Frame) -> Drawing {
        let scale = self.scale();
        let points = || self.lines.iter().flat_map(|line| line.drawable(scale));
        let loads = axis::extent(Scale::Linear, points().map(|point| point.0));
        let values = axis::extent(scale, points().map(|point| point.1));
        let (Some((_, furthest)), Some((lowest, highest))) = (loads, values) else {
            return scaffold::empty(frame, self.y_unit);
        };
        let far = if self.is_log { 30.0 } else { 2.5 };
        let bound = self.bound.as_ref().filter(|bound| bound.value > 0.0 && bound.value <= highest * far);
        let spec = Spec {
            x: AxisSpec {
                scale: Scale::Linear,
                unit: Unit::Number,
                range: self.x_range.unwrap_or((0.0, furthest)),
                title: &self.x_title,
            },
            y: Vertical::Values(AxisSpec {
                scale,
                unit: self.y_unit,
                range: self.y_range((lowest, highest), bound),
                title: &self.y_title,
            }),
            legend: self.lines.iter().map(|line| (line.name.as_str(), Swatch::Line(line.look))).collect(),
            has_flag: self.knee.is_some(),
            least_left: text_width("300 ms"),
        };
        Scaffold::new(frame, spec).finish(frame, |scaffold, canvas| {
            self.draw_under(scaffold, canvas, bound);
            for line in self.lines.iter().rev() {
                self.draw_line(scaffold, canvas, line);
            }
            if let Some(bound) = bound {
                draw_bound(scaffold, canvas, bound);
            }
            if let Some(knee) = &self.knee {
                draw_knee(scaffold, canvas, knee);
            }
            scaffold.draw_above(canvas);
        })
    }

    fn y_range(&self, (lowest, highest): (f64, f64), bound: Option<&Bound>) -> (f64, f64) {
        let with = |value: f64, pick: fn(f64, f64) -> f64| bound.map_or(value, |bound| pick(value, bound.value));
        match (self.scale(), self.y_unit) {
            (Scale::Log, _) => (with(lowest, f64::min) / 1.3, with(highest, f64::max) * 1.3),
            // A share never exceeds 1.
            (Scale::Linear, Unit::Share) => (0.0, 1.02),
            (Scale::Linear, _) => (0.0, with(highest, f64::max).max(1e-12) * 1.06),
        }
    }

    fn draw_under(&self, scaffold: &Scaffold<'_>, canvas: &mut Canvas<'_>, bound: Option<&Bound>) {
        if let Some(bound) = bound {
            let at = scaffold.y.to_pixel_within(bound.value);
            let area = scaffold.area;
            let side = if bound.is_upper { Area { top: at, ..area } } else { Area { bottom: at, ..area } };
            canvas.rect(side, canvas.colours().good, 0.07);
        }
        if let Some((low, high)) = self.knee.as_ref().and_then(|knee| knee.interval) {
            let (left, right) = (scaffold.x.to_pixel_within(low), scaffold.x.to_pixel_within(high));
            canvas.rect(Area { left, right, ..scaffold.area }, canvas.colours().text_muted, 0.16);
        }
        scaffold.draw_below(canvas);
    }

    fn draw_line(&self, scaffold: &Scaffold<'_>, canvas: &mut Canvas<'_>, line: &LoadLine) {
        let at = |(load, value)| (scaffold.x.to_pixel(load), scaffold.y.to_pixel(value));
        let points: Vec<Point> = line.drawable(self.scale()).map(at).collect();
        let colour = line.look.colour(canvas.frame.theme);
        canvas.line_within(&points, scaffold.area, Stroke { colour, width: 1.8, dash: line.look.dash });
        let area = scaffold.area;
        let is_inside = |point: &&Point| {
            (area.left - 0.5..=area.right + 0.5).contains(&point.0)
                && (area.top - 0.5..=area.bottom + 0.5).contains(&point.1)
        };
        for point in points.iter().filter(is_inside) {
            canvas.dot(*point, DOT_PX, colour);
        }
    }
}

fn draw_bound(scaffold: &Scaffold<'_>, canvas: &mut Canvas<'_>, bound: &Bound) {
    let y = scaffold.y.to_pixel_within(bound.value);
    let colour = canvas.colours().limit;
    let Area { left, right, bottom, .. } = scaffold.area;
    canvas.line(&[(left, y), (right, y)], Stroke { colour, width: 1.3, dash: Dash::Dashed });
    // On the left, where the lines are flat; above the line if there is room.
    let label = fitted(&bound.label, (right - left) / 2.0);
    let is_low = y > bottom - 20.0;
    let (below, anchor) = if bound.is_upper || is_low { (-4.0, VPos::Bottom) } else { (4.0, VPos::Top) };
    canvas.text(&label, (left + 6.0, y + below), Type::new(colour, HPos::Left, anchor));
}

fn draw_knee(scaffold: &Scaffold<'_>, canvas: &mut Canvas<'_>, knee: &Knee) {
    if !scaffold.x.contains(knee.load) {
        return;
    }
    let Area { left, top, right, bottom } = scaffold.area;
    let x = scaffold.x.to_pixel_within(knee.load);
    let colour = canvas.colours().text;
    canvas.line(&[(x, top - 3.0), (x, bottom)], Stroke { colour, width: 1.5, dash: Dash::Solid });
    let half = text_width(&knee.label) / 2.0;
    let at = x.clamp(left + half, (right - half).max(left + half));
    canvas.text(&knee.label, (at, top - 6.0), Type::new(colour, HPos::Center, VPos::Bottom).bold());
}

/// A load as words: `12.4 requests/s`.
pub(crate) fn load_text(load: f64, unit: &str) -> String {
    format!("{} {unit}", ticks::text(Unit::Number, load))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::Theme;

    fn plot(points: Vec<(f64, f64)>) -> LoadCurvePlot {
        LoadCurvePlot {
            lines: vec![LoadLine { name: "P99".to_owned(), look: Look { series: 1, dash: Dash::Solid }, points }],
            x_title: "requests/s".to_owned(),
            y_unit: Unit::Seconds,
            y_title: "TTFT".to_owned(),
            is_log: true,
            bound: Some(Bound { value: 0.5, label: "SLO 500 ms".to_owned(), is_upper: true }),
            knee: Some(Knee { load: 12.4, interval: Some((12.0, 13.0)), label: "carries 12.4".to_owned() }),
            x_range: None,
        }
    }

    #[test]
    fn knee_and_bound_stand_where_their_values_are() {
        let frame = Frame { width: 800, height: 320, theme: Theme::Light };
        let drawing = plot(vec![(1.0, 0.05), (12.0, 0.4), (13.0, 0.9), (14.0, 4.0)]).draw(frame);
        assert!(drawing.svg.contains("carries 12.4") && drawing.svg.contains("SLO 500 ms"), "{}", drawing.svg);
        assert!(drawing.x.contains(0.0) && drawing.x.contains(14.0), "all loads");
        assert!(drawing.y.contains(0.5) && drawing.y.contains(4.0) && drawing.y.contains(0.05), "all values");
        // A bound far above everything would press the lines flat.
        let low = plot(vec![(1.0, 0.001), (2.0, 0.002)]).draw(frame);
        assert!(!low.svg.contains("SLO"), "{}", low.svg);
        assert!(plot(vec![]).draw(frame).svg.contains("no data"), "nothing tried");
    }

    #[test]
    fn the_nearest_load_is_read() {
        let line = &plot(vec![(1.0, 0.05), (12.0, 0.4)]).lines[0];
        assert_eq!([line.at(0.0), line.at(7.0)], [Some((1.0, 0.05)), Some((12.0, 0.4))]);
    }
}
