//! Points of which some lead: none is better than these in one direction without being worse in the other. The others are
//! pale.

use super::axis::{self, Scale};
use super::canvas::{Stroke, text_width};
use super::clip::Point;
use super::palette::{Dash, Look};
use super::scaffold::{self, AxisSpec, Scaffold, Spec, Swatch, Vertical};
use super::ticks::Unit;
use super::{Drawing, Frame};

/// A point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ScatterDot {
    /// Its values.
    pub(crate) at: (f64, f64),
    /// Whether it is on the front.
    pub(crate) leads: bool,
}

/// Points, those of the front joined.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScatterPlot {
    /// By the first value.
    pub(crate) dots: Vec<ScatterDot>,
    /// Of the front.
    pub(crate) look: Look,
    pub(crate) x_title: &'static str,
    pub(crate) y_title: &'static str,
}

/// Radius of a dot on the front, and of another.
const DOT_PX: (f64, f64) = (3.4, 2.2);

impl ScatterPlot {
    /// The plot.
    pub(crate) fn draw(&self, frame: Frame) -> Drawing {
        let has_place =
            |dot: &&ScatterDot| axis::has_place(Scale::Linear, dot.at.0) && axis::has_place(Scale::Log, dot.at.1);
        let dots = || self.dots.iter().filter(has_place);
        let furthest = axis::extent(Scale::Linear, dots().map(|dot| dot.at.0));
        let values = axis::extent(Scale::Log, dots().map(|dot| dot.at.1));
        let (Some((_, furthest)), Some((lowest, highest))) = (furthest, values) else {
            return scaffold::empty(frame, Unit::Number);
        };
        let pale = Look { series: 6, dash: Dash::Dotted };
        let x = AxisSpec {
            scale: Scale::Linear,
            unit: Unit::Number,
            range: (0.0, furthest.max(1e-9) * 1.04),
            title: self.x_title,
        };
        let y = AxisSpec {
            scale: Scale::Log,
            unit: Unit::Number,
            range: (lowest / 1.25, highest * 1.25),
            title: self.y_title,
        };
        let spec = Spec {
            x,
            y: Vertical::Values(y),
            legend: vec![("none is better in both", Swatch::Line(self.look)), ("others", Swatch::Line(pale))],
            has_flag: false,
            least_left: text_width("0.05"),
        };
        Scaffold::new(frame, spec).finish(frame, |scaffold, canvas| {
            scaffold.draw_below(canvas);
            let place = |dot: &ScatterDot| (scaffold.x.to_pixel(dot.at.0), scaffold.y.to_pixel(dot.at.1));
            let muted = canvas.colours().axis;
            for dot in dots().filter(|dot| !dot.leads) {
                canvas.dot(place(dot), DOT_PX.1, muted);
            }
            let front: Vec<Point> = dots().filter(|dot| dot.leads).map(place).collect();
            let colour = self.look.colour(canvas.frame.theme);
            canvas.line(&front, Stroke { colour, width: 1.6, dash: self.look.dash });
            for point in front {
                canvas.dot(point, DOT_PX.0, colour);
            }
            scaffold.draw_above(canvas);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::Theme;

    #[test]
    fn the_front_is_joined_and_all_points_are_within_the_axes() {
        let dot = |x: f64, y: f64, leads: bool| ScatterDot { at: (x, y), leads };
        let look = Look { series: 1, dash: Dash::Solid };
        let plot = |dots| ScatterPlot { dots, look, x_title: "tokens/s per user", y_title: "US$" };
        let frame = Frame { width: 640, height: 320, theme: Theme::Light };
        let dots = vec![dot(10.0, 0.1, true), dot(20.0, 0.9, false), dot(40.0, 0.3, true)];
        let drawing = plot(dots.clone()).draw(frame);
        for dot in &dots {
            assert!(drawing.x.contains(dot.at.0) && drawing.y.contains(dot.at.1), "{dot:?}");
        }
        // Each dot lies on a ground of its own.
        assert_eq!(drawing.svg.matches("<circle").count(), 2 * 3, "{}", drawing.svg);
        let only = plot(vec![dot(10.0, 0.0, true)]).draw(frame);
        assert!(only.svg.contains("no data"), "nothing costs nothing: {}", only.svg);
    }
}
