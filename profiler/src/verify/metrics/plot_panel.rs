//! One panel of the plot: axes with round ticks, and marks in the panel's own units.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::{
    Circle, DrawingArea, DrawingBackend, IntoFont, PathElement, Polygon, RGBColor, Rectangle, ShapeStyle, Text,
    TextStyle,
};
use plotters::style::Color as _;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What is drawn on, in pixels.
pub(super) type Area<D> = DrawingArea<D, Shift>;

pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const QUIET: RGBColor = RGBColor(0x66, 0x66, 0x66);
const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
/// The font's name in SVG, and the one under which `plot_font` registers its outlines.
pub(super) const FONT: &str = "system-ui, sans-serif";
const FRAME: RGBColor = RGBColor(0x99, 0x99, 0x99);
/// plotters divides a font's size by this for SVG.
const FONT_SIZE_FACTOR: f64 = 1.24;
/// Size of ordinary labels, in pixels.
pub(super) const TEXT_PX: f64 = 12.0;
/// Height of a line of text, in pixels.
const ROW_PX: i32 = 16;
/// Most named values of an axis.
const MAX_TICKS: usize = 6;

/// A range of values along one side.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// What it shows, with its unit.
    pub(super) title: String,
    low: f64,
    high: f64,
    is_log: bool,
}

impl Axis {
    /// From `low` to `high`, widened to be no point.
    pub(super) fn linear(title: String, low: f64, high: f64) -> Self {
        let middle = f64::midpoint(low, high);
        let half = ((high - low) / 2.0).max(middle.abs() * 1e-3).max(1e-9);
        Self { title, low: middle - half, high: middle + half, is_log: false }
    }

    /// From `low` to `high`, both above 0; logarithmic if they are far apart, else from 0.
    pub(super) fn positive(title: String, low: f64, high: f64) -> Self {
        if low > 0.0 && high / low > 20.0 {
            return Self { title, low: low / 1.2, high: high * 1.2, is_log: true };
        }
        Self::linear(title, 0.0, high * 1.05)
    }

    /// Where `value` lies, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        share.clamp(0.0, 1.0)
    }

    /// Round values, and their labels.
    fn ticks(&self) -> Vec<(f64, String)> {
        if self.is_log { self.log_ticks() } else { self.linear_ticks() }
    }

    fn log_ticks(&self) -> Vec<(f64, String)> {
        let mut ticks = vec![];
        for factors in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]] {
            ticks.clear();
            let mut exponent = self.low.log10().floor();
            while exponent <= self.high.log10() {
                let values = factors.iter().map(|factor| factor * 10f64.powf(exponent));
                let values = values.filter(|value| (self.low..=self.high).contains(value));
                ticks.extend(values.map(|value| (value, label(value, value))));
                exponent += 1.0;
            }
            if ticks.len() <= MAX_TICKS {
                break;
            }
        }
        ticks
    }

    fn linear_ticks(&self) -> Vec<(f64, String)> {
        let span = self.high - self.low;
        let finest = span / MAX_TICKS as f64;
        let decade = 10f64.powf(finest.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade);
        let step = steps.into_iter().find(|&step| step >= finest).unwrap_or(span);
        let mut ticks = vec![];
        let mut i = (self.low / step).ceil();
        while i <= (self.high / step).floor() {
            ticks.push((i * step, label(i * step, step)));
            i += 1.0;
        }
        ticks
    }
}

/// `value` with the digits that tell it from one a `step` away.
fn label(value: f64, step: f64) -> String {
    const MAX_DIGITS: u8 = 9;
    let is_enough = |digits: &u8| 10f64.powi(-i32::from(*digits)) <= step.abs() * (1.0 + 1e-9);
    let digits = usize::from((0..MAX_DIGITS).find(is_enough).unwrap_or(MAX_DIGITS));
    if value == 0.0 { "0".to_owned() } else { format!("{value:.digits$}").replace('-', "−") }
}

/// Axes in a part of the picture.
pub(super) struct Panel<'a, D: DrawingBackend> {
    area: &'a Area<D>,
    /// Left, top, right, bottom.
    inside: (i32, i32, i32, i32),
    x: Axis,
    y: Axis,
}

impl<'a, D: DrawingBackend> Panel<'a, D> {
    /// Draws the frame, the ticks and the names, and above them a heading and remarks, one line each.
    pub(super) fn new(area: &'a Area<D>, heading: &str, remarks: &[String], x: Axis, y: Axis) -> Result<Self> {
        let (width, height) = area.dim_in_pixel();
        let (width, height) = (i32::try_from(width)?, i32::try_from(height)?);
        let above = 34 + ROW_PX * i32::try_from(remarks.len())?;
        let panel = Self { area, inside: (72, above, width - 16, height - 48), x, y };
        let (left, top, right, bottom) = panel.inside;
        for (value, text) in panel.x.ticks() {
            let place = panel.at(value, panel.y.low).0;
            panel.path(vec![(place, top), (place, bottom)], GRID.stroke_width(1))?;
            panel.text((place, bottom + 6), &text, (HPos::Center, VPos::Top), QUIET)?;
        }
        for (value, text) in panel.y.ticks() {
            let place = panel.at(panel.x.low, value).1;
            panel.path(vec![(left, place), (right, place)], GRID.stroke_width(1))?;
            panel.text((left - 6, place), &text, (HPos::Right, VPos::Center), QUIET)?;
        }
        area.draw(&Rectangle::new([(left, top), (right, bottom)], FRAME.stroke_width(1))).map_err(failed)?;
        text(area, (left, 12), heading, (HPos::Left, VPos::Top), INK, TEXT_PX + 1.0)?;
        for (row, remark) in (1..).zip(remarks) {
            panel.text((left, 13 + ROW_PX * row), remark, (HPos::Left, VPos::Top), QUIET)?;
        }
        panel.text((i32::midpoint(left, right), bottom + 24), &panel.x.title, (HPos::Center, VPos::Top), INK)?;
        let font = (FONT, TEXT_PX * FONT_SIZE_FACTOR).into_font();
        let font = font.transform(plotters::style::FontTransform::Rotate270);
        let style = TextStyle::from(font).color(&INK).pos(Pos::new(HPos::Center, VPos::Top));
        area.draw(&Text::new(panel.y.title.clone(), (14, i32::midpoint(top, bottom)), style)).map_err(failed)?;
        Ok(panel)
    }

    #[expect(clippy::cast_possible_truncation, reason = "pixels of the picture")]
    fn at(&self, x: f64, y: f64) -> (i32, i32) {
        let (left, top, right, bottom) = self.inside;
        let across = f64::from(right - left) * self.x.place(x);
        let up = f64::from(bottom - top) * self.y.place(y);
        (left + across.round() as i32, bottom - up.round() as i32)
    }

    /// A dot.
    pub(super) fn dot(&self, x: f64, y: f64, colour: RGBColor) -> Result<()> {
        self.area.draw(&Circle::new(self.at(x, y), 3, colour.mix(0.35).filled())).map_err(failed)
    }

    /// A line through the points.
    pub(super) fn line(&self, points: &[(f64, f64)], style: ShapeStyle) -> Result<()> {
        self.path(points.iter().map(|&(x, y)| self.at(x, y)).collect(), style)
    }

    /// The area inside the points.
    pub(super) fn filled(&self, points: &[(f64, f64)], colour: RGBColor) -> Result<()> {
        let points: Vec<_> = points.iter().map(|&(x, y)| self.at(x, y)).collect();
        self.area.draw(&Polygon::new(points, colour.mix(0.22).filled())).map_err(failed)
    }

    /// The ends of the x axis.
    pub(super) const fn x_range(&self) -> (f64, f64) {
        (self.x.low, self.x.high)
    }

    fn path(&self, points: Vec<(i32, i32)>, style: ShapeStyle) -> Result<()> {
        self.area.draw(&PathElement::new(points, style)).map_err(failed)
    }

    fn text(&self, at: (i32, i32), words: &str, anchor: (HPos, VPos), colour: RGBColor) -> Result<()> {
        text(self.area, at, words, anchor, colour, TEXT_PX)
    }
}

/// Words, their `anchor` at `at`.
pub(super) fn text<D: DrawingBackend>(
    area: &Area<D>,
    at: (i32, i32),
    words: &str,
    anchor: (HPos, VPos),
    colour: RGBColor,
    px: f64,
) -> Result<()> {
    let font = (FONT, px * FONT_SIZE_FACTOR).into_font();
    let style = TextStyle::from(font).color(&colour).pos(Pos::new(anchor.0, anchor.1));
    area.draw(&Text::new(words.to_owned(), at, style)).map_err(failed)
}

/// plotters' error as ours.
pub(super) fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("the plot cannot be drawn: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(axis: &Axis, expected: &[&str]) {
        let labels: Vec<String> = axis.ticks().into_iter().map(|tick| tick.1).collect();
        assert_eq!(labels, expected, "{axis:?}");
    }

    #[test]
    fn ticks_are_round_and_few() {
        let axis = |low, high| Axis::linear(String::new(), low, high);
        check(&axis(-6.2, 6.2), &["−5", "0", "5"]);
        check(
            &axis(0.0, 0.05),
            &["0.00", "0.01", "0.02", "0.03", "0.04", "0.05"].map(|t| if t == "0.00" { "0" } else { t }),
        );
        check(&axis(0.0, 300.0), &["0", "50", "100", "150", "200", "250", "300"]);
        check(&Axis::positive(String::new(), 8.0, 600.0), &["10", "20", "50", "100", "200", "500"]);
        check(&Axis::positive(String::new(), 0.02, 90.0), &["0.1", "1", "10", "100"]);
    }

    #[test]
    fn an_axis_without_extent_is_still_an_axis() {
        let places = [3.0, 0.0].map(|value| Axis::linear(String::new(), value, value).place(value));
        assert!(places.iter().all(|place| (place - 0.5).abs() < 1e-12), "in the middle: {places:?}");
    }
}
