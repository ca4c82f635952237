//! Plots as SVG text: data in, text and axes out. No signals, no browser: the same code draws in a test on the host.
//!
//! Drawn with plotters' SVG backend through [`canvas`], which keeps everything inside the frame and never lets plotters
//! measure text, for in a browser each measurement is a layout of the page.

mod palette;
pub(crate) mod axis;
pub(crate) mod ticks;
mod canvas;
mod clip;
mod scaffold;
pub(crate) mod band;
pub(crate) mod cdf;
pub(crate) mod histogram;
pub(crate) mod load_curve;
pub(crate) mod scatter;
pub(crate) mod split;
pub(crate) mod time_series;
pub(crate) mod gantt;
#[cfg(all(test, not(target_family = "wasm")))]
mod properties;

pub(crate) use axis::{Area, Axis};
pub(crate) use palette::{Dash, Look, Theme};

/// What is drawn into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// CSS pixels; less than 160 counts as 160.
    pub(crate) width: u32,
    /// CSS pixels; less than 96 counts as 96.
    pub(crate) height: u32,
    /// Which colours.
    pub(crate) theme: Theme,
}

impl Frame {
    /// Width and height as they are drawn, in CSS pixels.
    pub(crate) fn size(self) -> (f64, f64) {
        (f64::from(self.width.clamp(160, 8_000)), f64::from(self.height.clamp(96, 20_000)))
    }

    /// Whether few labels fit: a phone.
    pub(crate) fn is_narrow(self) -> bool {
        self.width < 480
    }
}

/// A plot, and what a pointer over it needs to know.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Drawing {
    /// An `svg` element with the frame's width and height, transparent behind.
    pub(crate) svg: String,
    /// Value to pixel and back, from left to right.
    pub(crate) x: Axis,
    /// The same from bottom to top. Rows, if the plot has rows: the first from 0 to 1, at the top.
    pub(crate) y: Axis,
    /// Where the data are, in CSS pixels of the frame.
    pub(crate) area: Area,
}

impl Drawing {
    /// The SVG on `theme`'s surface, for a file: its colours were chosen for that surface and no other.
    pub(crate) fn svg_on_surface(&self, theme: Theme) -> String {
        let [red, green, blue] = theme.colours().surface;
        match self.svg.split_once('>') {
            Some((head, rest)) => {
                format!("{head}><rect width=\"100%\" height=\"100%\" fill=\"#{red:02X}{green:02X}{blue:02X}\"/>{rest}")
            }
            None => self.svg.clone(),
        }
    }
}

/// Whose curve it is where runs are compared. Each has a colour and a dash of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeriesStyle {
    /// The run on the page: solid.
    Current,
    /// The run that was pinned to compare with: dashed.
    Pinned,
    /// A measurement: dotted.
    Measured,
}

impl SeriesStyle {
    /// Colour and dash.
    pub(crate) const fn look(self) -> Look {
        match self {
            Self::Current => Look { series: 1, dash: Dash::Solid },
            Self::Pinned => Look { series: 2, dash: Dash::Dashed },
            Self::Measured => Look { series: 3, dash: Dash::Dotted },
        }
    }
}

/// A bound on the x axis; what is left of it passes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slo {
    /// In the axis' own unit.
    pub(crate) limit: f64,
    /// Such as `SLO 500 ms`.
    pub(crate) label: String,
}
