//! What each request waited for and when it ran, under the passes of the engine.

use super::axis::{self, Area, Scale};
use super::canvas::{Canvas, Stroke};
use super::palette::{BarLook, Fill};
use super::scaffold::{self, AxisSpec, Scaffold, Spec, Swatch, Vertical};
use super::ticks::Unit;
use super::{Drawing, Frame};

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanKind {
    /// Held back by the client's `--max-concurrency`.
    ClientQueue,
    /// In the engine's waiting queue.
    Queue,
    /// Its prompt is computed.
    Prefill,
    /// Its tokens come.
    Decode,
}

/// What a pass computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PassKind {
    /// Prompts alone.
    Prefill,
    /// One token of each running request.
    Decode,
    /// Both.
    Mixed,
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GanttRow {
    /// Such as its number.
    pub(crate) label: String,
    /// What, from when, until when, in seconds.
    pub(crate) spans: Vec<(SpanKind, f64, f64)>,
}

/// A pass of the engine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PassBlock {
    pub(crate) start_s: f64,
    pub(crate) end_s: f64,
    pub(crate) kind: PassKind,
}

/// Requests under passes. Draws all that it is given: the caller chooses the window and thins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GanttPlot {
    /// From top to bottom.
    pub(crate) rows: Vec<GanttRow>,
    /// In the row above the requests.
    pub(crate) passes: Vec<PassBlock>,
    /// The window, in seconds; `None` for everything.
    pub(crate) x_range: Option<(f64, f64)>,
}

impl SpanKind {
    /// Every kind, in the order in which a request meets them, with its name.
    pub(crate) const ALL: [(Self, &'static str); 4] = [
        (Self::ClientQueue, "client queue"),
        (Self::Queue, "queue"),
        (Self::Prefill, "prefill"),
        (Self::Decode, "decode"),
    ];

    const fn look(self) -> BarLook {
        match self {
            Self::ClientQueue => BarLook { series: 4, fill: Fill::Hollow },
            Self::Queue => BarLook { series: 2, fill: Fill::Hatched },
            Self::Prefill => BarLook { series: 1, fill: Fill::Solid },
            Self::Decode => BarLook { series: 3, fill: Fill::Pale },
        }
    }

    /// Share of the row's height that is left free: what waits is thin.
    const fn gap(self) -> f64 {
        match self {
            Self::ClientQueue | Self::Queue => 0.5,
            Self::Prefill => 0.2,
            Self::Decode => 0.34,
        }
    }
}

impl PassKind {
    /// Every kind with its name.
    pub(crate) const ALL: [(Self, &'static str); 3] =
        [(Self::Prefill, "prefill pass"), (Self::Decode, "decode pass"), (Self::Mixed, "mixed pass")];

    const fn look(self) -> BarLook {
        match self {
            Self::Prefill => BarLook { series: 1, fill: Fill::Solid },
            Self::Decode => BarLook { series: 3, fill: Fill::Pale },
            Self::Mixed => BarLook { series: 4, fill: Fill::Hatched },
        }
    }
}

impl GanttPlot {
    /// A height, in CSS pixels, at which the rows can be told apart.
    pub(crate) fn height(&self) -> u32 {
        let rows = u32::try_from(self.rows.len()).unwrap_or(u32::MAX).min(1_000);
        80 + 16 * (rows + 2)
    }

    /// The plot.
    pub(crate) fn draw(&self, frame: Frame) -> Drawing {
        let spans = self.rows.iter().flat_map(|row| row.spans.iter().flat_map(|span| [span.1, span.2]));
        let passes = self.passes.iter().flat_map(|pass| [pass.start_s, pass.end_s]);
        let Some(extent) = axis::extent(Scale::Linear, spans.chain(passes)) else {
            return scaffold::empty(frame, Unit::Seconds);
        };
        let names: Vec<String> =
            std::iter::once("passes".to_owned()).chain(self.rows.iter().map(|row| row.label.clone())).collect();
        let spec = Spec {
            x: AxisSpec {
                scale: Scale::Linear,
                unit: Unit::Seconds,
                range: self.x_range.unwrap_or(extent),
                title: "simulated time",
            },
            y: Vertical::Rows(&names),
            legend: self.legend(),
            has_flag: false,
            least_left: 0.0,
        };
        Scaffold::new(frame, spec).finish(frame, |scaffold, canvas| {
            scaffold.draw_below(canvas);
            for pass in &self.passes {
                draw_span(scaffold, canvas, 0, (pass.start_s, pass.end_s), (pass.kind.look(), 0.1));
            }
            let y = scaffold.row(0, 0.0).1;
            let line = [(scaffold.area.left, y), (scaffold.area.right, y)];
            canvas.line(&line, Stroke::solid(canvas.colours().axis, 1.0));
            for (i, row) in self.rows.iter().enumerate() {
                for &(kind, from_s, to_s) in &row.spans {
                    draw_span(scaffold, canvas, i + 1, (from_s, to_s), (kind.look(), kind.gap()));
                }
            }
            scaffold.draw_above(canvas);
        })
    }

    /// Only what occurs; passes that look like a span of the same name need no entry of their own.
    fn legend(&self) -> Vec<(&'static str, Swatch)> {
        let has_span = |kind| self.rows.iter().any(|row| row.spans.iter().any(|span| span.0 == kind));
        let spans = SpanKind::ALL.iter().filter(|(kind, _)| has_span(*kind)).map(|&(kind, name)| (name, kind.look()));
        let mut entries: Vec<(&str, Swatch)> = spans.map(|(name, look)| (name, Swatch::Bar(look))).collect();
        for (kind, name) in PassKind::ALL {
            let swatch = Swatch::Bar(kind.look());
            let is_new = entries.iter().all(|entry| entry.1 != swatch);
            if is_new && self.passes.iter().any(|pass| pass.kind == kind) {
                entries.push((name, swatch));
            }
        }
        entries
    }
}

/// A bar in a row, at least a hair wide; what is outside of the window is not drawn.
fn draw_span(
    scaffold: &Scaffold<'_>,
    canvas: &mut Canvas<'_>,
    row: usize,
    (from_s, to_s): (f64, f64),
    (look, gap): (BarLook, f64),
) {
    let (low, high) = scaffold.x.range();
    let has_place = axis::has_place(Scale::Linear, from_s) && axis::has_place(Scale::Linear, to_s);
    if !has_place || to_s < low || from_s > high {
        return;
    }
    let (top, bottom) = scaffold.row(row, gap);
    let left = scaffold.x.to_pixel_within(from_s).min(scaffold.area.right - 0.5);
    let right = scaffold.x.to_pixel_within(to_s);
    // A seam between neighbours where there is room for one.
    let right = if right - left > 3.0 { right - 0.7 } else { right.max(left + 0.5) };
    canvas.bar(Area { left, top, right, bottom }, look);
}
