//! A plot on the page: drawn at the width it has, read with pointer, finger and keys, and as a table.

use leptos::html::Div;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use super::plot_export::ExportMenu;
use super::plot_pointer::{Pointer, PointerLayer};
use crate::components::live::{When, heard, live, soon};
use crate::plot::{Drawing, Frame, Look, Theme};

/// The page's colour scheme, given to all plots by context. Without it they are light.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThemeSignal(pub(crate) RwSignal<Theme>);

/// What one series says at the crosshair.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    /// The series' name, as in the legend.
    pub(crate) name: String,
    /// Such as `P95 = 231 ms`.
    pub(crate) text: String,
    /// Its line, to be found in the plot; `None` for what has none.
    pub(crate) look: Option<Look>,
}

/// The plotted data as words.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    /// One cell per column each. All of them: the view thins.
    pub(crate) rows: Vec<Vec<String>>,
}

/// What a plot can be asked for. The answers may depend on signals: they are asked again when these change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlotSource {
    pub(crate) draw: Callback<Frame, Drawing>,
    /// Every series at a value of x.
    pub(crate) readings: Callback<f64, Vec<Reading>>,
    pub(crate) table: Callback<(), Table>,
    /// The plotted data with all their digits, with a header.
    pub(crate) csv: Callback<(), String>,
}

impl PlotSource {
    /// From plain functions.
    pub(crate) fn new(
        draw: impl Fn(Frame) -> Drawing + Send + Sync + 'static,
        readings: impl Fn(f64) -> Vec<Reading> + Send + Sync + 'static,
        table: impl Fn() -> Table + Send + Sync + 'static,
        csv: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            draw: Callback::new(draw),
            readings: Callback::new(readings),
            table: Callback::new(move |()| table()),
            csv: Callback::new(move |()| csv()),
        }
    }
}

/// Rows of the table that stands for a plot.
const MAX_TABLE_ROWS: usize = 30;

/// A plot with its title, read-out, table and files.
#[component]
pub(crate) fn PlotView(
    /// What is drawn.
    source: PlotSource,
    /// Above the plot.
    #[prop(into)]
    title: Signal<String>,
    /// One sentence that says what a person would see.
    #[prop(into)]
    summary: Signal<String>,
    /// In CSS pixels.
    #[prop(into)]
    height: Signal<u32>,
    /// Of the files that are saved, without ending.
    #[prop(into)]
    file_stem: Signal<String>,
    /// Called with the range that was dragged over, or `None` to see everything again. Without it nothing zooms.
    #[prop(optional, into)]
    on_zoom: Option<Callback<Option<(f64, f64)>>>,
    /// Whether less than everything is seen.
    #[prop(optional, into)]
    is_zoomed: Option<Signal<bool>>,
    /// The crosshair's place, for plots that share it; its own otherwise.
    #[prop(optional)]
    cursor: Option<RwSignal<Option<f64>>>,
) -> impl IntoView {
    let canvas = NodeRef::<Div>::new();
    let width = observed_width(canvas);
    let theme = use_theme();
    let drawing = Memo::new(move |_| {
        let width = width.get();
        (width > 0).then(|| source.draw.run(Frame { width, height: height.get(), theme: theme.get() }))
    });
    let pointer = Pointer::new(drawing, cursor.unwrap_or_else(|| RwSignal::new(None)), on_zoom);
    let spoken = RwSignal::new(String::new());
    let on_keydown = move |event: leptos::ev::KeyboardEvent| {
        if pointer.key(&event) {
            spoken.set(pointer.sentence(&source));
        }
    };
    let image = move || drawing.with(|drawing| drawing.as_ref().map(|d| d.svg.clone()).unwrap_or_default());
    view! {
        <figure class="plot">
            <figcaption class="plot-head">
                <span class="plot-title">{title}</span>
                <When when=Signal::derive(move || on_zoom.is_some() && is_zoomed.is_some_and(|is_zoomed| is_zoomed.get()))>
                    <button type="button" class="btn btn-ghost plot-reset" on:click=heard(move |_| pointer.reset_zoom())>
                        "Reset zoom"
                    </button>
                </When>
                <ExportMenu drawing source file_stem title />
            </figcaption>
            <div
                class="plot-canvas"
                class:plot-canvas-zooms=on_zoom.is_some()
                node_ref=canvas
                role="img"
                tabindex="0"
                aria-label=summary
                aria-roledescription="plot"
                style:height=move || format!("{}px", height.get())
                on:pointermove=move |event| pointer.moved(&event)
                on:pointerdown=move |event| pointer.pressed(&event)
                on:pointerup=move |event| pointer.released(&event)
                on:pointercancel=heard(move |_| pointer.cancelled())
                on:pointerleave=move |event| pointer.left(&event)
                on:dblclick=heard(move |_| pointer.reset_zoom())
                on:keydown=on_keydown
                on:blur=heard(move |_| pointer.blurred())
            >
                <div class="plot-svg" aria-hidden="true" inner_html=image></div>
                <PointerLayer pointer source />
            </div>
            <p class="visually-hidden" aria-live="polite">{spoken}</p>
            <DataTable source title />
        </figure>
    }
}

/// The theme from context.
pub(super) fn use_theme() -> Signal<Theme> {
    use_context::<ThemeSignal>().map_or_else(|| Signal::stored(Theme::Light), |theme| theme.0.into())
}

/// Width of an element in CSS pixels, followed as long as the component lives; 0 before it is on the page.
fn observed_width(element: NodeRef<Div>) -> ReadSignal<u32> {
    let (width, set_width) = signal(0);
    let observer = StoredValue::new_local(None);
    let seen = StoredValue::new(0_u32);
    Effect::new(move |_| {
        let Some(element) = element.get() else {
            return;
        };
        let measured = element.clone();
        let measure = move || {
            let now = u32::try_from(measured.client_width()).unwrap_or(0);
            if seen.try_get_value().is_some_and(|before| before != now) {
                seen.set_value(now);
                // Plots that come to light together are drawn one in a task.
                soon(move || {
                    set_width.try_set(now);
                });
            }
        };
        measure();
        let callback = Closure::<dyn FnMut()>::new(measure);
        // Without an observer the plot keeps its first width.
        if let Ok(resize) = web_sys::ResizeObserver::new(callback.as_ref().unchecked_ref()) {
            resize.observe(&element);
            observer.set_value(Some((resize, callback)));
        }
    });
    on_cleanup(move || {
        observer.try_update_value(|observer| {
            if let Some((resize, _)) = observer.take() {
                resize.disconnect();
            }
        });
    });
    width
}

/// The data, if someone asks for them.
#[component]
fn DataTable(source: PlotSource, title: Signal<String>) -> impl IntoView {
    let is_open = RwSignal::new(false);
    let toggled = move |event: leptos::ev::Event| {
        let details = event.current_target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        is_open.set(details.is_some_and(|details| details.has_attribute("open")));
    };
    view! {
        <details class="plot-table" on:toggle=toggled>
            <summary>"Show as table"</summary>
            <When when=Signal::derive(move || is_open.get())>
                {live(move || {
                    let table = source.table.run(());
                    let num_rows = table.rows.len();
                    let rows = evenly(table.rows, MAX_TABLE_ROWS);
                    let shown = rows.len();
                    view! {
                        <div class="table-scroll" tabindex="0" role="region" aria-label=move || format!("{} as table", title.get())>
                            <table class="table">
                                <thead>
                                    <tr>
                                        {table.columns.into_iter().map(|name| view! { <th scope="col">{name}</th> }).collect_view()}
                                    </tr>
                                </thead>
                                <tbody>{rows.into_iter().map(row).collect_view()}</tbody>
                            </table>
                        </div>
                        {(shown < num_rows).then(|| view! {
                            <p class="muted plot-table-note">
                                {format!("{shown} of {num_rows} rows; the CSV file has all.")}
                            </p>
                        })}
                    }
                })}
            </When>
        </details>
    }
}

fn row(cells: Vec<String>) -> impl IntoView {
    view! { <tr>{cells.into_iter().map(|cell| view! { <td>{cell}</td> }).collect_view()}</tr> }
}

/// At most `most` (at least 2) of the rows, evenly spaced, the first and the last among them.
fn evenly<T>(rows: Vec<T>, most: usize) -> Vec<T> {
    let (num_rows, most) = (rows.len(), most.max(2));
    if num_rows <= most {
        return rows;
    }
    let mut next = 0;
    let mut kept = Vec::with_capacity(most);
    for (i, row) in rows.into_iter().enumerate() {
        if i == next * (num_rows - 1) / (most - 1) {
            kept.push(row);
            next += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(num_rows: u32, most: usize, expect: &[u32]) {
        assert_eq!(evenly((0..num_rows).collect(), most), expect, "{most} of {num_rows}");
    }

    #[test]
    fn a_table_is_thinned_evenly_and_keeps_its_ends() {
        check(3, 30, &[0, 1, 2]);
        check(0, 30, &[]);
        check(9, 3, &[0, 4, 8]);
        check(10, 4, &[0, 3, 6, 9]);
        assert_eq!(evenly((0..1000).collect::<Vec<u32>>(), 30).len(), 30, "thirty");
    }
}
