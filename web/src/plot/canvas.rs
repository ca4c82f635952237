//! Shapes and words into an SVG, in CSS pixels.
//!
//! plotters' coordinates are whole numbers, too coarse for a curve: it draws tenths of a pixel here, and the SVG's view
//! box says so. Every coordinate passes [`Canvas::at`], so nothing can leave the frame.

use plotters::prelude::{DrawingBackend, IntoFont, RGBColor, SVGBackend, ShapeStyle, TextStyle};
use plotters::style::text_anchor::Pos;
use plotters::style::{Color, FontStyle};

pub(super) use plotters::style::text_anchor::{HPos, VPos};

use super::clip::{self, Point};
use super::palette::{BarLook, Colours, Dash, Fill, Rgb};
use super::{Area, Frame};

/// Units of the SVG per CSS pixel.
const UNITS: f64 = 10.0;
const FONT: &str = "system-ui, sans-serif";
/// plotters divides a font's size by this for SVG.
const FONT_SIZE_FACTOR: f64 = 1.24;
/// Of ordinary labels, in CSS pixels.
pub(super) const TEXT_PX: f64 = 11.0;

/// How much of its colour a band has.
pub(super) const BAND_ALPHA: f64 = 0.22;

/// How a line is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    pub(super) colour: Rgb,
    pub(super) width: f64,
    pub(super) dash: Dash,
}

impl Stroke {
    pub(super) const fn solid(colour: Rgb, width: f64) -> Self {
        Self { colour, width, dash: Dash::Solid }
    }
}

/// How a word is drawn: `anchor` says which of its corners, edges or centre stands at the given place.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub(super) colour: Rgb,
    pub(super) anchor: (HPos, VPos),
    pub(super) bold: bool,
}

impl Type {
    pub(super) const fn new(colour: Rgb, h: HPos, v: VPos) -> Self {
        Self { colour, anchor: (h, v), bold: false }
    }

    pub(super) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }
}

pub(super) struct Canvas<'a> {
    backend: SVGBackend<'a>,
    pub(super) frame: Frame,
}

/// What `draw` draws, as SVG.
pub(super) fn svg(frame: Frame, draw: impl FnOnce(&mut Canvas<'_>)) -> String {
    let (width, height) = frame.size();
    let units = (unsigned(width), unsigned(height));
    let mut text = String::new();
    draw(&mut Canvas { backend: SVGBackend::with_string(&mut text, units), frame });
    // The size in units is what plotters wrote; a page and an image viewer want CSS pixels.
    let in_units = format!("width=\"{}\" height=\"{}\"", units.0, units.1);
    text.replacen(&in_units, &format!("width=\"{width}\" height=\"{height}\""), 1)
}

#[expect(clippy::cast_possible_truncation, reason = "saturates, and the frame is far smaller")]
fn signed(px: f64) -> i32 {
    (px * UNITS).round() as i32
}

fn unsigned(px: f64) -> u32 {
    signed(px).unsigned_abs()
}

/// The points where a path turns: of a hundred steps that end at one tenth of a pixel, two.
fn corners(points: impl Iterator<Item = (i32, i32)>) -> Vec<(i32, i32)> {
    let goes_on = |a: i32, b: i32, c: i32| (a < b && b <= c) || (a > b && b >= c);
    let mut path: Vec<(i32, i32)> = Vec::new();
    for point in points {
        match path.as_mut_slice() {
            [.., last] if *last == point => {}
            [.., before, last]
                if (before.0 == last.0 && last.0 == point.0 && goes_on(before.1, last.1, point.1))
                    || (before.1 == last.1 && last.1 == point.1 && goes_on(before.0, last.0, point.0)) =>
            {
                *last = point;
            }
            _ => path.push(point),
        }
    }
    path
}

fn shape(colour: Rgb, alpha: f64) -> ShapeStyle {
    let [r, g, b] = colour;
    ShapeStyle { color: RGBColor(r, g, b).mix(alpha), filled: true, stroke_width: unsigned(1.0) }
}

// Writing into a string cannot fail, so the backend's results say nothing.
impl Canvas<'_> {
    pub(super) fn colours(&self) -> &'static Colours {
        self.frame.theme.colours()
    }

    fn at(&self, (x, y): Point) -> (i32, i32) {
        let (width, height) = self.frame.size();
        (signed(x.clamp(0.0, width)), signed(y.clamp(0.0, height)))
    }

    /// A line through the points.
    pub(super) fn line(&mut self, points: &[Point], stroke: Stroke) {
        let pieces = match stroke.dash.lengths() {
            Some(lengths) => clip::dashes(points, lengths),
            None => vec![points.to_vec()],
        };
        let style = shape(stroke.colour, 1.0).stroke_width(unsigned(stroke.width));
        for piece in pieces {
            let path = corners(piece.into_iter().map(|point| self.at(point)));
            if path.len() > 1 {
                self.backend.draw_path(path, &style).ok();
            }
        }
    }

    /// The parts of a line that are inside the area.
    pub(super) fn line_within(&mut self, points: &[Point], area: Area, stroke: Stroke) {
        for piece in clip::clipped(points, area) {
            self.line(&piece, stroke);
        }
    }

    /// A filled shape.
    pub(super) fn polygon(&mut self, points: &[Point], colour: Rgb, alpha: f64) {
        let path = corners(points.iter().map(|&point| self.at(point)));
        if path.len() > 2 {
            self.backend.fill_polygon(path, &shape(colour, alpha)).ok();
        }
    }

    /// A filled rectangle.
    pub(super) fn rect(&mut self, area: Area, colour: Rgb, alpha: f64) {
        let (from, to) = (self.at((area.left, area.top)), self.at((area.right, area.bottom)));
        if from.0 < to.0 && from.1 < to.1 {
            self.backend.draw_rect(from, to, &shape(colour, alpha), true).ok();
        }
    }

    /// A bar.
    pub(super) fn bar(&mut self, area: Area, look: BarLook) {
        let colour = look.colour(self.frame.theme);
        match look.fill {
            Fill::Solid => self.rect(area, colour, 1.0),
            Fill::Pale => self.rect(area, colour, 0.4),
            Fill::Hatched => {
                self.rect(area, colour, 0.2);
                self.hatch(area, 4.0, Stroke::solid(colour, 1.2));
            }
            Fill::Hollow => {}
        }
        if look.fill != Fill::Solid && area.width() > 2.0 && area.height() > 2.0 {
            // The border has the contrast that a pale filling lacks.
            let Area { left, top, right, bottom } = area;
            let inside = Area { left: left + 0.5, top: top + 0.5, right: right - 0.5, bottom: bottom - 0.5 };
            self.outline(inside, Stroke::solid(colour, 1.0));
        } else if look.fill != Fill::Solid {
            self.rect(area, colour, 0.8);
        }
    }

    /// Slanted lines across a rectangle.
    fn hatch(&mut self, area: Area, every_px: f64, stroke: Stroke) {
        let mut x = area.left - area.height();
        while x < area.right {
            self.line_within(&[(x, area.bottom), (x + area.height(), area.top)], area, stroke);
            x += every_px;
        }
    }

    /// The border of a rectangle.
    fn outline(&mut self, area: Area, stroke: Stroke) {
        let Area { left, top, right, bottom } = area;
        self.line(&[(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], stroke);
    }

    /// A dot with a border in the surface's colour.
    pub(super) fn dot(&mut self, centre: Point, radius: f64, colour: Rgb) {
        let surface = self.colours().surface;
        let centre = self.at(centre);
        self.backend.draw_circle(centre, unsigned(radius + 1.5), &shape(surface, 1.0), true).ok();
        self.backend.draw_circle(centre, unsigned(radius), &shape(colour, 1.0), true).ok();
    }

    /// A word, moved sideways where it would leave the frame, and cut where it is longer than that.
    pub(super) fn text(&mut self, text: &str, (x, y): Point, with: Type) {
        let (width, _) = self.frame.size();
        let text = fitted(text, width - 4.0);
        let length = text_width(&text);
        let before = match with.anchor.0 {
            HPos::Left => 0.0,
            HPos::Center => length / 2.0,
            HPos::Right => length,
        };
        let x = x.clamp(2.0 + before, (width - 2.0 - length + before).max(2.0 + before));
        let [r, g, b] = with.colour;
        let mut font = (FONT, TEXT_PX * UNITS * FONT_SIZE_FACTOR).into_font();
        if with.bold {
            font = font.style(FontStyle::Bold);
        }
        let colour = RGBColor(r, g, b);
        let style = TextStyle::from(font).color(&colour).pos(Pos::new(with.anchor.0, with.anchor.1));
        let at = self.at((x, y));
        self.backend.draw_text(&text, &style, at).ok();
    }
}

/// About how wide a label is: the widest common interface fonts, so that what fits here fits.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().map(char_width).sum::<f64>() * TEXT_PX
}

fn char_width(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | '(' | ')' | 'f' | 't' | 'r' => 0.36,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' => 0.92,
        'A'..='Z' => 0.7,
        c if u32::from(c) >= 0x2E80 => 1.05,
        _ => 0.6,
    }
}

/// The text, or its beginning and an ellipsis.
pub(super) fn fitted(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = char_width('…') * TEXT_PX;
    for c in text.chars() {
        used += char_width(c) * TEXT_PX;
        if used > width {
            break;
        }
        cut.push(c);
    }
    format!("{}…", cut.trim_end())
}

#[cfg(test)]
mod tests {
    use super::corners;

    #[track_caller]
    fn check(path: &[(i32, i32)], expect: &[(i32, i32)]) {
        assert_eq!(corners(path.iter().copied()), expect, "{path:?}");
    }

    #[test]
    fn a_path_keeps_where_it_turns_and_nothing_else() {
        check(&[(0, 0), (0, 0), (0, 4), (0, 9), (3, 9), (5, 9), (5, 9)], &[(0, 0), (0, 9), (5, 9)]);
        // There and back is no straight line, and neither is a slope.
        check(&[(0, 0), (0, 9), (0, 4)], &[(0, 0), (0, 9), (0, 4)]);
        check(&[(0, 0), (1, 1), (2, 2)], &[(0, 0), (1, 1), (2, 2)]);
        check(&[(7, 7)], &[(7, 7)]);
    }
}
