//! The crosshair over a plot: follows the pointer or the arrow keys, can be pinned, and marks a range to zoom into.

use leptos::ev::{KeyboardEvent, PointerEvent};
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::plot_view::{PlotSource, Reading};
use crate::plot::{Axis, Dash, Drawing, Look, ticks};

/// Pixels that a pointer may tremble in a click.
const CLICK_PX: f64 = 5.0;

/// The state of a plot's crosshair. A handle: copies are the same crosshair.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pointer {
    drawing: Memo<Option<Drawing>>,
    /// A value of x, so that it stays where it is when the plot is drawn anew.
    cursor: RwSignal<Option<f64>>,
    is_pinned: RwSignal<bool>,
    /// Pixels where a drag began and where it is.
    drag: RwSignal<Option<(f64, f64)>>,
    on_zoom: Option<Callback<Option<(f64, f64)>>>,
}

impl Pointer {
    pub(super) fn new(
        drawing: Memo<Option<Drawing>>,
        cursor: RwSignal<Option<f64>>,
        on_zoom: Option<Callback<Option<(f64, f64)>>>,
    ) -> Self {
        Self { drawing, cursor, is_pinned: RwSignal::new(false), drag: RwSignal::new(None), on_zoom }
    }

    fn x_axis(&self) -> Option<Axis> {
        self.drawing.with_untracked(|drawing| drawing.as_ref().map(|drawing| drawing.x))
    }

    pub(super) fn moved(&self, event: &PointerEvent) {
        let (Some(px), Some(axis)) = (pixel(event), self.x_axis()) else {
            return;
        };
        if let Some((from, _)) = self.drag.get_untracked() {
            self.drag.set(Some((from, px)));
        }
        if !self.is_pinned.get_untracked() {
            self.cursor.set(Some(axis.to_value(px)));
        }
    }

    pub(super) fn pressed(&self, event: &PointerEvent) {
        if event.button() != 0 {
            return;
        }
        self.moved(event);
        if is_touch(event) {
            return;
        }
        self.drag.set(pixel(event).map(|px| (px, px)));
        if let Some(element) = current(event) {
            // If it fails, a drag ends at the plot's border.
            element.set_pointer_capture(event.pointer_id()).ok();
        }
    }

    pub(super) fn released(&self, event: &PointerEvent) {
        let drag = self.drag.get_untracked();
        self.cancelled();
        let (Some((from, to)), Some(axis)) = (drag, self.x_axis()) else {
            return;
        };
        if (from - to).abs() >= CLICK_PX {
            self.zoom(axis.to_value(from.min(to)), axis.to_value(from.max(to)));
        } else if self.is_pinned.get_untracked() {
            self.is_pinned.set(false);
            self.moved(event);
        } else {
            self.is_pinned.set(self.cursor.get_untracked().is_some());
        }
    }

    pub(super) fn cancelled(&self) {
        if self.drag.get_untracked().is_some() {
            self.drag.set(None);
        }
    }

    pub(super) fn left(&self, event: &PointerEvent) {
        // A finger that is lifted leaves, too; what it pointed at is still to be read.
        if !is_touch(event) {
            self.blurred();
        }
    }

    pub(super) fn blurred(&self) {
        if !self.is_pinned.get_untracked() && self.cursor.get_untracked().is_some() {
            self.cursor.set(None);
        }
    }

    fn zoom(&self, low: f64, high: f64) {
        if let Some(on_zoom) = self.on_zoom.filter(|_| low < high) {
            on_zoom.run(Some((low, high)));
        }
    }

    pub(super) fn reset_zoom(&self) {
        if let Some(on_zoom) = self.on_zoom {
            on_zoom.run(None);
        }
    }

    /// Whether the key was one of ours.
    pub(super) fn key(&self, event: &KeyboardEvent) -> bool {
        let Some(axis) = self.x_axis().filter(|_| !event.ctrl_key() && !event.alt_key() && !event.meta_key()) else {
            return false;
        };
        let cursor = self.cursor.get_untracked();
        let key = event.key();
        if let Some(value) = after_key(&axis, cursor, &key, event.shift_key()) {
            self.cursor.set(Some(value));
        } else {
            match key.as_str() {
                "Enter" | " " if cursor.is_some() => self.is_pinned.update(|is_pinned| *is_pinned = !*is_pinned),
                "Escape" if cursor.is_some() || self.is_pinned.get_untracked() => {
                    self.is_pinned.set(false);
                    self.cursor.set(None);
                }
                "+" | "=" if self.on_zoom.is_some() => {
                    let (low, high) = around(&axis, cursor);
                    self.zoom(low, high);
                }
                "0" if self.on_zoom.is_some() => self.reset_zoom(),
                _ => return false,
            }
        }
        event.prevent_default();
        event.stop_propagation();
        true
    }

    /// What the crosshair reads, for those who hear it.
    pub(super) fn sentence(&self, source: &PlotSource) -> String {
        let (Some(value), Some(axis)) = (self.cursor.get_untracked(), self.x_axis()) else {
            return String::new();
        };
        let readings = untrack(|| source.readings.run(value));
        let readings = readings.into_iter().map(|Reading { name, text, .. }| format!("{name}: {text}"));
        let at = ticks::text(axis.unit(), value);
        std::iter::once(at).chain(readings).collect::<Vec<String>>().join("; ")
    }
}

/// Where an arrow key, Home or End moves the crosshair; `None` for other keys.
fn after_key(axis: &Axis, cursor: Option<f64>, key: &str, far: bool) -> Option<f64> {
    let (from, to) = axis.pixels();
    let step = (to - from) / if far { 10.0 } else { 100.0 };
    // The first arrow finds the crosshair in the middle.
    let at = |moved: f64| cursor.map_or(f64::midpoint(from, to), |value| axis.to_pixel_within(value) + moved);
    match key {
        "ArrowLeft" => Some(axis.to_value(at(-step))),
        "ArrowRight" => Some(axis.to_value(at(step))),
        "Home" => Some(axis.to_value(from)),
        "End" => Some(axis.to_value(to)),
        _ => None,
    }
}

/// Half of the visible range, around the crosshair.
fn around(axis: &Axis, cursor: Option<f64>) -> (f64, f64) {
    let (from, to) = axis.pixels();
    let quarter = (to - from) / 4.0;
    let centre = cursor.map_or(f64::midpoint(from, to), |value| axis.to_pixel_within(value));
    let centre = centre.clamp(from + quarter, to - quarter);
    (axis.to_value(centre - quarter), axis.to_value(centre + quarter))
}

fn current(event: &PointerEvent) -> Option<web_sys::Element> {
    event.current_target()?.dyn_into().ok()
}

/// Where the pointer is in the plot, in its pixels.
fn pixel(event: &PointerEvent) -> Option<f64> {
    Some(f64::from(event.client_x()) - current(event)?.get_bounding_client_rect().left())
}

fn is_touch(event: &PointerEvent) -> bool {
    event.pointer_type() == "touch"
}

/// Line, read-out and dragged range.
#[component]
pub(super) fn PointerLayer(pointer: Pointer, source: PlotSource) -> impl IntoView {
    let range = move || {
        let (from, to) = pointer.drag.get().filter(|_| pointer.on_zoom.is_some())?;
        let axis = pointer.drawing.with(|drawing| drawing.as_ref().map(|d| (d.x, d.area)));
        let (axis, area) = axis.filter(|_| (from - to).abs() >= CLICK_PX)?;
        let (left, right) = (from.min(to).max(axis.pixels().0), from.max(to).min(axis.pixels().1));
        let style = format!(
            "left:{left:.1}px;width:{:.1}px;top:{:.1}px;height:{:.1}px",
            (right - left).max(0.0),
            area.top,
            area.height()
        );
        Some(view! { <div class="plot-range" style=style></div> })
    };
    let crosshair = move || {
        let value = pointer.cursor.get()?;
        let (axis, area) = pointer.drawing.with(|drawing| drawing.as_ref().map(|d| (d.x, d.area)))?;
        let x = axis.to_pixel_within(value);
        let line = format!("left:{x:.1}px;top:{:.1}px;height:{:.1}px", area.top, area.height());
        let is_right = x > f64::midpoint(area.left, area.right);
        // On the side where there is room.
        let place = if is_right {
            format!("right:calc(100% - {:.1}px);top:{:.1}px", x - 10.0, area.top + 6.0)
        } else {
            format!("left:{:.1}px;top:{:.1}px", x + 10.0, area.top + 6.0)
        };
        let readings = source.readings.run(value);
        Some(view! {
            <div class="plot-crosshair" style=line></div>
            <div class="plot-readout" class:plot-readout-pinned=move || pointer.is_pinned.get() style=place>
                <div class="plot-readout-at">{ticks::text(axis.unit(), value)}</div>
                {readings.into_iter().map(reading).collect_view()}
            </div>
        })
    };
    view! { <div class="plot-pointer" aria-hidden="true">{range}{crosshair}</div> }
}

fn reading(Reading { name, text, look }: Reading) -> impl IntoView {
    view! {
        <div class="plot-readout-row">
            <span class=key_class(look)></span>
            <span class="plot-readout-name">{name}</span>
            <span class="plot-readout-value">{text}</span>
        </div>
    }
}

/// The style sheet's name for a line.
fn key_class(look: Option<Look>) -> String {
    let Some(Look { series, dash }) = look else {
        return "plot-key".to_owned();
    };
    let dash = match dash {
        Dash::Solid => "solid",
        Dash::Dashed => "dashed",
        Dash::Dotted => "dotted",
    };
    format!("plot-key plot-key-{dash} plot-key-{}", (series.max(1) - 1) % 6 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::axis::Scale;
    use crate::plot::ticks::Unit;

    #[track_caller]
    fn check(cursor: Option<f64>, key: &str, far: bool, expect: Option<f64>) {
        let axis = Axis::new(Scale::Linear, Unit::Count, (0.0, 100.0), (50.0, 250.0));
        let got = after_key(&axis, cursor, key, far);
        assert!(
            got.is_some() == expect.is_some() && got.zip(expect).is_none_or(|(a, b)| (a - b).abs() < 1e-9),
            "{key} from {cursor:?}: {got:?}, not {expect:?}"
        );
    }

    #[test]
    fn keys_move_the_crosshair_within_the_axis() {
        check(None, "ArrowRight", false, Some(50.0));
        check(Some(50.0), "ArrowRight", false, Some(51.0));
        check(Some(50.0), "ArrowLeft", true, Some(40.0));
        check(Some(99.5), "ArrowRight", false, Some(100.0));
        check(Some(3.0), "Home", false, Some(0.0));
        check(None, "End", false, Some(100.0));
        check(Some(3.0), "a", false, None);
    }

    #[test]
    fn zooming_halves_the_range_and_stays_in_it() {
        let axis = Axis::new(Scale::Linear, Unit::Count, (0.0, 100.0), (50.0, 250.0));
        assert_eq!(around(&axis, None), (25.0, 75.0), "the middle");
        assert_eq!(around(&axis, Some(95.0)), (50.0, 100.0), "near the end");
    }
}
