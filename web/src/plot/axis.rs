//! Values to pixels and back.

use super::ticks::Unit;

/// How values are spread over pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Equal differences are equally long.
    Linear,
    /// Equal ratios are equally long; only positive values have a place.
    Log,
}

/// A rectangle in CSS pixels of the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Area {
    pub(crate) fn width(self) -> f64 {
        self.right - self.left
    }

    pub(crate) fn height(self) -> f64 {
        self.bottom - self.top
    }
}

/// One direction of a plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Axis {
    scale: Scale,
    unit: Unit,
    /// Least and largest value; `low < high`, and positive if logarithmic.
    low: f64,
    high: f64,
    low_px: f64,
    high_px: f64,
}

/// Values beyond have no place: differences of what lies within never overflow.
const LARGEST: f64 = 1e15;
const SMALLEST: f64 = 1e-15;
/// Pixels from an axis' end that stand for "far away".
const FAR_PX: f64 = 1e7;

/// Whether a value can be drawn on such an axis.
pub(crate) fn has_place(scale: Scale, value: f64) -> bool {
    match scale {
        Scale::Linear => value.abs() <= LARGEST,
        Scale::Log => (SMALLEST..=LARGEST).contains(&value),
    }
}

/// Smallest and largest of the values that have a place; `None` if none has.
pub(crate) fn extent(scale: Scale, values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|&value| has_place(scale, value)).fold(None, |extent, value| {
        let (low, high) = extent.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    })
}

impl Axis {
    /// An axis over `range`, which is mended if it is empty, reversed or has no place: an axis always works.
    pub(crate) fn new(scale: Scale, unit: Unit, range: (f64, f64), pixels: (f64, f64)) -> Self {
        let (low, high) = mend(scale, range);
        Self { scale, unit, low, high, low_px: pixels.0, high_px: pixels.1 }
    }

    /// Least and largest value.
    pub(crate) fn range(self) -> (f64, f64) {
        (self.low, self.high)
    }

    pub(crate) fn scale(self) -> Scale {
        self.scale
    }

    pub(crate) fn unit(self) -> Unit {
        self.unit
    }

    /// Pixels of the least and of the largest value.
    pub(crate) fn pixels(self) -> (f64, f64) {
        (self.low_px, self.high_px)
    }

    /// Whether the value lies within the range.
    pub(crate) fn contains(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Where a value is: beyond the ends if it is outside the range, but never infinitely far.
    pub(crate) fn to_pixel(self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value > 0.0 => (value / self.low).ln() / (self.high / self.low).ln(),
            Scale::Log => f64::NEG_INFINITY,
        };
        let far = FAR_PX / (self.high_px - self.low_px).abs().max(1.0);
        let share = if share.is_nan() { 0.0 } else { share.clamp(-far, far) };
        self.low_px + share * (self.high_px - self.low_px)
    }

    /// The same, moved to the nearer end if it is outside.
    pub(crate) fn to_pixel_within(self, value: f64) -> f64 {
        self.to_pixel(value).clamp(self.low_px.min(self.high_px), self.low_px.max(self.high_px))
    }

    /// The value at a pixel; the nearer end's if it is outside.
    pub(crate) fn to_value(self, pixel: f64) -> f64 {
        let share = (pixel - self.low_px) / (self.high_px - self.low_px);
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        let value = match self.scale {
            Scale::Linear => self.low + share * (self.high - self.low),
            Scale::Log => self.low * (self.high / self.low).powf(share),
        };
        value.clamp(self.low, self.high)
    }
}

/// A range with two ends that can be told apart.
fn mend(scale: Scale, (a, b): (f64, f64)) -> (f64, f64) {
    let Some((low, high)) = extent(scale, [a, b]) else {
        return match scale {
            Scale::Linear => (0.0, 1.0),
            Scale::Log => (1e-3, 1.0),
        };
    };
    match scale {
        Scale::Linear => {
            let least = low.abs().max(high.abs()).max(1e-12) * 1e-6;
            if high - low >= least {
                (low, high)
            } else {
                let half = if high == 0.0 { 0.5 } else { high.abs().max(1e-12) * 0.1 };
                (low - half, high + half)
            }
        }
        Scale::Log if high / low >= 1.0 + 1e-6 => (low, high),
        Scale::Log => (low / 1.5, high * 1.5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scale: Scale, range: (f64, f64), value: f64, pixel: f64) {
        let axis = Axis::new(scale, Unit::Count, range, (100.0, 300.0));
        let got = axis.to_pixel(value);
        assert!((got - pixel).abs() < 1e-6, "{value} is at {got}, not {pixel}");
        assert!((axis.to_value(pixel) - value).abs() < 1e-6 * value.abs(), "{pixel} is {}", axis.to_value(pixel));
    }

    #[test]
    fn a_value_has_one_pixel_and_the_pixel_that_value() {
        check(Scale::Linear, (0.0, 10.0), 5.0, 200.0);
        check(Scale::Log, (1.0, 100.0), 10.0, 200.0);
        check(Scale::Log, (100.0, 1.0), 100.0, 300.0);
        check(Scale::Linear, (7.0, 7.0), 7.0, 200.0);
        check(Scale::Log, (7.0, 7.0), 7.0, 200.0);
    }

    #[test]
    fn what_has_no_place_is_outside_and_near_enough_to_draw() {
        let axis = Axis::new(Scale::Log, Unit::Count, (1.0, 100.0), (100.0, 300.0));
        assert!(axis.to_pixel(0.0) < -1e6, "zero on a log axis is far to the left");
        assert!(axis.to_pixel(f64::INFINITY) > 1e6, "infinity is far to the right");
        assert!(axis.to_pixel(f64::NAN).is_finite(), "not a number has some pixel");
        assert_eq!(extent(Scale::Log, [0.0, -1.0, f64::NAN, f64::INFINITY]), None, "none has a place");
        assert_eq!(extent(Scale::Linear, [3.0, f64::NAN, -1.0]), Some((-1.0, 3.0)), "two have");
    }
}
