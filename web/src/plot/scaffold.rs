//! What every plot has around its data: axes with names, a legend, a limit.
//!
//! From top to bottom: the legend, if there are several series; the y axis' name and the limit's label; the data; the
//! names of x values; the x axis' name.

use super::axis::{Area, Axis, Scale};
use super::canvas::{self, BAND_ALPHA, Canvas, HPos, Stroke, Type, VPos, fitted, text_width};
use super::clip::Point;
use super::palette::{BarLook, Dash, Look};
use super::ticks::{self, Tick, Unit};
use super::{Drawing, Frame, Slo};

const ROW_PX: f64 = 17.0;
const EDGE_PX: f64 = 8.0;
const TICK_GAP_PX: f64 = 6.0;
const SWATCH_PX: f64 = 20.0;
const LEGEND_GAP_PX: f64 = 14.0;

/// One direction, before it has pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct AxisSpec<'a> {
    pub(super) scale: Scale,
    pub(super) unit: Unit,
    pub(super) range: (f64, f64),
    pub(super) title: &'a str,
}

/// What goes up.
#[derive(Debug, Clone, Copy)]
pub(super) enum Vertical<'a> {
    Values(AxisSpec<'a>),
    /// Names of rows, the first at the top. An empty name is not drawn.
    Rows(&'a [String]),
}

/// What stands before a name in the legend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Swatch {
    Line(Look),
    Bar(BarLook),
    Band(Look),
}

/// A plot's surroundings.
#[derive(Debug, Clone)]
pub(super) struct Spec<'a> {
    pub(super) x: AxisSpec<'a>,
    pub(super) y: Vertical<'a>,
    pub(super) legend: Vec<(&'a str, Swatch)>,
    /// Whether a limit's label needs a row of its own above the data.
    pub(super) has_flag: bool,
    /// Least room for the names of y values: plots above each other have theirs in one line.
    pub(super) least_left: f64,
}

/// A plot's surroundings, with pixels.
pub(super) struct Scaffold<'a> {
    pub(super) area: Area,
    pub(super) x: Axis,
    pub(super) y: Axis,
    spec: Spec<'a>,
    x_ticks: Vec<Tick>,
    y_ticks: Vec<Tick>,
    /// Where each entry of the legend begins, and its name as far as there is room.
    legend: Vec<(Point, String, Swatch)>,
    /// Where the y axis' name stands.
    title_y: f64,
}

impl<'a> Scaffold<'a> {
    /// Gives everything its place.
    pub(super) fn new(frame: Frame, spec: Spec<'a>) -> Self {
        let (width, height) = frame.size();
        let (legend, legend_rows) = place_legend(&spec.legend, width);
        let title_y = legend_rows * ROW_PX + 4.0;
        let has_title = matches!(spec.y, Vertical::Values(_));
        let rows_above = legend_rows + f64::from(u8::from(has_title)) + f64::from(u8::from(spec.has_flag));
        let top = (rows_above * ROW_PX + EDGE_PX).min(height / 2.0);
        let bottom = (height - 2.0 * ROW_PX - 4.0).max(top + 10.0);
        let (y, y_ticks) = vertical(&spec.y, (bottom, top));
        let widest = match spec.y {
            Vertical::Values(_) => y_ticks.iter().map(|tick| text_width(&tick.label)).fold(0.0, f64::max),
            Vertical::Rows(names) => names.iter().map(|name| text_width(name)).fold(0.0, f64::max),
        };
        let left = (widest.max(spec.least_left) + TICK_GAP_PX + EDGE_PX).clamp(EDGE_PX + 10.0, width * 0.35);
        let right = width - 2.0 * EDGE_PX;
        let x = Axis::new(spec.x.scale, spec.x.unit, spec.x.range, (left, right));
        let x_ticks = fitting_ticks(&x, if frame.is_narrow() { 6 } else { 10 });
        Self { area: Area { left, top, right, bottom }, x, y, spec, x_ticks, y_ticks, legend, title_y }
    }

    /// What lies under the data: lines of the grid.
    pub(super) fn draw_below(&self, canvas: &mut Canvas<'_>) {
        let Area { left, top, right, bottom } = self.area;
        let colours = canvas.colours();
        let grid = Stroke::solid(colours.grid, 1.0);
        for value in ticks::minor_values(&self.x) {
            let x = self.x.to_pixel_within(value);
            canvas.line(&[(x, top), (x, bottom)], Stroke { width: 0.5, ..grid });
        }
        for tick in &self.x_ticks {
            let x = self.x.to_pixel_within(tick.value);
            canvas.line(&[(x, top), (x, bottom)], grid);
        }
        for tick in &self.y_ticks {
            let y = self.y.to_pixel_within(tick.value);
            canvas.line(&[(left, y), (right, y)], grid);
        }
    }

    /// What lies over the data: the axis and every word.
    pub(super) fn draw_above(&self, canvas: &mut Canvas<'_>) {
        let Area { left, right, bottom, .. } = self.area;
        let colours = canvas.colours();
        canvas.line(&[(left, bottom), (right, bottom)], Stroke::solid(colours.axis, 1.0));
        for tick in &self.x_ticks {
            let x = self.x.to_pixel_within(tick.value);
            canvas.line(&[(x, bottom), (x, bottom + 4.0)], Stroke::solid(colours.axis, 1.0));
            canvas.text(&tick.label, (x, bottom + 7.0), Type::new(colours.text_muted, HPos::Center, VPos::Top));
        }
        let at = (right, bottom + ROW_PX + 6.0);
        canvas.text(self.spec.x.title, at, Type::new(colours.text_muted, HPos::Right, VPos::Top));
        self.draw_vertical_names(canvas);
        for ((x, y), name, swatch) in &self.legend {
            draw_swatch(canvas, (*x, y + ROW_PX / 2.0), *swatch);
            let at = (x + SWATCH_PX + 5.0, y + ROW_PX / 2.0);
            canvas.text(name, at, Type::new(colours.text, HPos::Left, VPos::Center));
        }
    }

    fn draw_vertical_names(&self, canvas: &mut Canvas<'_>) {
        let Area { left, .. } = self.area;
        let colours = canvas.colours();
        let name = Type::new(colours.text_muted, HPos::Right, VPos::Center);
        match self.spec.y {
            Vertical::Values(spec) => {
                for tick in &self.y_ticks {
                    canvas.text(&tick.label, (left - TICK_GAP_PX, self.y.to_pixel_within(tick.value)), name);
                }
                let at = (EDGE_PX, self.title_y);
                canvas.text(spec.title, at, Type::new(colours.text_muted, HPos::Left, VPos::Top));
            }
            Vertical::Rows(names) => {
                for (i, row) in names.iter().enumerate() {
                    let (top, bottom) = self.row(i, 0.0);
                    let text = fitted(row, left - TICK_GAP_PX - 2.0);
                    canvas.text(&text, (left - TICK_GAP_PX, f64::midpoint(top, bottom)), name);
                }
            }
        }
    }

    /// Top and bottom of a row, without `gap` of its height.
    pub(super) fn row(&self, i: usize, gap: f64) -> (f64, f64) {
        let first = sim_core::math::usize_to_f64(i);
        let (top, bottom) = (self.y.to_pixel_within(first), self.y.to_pixel_within(first + 1.0));
        let gap = (bottom - top) * gap / 2.0;
        (top + gap, bottom - gap)
    }

    /// Shades the side of a limit that passes. Under the grid.
    pub(super) fn draw_pass_side(&self, canvas: &mut Canvas<'_>, slo: Option<&Slo>) {
        if let Some(slo) = slo {
            let right = self.x.to_pixel_within(slo.limit);
            canvas.rect(Area { right, ..self.area }, canvas.colours().good, 0.09);
        }
    }

    /// The limit itself, with its label above the data; an arrow to it if it is not visible.
    pub(super) fn draw_slo(&self, canvas: &mut Canvas<'_>, slo: Option<&Slo>) {
        let Some(slo) = slo.filter(|slo| !slo.limit.is_nan()) else {
            return;
        };
        let Area { left, top, right, bottom } = self.area;
        let colour = canvas.colours().limit;
        let label = |canvas: &mut Canvas<'_>, text: &str, x, anchor| {
            canvas.text(text, (x, top - 6.0), Type::new(colour, anchor, VPos::Bottom).bold());
        };
        if self.x.contains(slo.limit) {
            let x = self.x.to_pixel_within(slo.limit);
            canvas.line(&[(x, top - 3.0), (x, bottom)], Stroke { colour, width: 1.5, dash: Dash::Dashed });
            label(canvas, &slo.label, x, HPos::Center);
        } else if slo.limit > self.x.range().1 {
            label(canvas, &format!("{} →", slo.label), right, HPos::Right);
        } else {
            label(canvas, &format!("← {}", slo.label), left, HPos::Left);
        }
    }

    /// The plot with what `draw` puts between grid and words.
    pub(super) fn finish(self, frame: Frame, draw: impl FnOnce(&Self, &mut Canvas<'_>)) -> Drawing {
        let svg = canvas::svg(frame, |canvas| draw(&self, canvas));
        Drawing { svg, x: self.x, y: self.y, area: self.area }
    }
}

/// A frame that says why there is no plot in it.
pub(super) fn empty(frame: Frame, unit: Unit) -> Drawing {
    let (width, height) = frame.size();
    let area = Area { left: EDGE_PX, top: EDGE_PX, right: width - EDGE_PX, bottom: height - EDGE_PX };
    let svg = canvas::svg(frame, |canvas| {
        let colours = canvas.colours();
        canvas.line(&[(area.left, area.bottom), (area.right, area.bottom)], Stroke::solid(colours.axis, 1.0));
        let words = Type::new(colours.text_muted, HPos::Center, VPos::Center);
        canvas.text("no data", (width / 2.0, height / 2.0), words);
    });
    let x = Axis::new(Scale::Linear, unit, (0.0, 1.0), (area.left, area.right));
    Drawing { svg, x, y: Axis::new(Scale::Linear, Unit::Count, (0.0, 1.0), (area.bottom, area.top)), area }
}

fn vertical(y: &Vertical<'_>, pixels: (f64, f64)) -> (Axis, Vec<Tick>) {
    match y {
        Vertical::Values(spec) => {
            let axis = Axis::new(spec.scale, spec.unit, spec.range, pixels);
            // One name each 24 pixels or so.
            let room = sim_core::math::f64_to_u32((pixels.0 - pixels.1) / 24.0).clamp(2, 6);
            (axis, ticks::ticks(&axis, sim_core::math::u32_to_usize(room)))
        }
        Vertical::Rows(names) => {
            let rows = sim_core::math::usize_to_f64(names.len().max(1));
            (Axis::new(Scale::Linear, Unit::Count, (0.0, rows), (pixels.1, pixels.0)), Vec::new())
        }
    }
}

/// As many ticks as have room for their names side by side.
fn fitting_ticks(axis: &Axis, most: usize) -> Vec<Tick> {
    let (from, to) = axis.pixels();
    for max_ticks in (2..=most).rev() {
        let ticks = ticks::ticks(axis, max_ticks);
        let fits = ticks.windows(2).all(|pair| {
            let apart = axis.to_pixel(pair[1].value) - axis.to_pixel(pair[0].value);
            apart >= f64::midpoint(text_width(&pair[0].label), text_width(&pair[1].label)) + 12.0
        });
        if fits || max_ticks == 2 {
            // The last name must not be cut off, nor moved away from its value by more than the eye forgives.
            let inside = |tick: &Tick| {
                let x = axis.to_pixel(tick.value);
                x - text_width(&tick.label) / 2.0 >= from - 40.0
                    && x + text_width(&tick.label) / 2.0 <= to + 2.0 * EDGE_PX + 4.0
            };
            return if ticks.len() > 2 { ticks.into_iter().filter(inside).collect() } else { ticks };
        }
    }
    Vec::new()
}

/// Entries side by side, then in further rows; and the number of rows. One entry needs no legend.
fn place_legend(entries: &[(&str, Swatch)], width: f64) -> (Vec<(Point, String, Swatch)>, f64) {
    if entries.len() < 2 {
        return (Vec::new(), 0.0);
    }
    let room = width - 2.0 * EDGE_PX;
    let (mut x, mut row) = (0.0, 0.0);
    let mut placed = Vec::new();
    for &(name, swatch) in entries {
        let name = fitted(name, (room - SWATCH_PX - 5.0).min(260.0));
        let length = SWATCH_PX + 5.0 + text_width(&name);
        if x > 0.0 && x + length > room {
            (x, row) = (0.0, row + 1.0);
        }
        placed.push(((EDGE_PX + x, row * ROW_PX + 2.0), name, swatch));
        x += length + LEGEND_GAP_PX;
    }
    (placed, row + 1.0)
}

fn draw_swatch(canvas: &mut Canvas<'_>, (x, y): Point, swatch: Swatch) {
    match swatch {
        Swatch::Line(look) => {
            let stroke = Stroke { colour: look.colour(canvas.frame.theme), width: 2.0, dash: look.dash };
            canvas.line(&[(x, y), (x + SWATCH_PX, y)], stroke);
        }
        Swatch::Band(look) => {
            let area = Area { left: x + 4.0, top: y - 5.0, right: x + SWATCH_PX, bottom: y + 5.0 };
            canvas.rect(area, look.colour(canvas.frame.theme), BAND_ALPHA);
        }
        Swatch::Bar(look) => {
            canvas.bar(Area { left: x + 4.0, top: y - 5.0, right: x + SWATCH_PX, bottom: y + 5.0 }, look);
        }
    }
}
