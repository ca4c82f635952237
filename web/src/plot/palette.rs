//! Colours. Those of the series follow Okabe and Ito (2008), which people with each kind of colour blindness tell
//! apart; darker on light and lighter on dark than the originals where these miss a contrast of 3:1.
//! `www/style/plot.css` states the same values for the rest of the page; a test compares.

/// Red, green, blue.
pub(crate) type Rgb = [u8; 3];

/// The page's colour scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// The colours of a theme.
#[derive(Debug)]
pub(crate) struct Colours {
    /// Behind the plot. Not drawn, except into files.
    pub(crate) surface: Rgb,
    pub(crate) text: Rgb,
    pub(crate) text_muted: Rgb,
    /// Lines that only help to read.
    pub(crate) grid: Rgb,
    /// The axis itself.
    pub(crate) axis: Rgb,
    /// The side of a limit that passes.
    pub(crate) good: Rgb,
    /// A limit.
    pub(crate) limit: Rgb,
    /// `--series-1` and so on.
    pub(crate) series: [Rgb; 6],
}

const LIGHT: Colours = Colours {
    surface: [0xFF, 0xFF, 0xFF],
    text: [0x17, 0x1C, 0x24],
    text_muted: [0x57, 0x60, 0x70],
    grid: [0xE3, 0xE6, 0xEA],
    axis: [0xA8, 0xB0, 0xB9],
    good: [0x14, 0x69, 0x3B],
    limit: [0xB3, 0x26, 0x1E],
    series: [
        [0x00, 0x69, 0xA6],
        [0xB5, 0x48, 0x00],
        [0x00, 0x70, 0x4F],
        [0xA0, 0x3F, 0x78],
        [0x80, 0x60, 0x00],
        [0x4B, 0x55, 0x63],
    ],
};

const DARK: Colours = Colours {
    surface: [0x15, 0x19, 0x1F],
    text: [0xE6, 0xE9, 0xEE],
    text_muted: [0x9B, 0xA5, 0xB4],
    grid: [0x2A, 0x30, 0x38],
    axis: [0x58, 0x61, 0x6C],
    good: [0x56, 0xC9, 0x8A],
    limit: [0xFF, 0x8A, 0x80],
    series: [
        [0x56, 0xB4, 0xE9],
        [0xF0, 0x8A, 0x45],
        [0x2D, 0xC2, 0x9A],
        [0xE1, 0x95, 0xC1],
        [0xE0, 0xB5, 0x3C],
        [0xAA, 0xB4, 0xC2],
    ],
};

impl Theme {
    /// Its colours.
    pub(crate) const fn colours(self) -> &'static Colours {
        match self {
            Self::Light => &LIGHT,
            Self::Dark => &DARK,
        }
    }
}

/// How a line is broken, so that no one needs its colour to tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dash {
    /// Not at all.
    Solid,
    /// Long strokes.
    Dashed,
    /// Points.
    Dotted,
}

impl Dash {
    /// Pixels drawn and pixels left out, in turn; `None` if nothing is left out.
    pub(super) const fn lengths(self) -> Option<(f64, f64)> {
        match self {
            Self::Solid => None,
            Self::Dashed => Some((7.0, 4.0)),
            Self::Dotted => Some((2.0, 3.0)),
        }
    }
}

/// A series' colour and dash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// 1 to 6, as in `--series-1`; others wrap round.
    pub(crate) series: usize,
    /// The line's.
    pub(crate) dash: Dash,
}

impl Look {
    pub(super) fn colour(self, theme: Theme) -> Rgb {
        let series = &theme.colours().series;
        series[self.series.saturating_sub(1) % series.len()]
    }
}

/// How a bar is filled, so that no one needs its colour to tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    Solid,
    /// The colour over the surface.
    Pale,
    /// Pale with slanted lines.
    Hatched,
    /// A border alone.
    Hollow,
}

/// A bar's colour and filling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BarLook {
    /// 1 to 6, as in `--series-1`; others wrap round.
    pub(crate) series: usize,
    pub(crate) fill: Fill,
}

impl BarLook {
    pub(super) fn colour(self, theme: Theme) -> Rgb {
        Look { series: self.series, dash: Dash::Solid }.colour(theme)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contrast ratio of WCAG 2.2.
    fn contrast(a: Rgb, b: Rgb) -> f64 {
        let luminance = |rgb: Rgb| {
            let [r, g, b] = rgb.map(|channel| {
                let c = f64::from(channel) / 255.0;
                if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
            });
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn lines_stand_out_and_text_can_be_read() {
        for theme in [Theme::Light, Theme::Dark] {
            let colours = theme.colours();
            for (i, &series) in colours.series.iter().enumerate() {
                let ratio = contrast(series, colours.surface);
                assert!(ratio >= 3.0, "{theme:?} series {}: {ratio:.2}", i + 1);
            }
            for text in [colours.text, colours.text_muted, colours.limit] {
                let ratio = contrast(text, colours.surface);
                assert!(ratio >= 4.5, "{theme:?} text {text:02X?}: {ratio:.2}");
            }
        }
    }

    #[test]
    fn the_style_sheet_has_the_same_colours() {
        let css = include_str!("../../../www/style/plot.css");
        for theme in [Theme::Light, Theme::Dark] {
            let colours = theme.colours();
            let series = colours.series.iter().enumerate().map(|(i, rgb)| (format!("series-{}", i + 1), rgb));
            let lines = [("plot-grid".to_owned(), &colours.grid), ("plot-axis".to_owned(), &colours.axis)];
            for (name, [r, g, b]) in series.chain(lines) {
                let line = format!("--{name}: #{r:02x}{g:02x}{b:02x};");
                assert!(css.contains(&line), "{theme:?}: plot.css lacks {line}");
            }
        }
    }
}
