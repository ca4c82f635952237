//! Where a latency goes: its parts, end to end, in one bar per statistic.

use super::axis::{self, Area, Scale};
use super::canvas::{Canvas, HPos, Type, VPos, text_width};
use super::palette::{BarLook, Fill};
use super::scaffold::{self, AxisSpec, Scaffold, Spec, Swatch, Vertical};
use super::ticks::{self, Unit};
use super::{Drawing, Frame};

/// Parts of a time to first token, in the order in which they happen, as they look.
pub(crate) const TTFT_PARTS: [(&str, BarLook); 5] = [
    ("front end", BarLook { series: 4, fill: Fill::Solid }),
    ("API server busy", BarLook { series: 4, fill: Fill::Pale }),
    ("queue", BarLook { series: 2, fill: Fill::Hatched }),
    ("prefill", BarLook { series: 1, fill: Fill::Solid }),
    ("return", BarLook { series: 3, fill: Fill::Pale }),
];

/// The place of the part that most runs do not have.
const API_SERVER_BUSY: usize = 1;

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SplitRow {
    /// Such as `P90`.
    pub(crate) label: String,
    /// In seconds, one per part.
    pub(crate) parts_s: Vec<f64>,
}

/// Bars of parts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SplitPlot {
    /// Names and looks of the parts, in order.
    pub(crate) parts: Vec<(String, BarLook)>,
    /// From top to bottom.
    pub(crate) rows: Vec<SplitRow>,
    /// Of the x axis, such as `TTFT`.
    pub(crate) x_title: String,
}

impl SplitRow {
    /// Parts that have a length, in seconds.
    fn lengths(&self) -> impl Iterator<Item = f64> {
        self.parts_s.iter().map(|&part| if axis::has_place(Scale::Linear, part) { part.max(0.0) } else { 0.0 })
    }

    fn total_s(&self) -> f64 {
        self.lengths().sum()
    }
}

impl SplitPlot {
    /// A time to first token by [`TTFT_PARTS`]; waiting that nobody did is not named.
    pub(crate) fn ttft(mut rows: Vec<SplitRow>) -> Self {
        let is_shown =
            |part: usize| part != API_SERVER_BUSY || rows.iter().any(|row| row.parts_s.get(part) > Some(&0.0));
        let shown: Vec<usize> = (0..TTFT_PARTS.len()).filter(|&part| is_shown(part)).collect();
        for row in &mut rows {
            row.parts_s = shown.iter().filter_map(|&part| row.parts_s.get(part).copied()).collect();
        }
        let parts = shown.iter().map(|&part| (TTFT_PARTS[part].0.to_owned(), TTFT_PARTS[part].1)).collect();
        Self { parts, rows, x_title: "TTFT".to_owned() }
    }

    /// The plot.
    pub(crate) fn draw(&self, frame: Frame) -> Drawing {
        let longest = self.rows.iter().map(SplitRow::total_s).fold(0.0, f64::max);
        if longest <= 0.0 {
            return scaffold::empty(frame, Unit::Seconds);
        }
        let names: Vec<String> = self.rows.iter().map(|row| row.label.clone()).collect();
        // Room for the total behind the longest bar.
        let (width, _) = frame.size();
        let range = (0.0, longest * (1.0 + 75.0 / width));
        let spec = Spec {
            x: AxisSpec { scale: Scale::Linear, unit: Unit::Seconds, range, title: &self.x_title },
            y: Vertical::Rows(&names),
            legend: self.parts.iter().map(|(name, look)| (name.as_str(), Swatch::Bar(*look))).collect(),
            has_flag: false,
            least_left: 0.0,
        };
        Scaffold::new(frame, spec).finish(frame, |scaffold, canvas| {
            scaffold.draw_below(canvas);
            for (i, row) in self.rows.iter().enumerate() {
                self.draw_row(scaffold, canvas, i, row);
            }
            scaffold.draw_above(canvas);
        })
    }

    fn draw_row(&self, scaffold: &Scaffold<'_>, canvas: &mut Canvas<'_>, i: usize, row: &SplitRow) {
        let (top, bottom) = scaffold.row(i, 0.34);
        let middle = f64::midpoint(top, bottom);
        let (surface, text) = (canvas.colours().surface, canvas.colours().text);
        let mut from_s = 0.0;
        for (length, (_, look)) in row.lengths().zip(&self.parts) {
            let (left, right) = (scaffold.x.to_pixel_within(from_s), scaffold.x.to_pixel_within(from_s + length));
            from_s += length;
            // A seam, so that neighbours are told apart without colour.
            let seam = if right - left > 4.0 { 1.0 } else { 0.0 };
            canvas.bar(Area { left, top, right: right - seam, bottom }, *look);
            let label = ticks::text(Unit::Seconds, length);
            let is_solid = look.fill == Fill::Solid;
            if text_width(&label) + 10.0 <= right - left && bottom - top >= 12.0 && is_solid {
                let words = Type::new(surface, HPos::Center, VPos::Center);
                canvas.text(&label, (f64::midpoint(left, right), middle), words);
            } else if text_width(&label) + 14.0 <= right - left && bottom - top >= 12.0 {
                // Words over a pattern need a ground.
                let half = text_width(&label) / 2.0 + 2.0;
                let x = f64::midpoint(left, right);
                let ground = Area { left: x - half, top: middle - 7.0, right: x + half, bottom: middle + 7.0 };
                canvas.rect(ground, surface, 0.85);
                canvas.text(&label, (x, middle), Type::new(text, HPos::Center, VPos::Center));
            }
        }
        let at = (scaffold.x.to_pixel_within(from_s) + 6.0, middle);
        let total = ticks::text(Unit::Seconds, row.total_s());
        canvas.text(&total, at, Type::new(text, HPos::Left, VPos::Center).bold());
    }
}
