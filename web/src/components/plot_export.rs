//! A plot as a file: SVG, PNG, CSV. Nothing leaves the browser.

use leptos::html::Details;
use leptos::prelude::*;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::plot_view::{PlotSource, use_theme};
use crate::components::live::live;
use crate::plot::Drawing;

/// PNG pixels per CSS pixel.
const PNG_SCALE: u32 = 2;
/// Until a saved file's text is let go: a browser reads it after the click.
const KEEP_MS: i32 = 10_000;

/// The three buttons behind one.
#[component]
pub(super) fn ExportMenu(
    drawing: Memo<Option<Drawing>>,
    source: PlotSource,
    file_stem: Signal<String>,
    title: Signal<String>,
) -> impl IntoView {
    let menu = NodeRef::<Details>::new();
    let theme = use_theme();
    let failure = RwSignal::new(None::<String>);
    let close = move || {
        if let Some(menu) = menu.get_untracked() {
            menu.set_open(false);
        }
    };
    let done = move |result: Result<(), JsValue>| match result {
        Ok(()) => {
            failure.set(None);
            close();
        }
        Err(error) => failure.set(Some(format!("The file could not be made: {}", words(&error)))),
    };
    let name = move |ending: &str| format!("{}.{ending}", file_stem.get_untracked());
    let svg = move || {
        let theme = theme.get_untracked();
        drawing.with_untracked(|drawing| drawing.as_ref().map(|d| d.svg_on_surface(theme)).unwrap_or_default())
    };
    let save_svg = move |_| done(save_text(&name("svg"), "image/svg+xml", &svg()));
    let save_csv = move |_| done(save_text(&name("csv"), "text/csv", &untrack(|| source.csv.run(()))));
    let save_png = move |_| {
        let (svg, name) = (svg(), name("png"));
        spawn_local(async move { done(png(svg, name).await) });
    };
    let escape = move |event: leptos::ev::KeyboardEvent| {
        let is_open = menu.get_untracked().is_some_and(|menu| menu.open());
        if event.key() == "Escape" && is_open {
            event.stop_propagation();
            close();
            focus_summary(menu);
        }
    };
    // Leaving the menu for something else that takes the focus closes it. A click on nothing does not: some browsers
    // give no focus to a button that is clicked, and the menu would be gone before the click arrives.
    let left = move |event: leptos::ev::FocusEvent| {
        let to = event.related_target().and_then(|target| target.dyn_into::<web_sys::Node>().ok());
        let has_left = menu.get_untracked().zip(to).is_some_and(|(menu, to)| !menu.contains(Some(&to)));
        if has_left {
            close();
        }
    };
    view! {
        <details class="plot-menu" node_ref=menu on:keydown=escape on:focusout=left>
            <summary class="btn btn-ghost" aria-label=move || format!("Export {}", title.get())>"Export"</summary>
            <div class="plot-menu-items">
                <button type="button" class="btn btn-ghost" on:click=save_svg>"SVG"</button>
                <button type="button" class="btn btn-ghost" on:click=save_png>"PNG"</button>
                <button type="button" class="btn btn-ghost" on:click=save_csv>"CSV"</button>
                {live(move || failure.get().map(|failure| view! { <p class="field-error" role="alert">{failure}</p> }))}
            </div>
        </details>
    }
}

fn focus_summary(menu: NodeRef<Details>) {
    let summary = menu.get_untracked().and_then(|menu| menu.first_element_child());
    if let Some(summary) = summary.and_then(|summary| summary.dyn_into::<web_sys::HtmlElement>().ok()) {
        summary.focus().ok();
    }
}

fn words(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}

fn missing(what: &str) -> JsValue {
    js_sys::Error::new(&format!("this browser has no {what}")).into()
}

/// Lets the browser save a text.
///
/// # Errors
/// The browser's own, if it has no document, no blobs or refuses to make one.
pub(crate) fn save_text(name: &str, mime: &str, text: &str) -> Result<(), JsValue> {
    save(name, &blob(mime, text)?)
}

fn blob(mime: &str, text: &str) -> Result<web_sys::Blob, JsValue> {
    let options = web_sys::BlobPropertyBag::new();
    options.set_type(mime);
    web_sys::Blob::new_with_str_sequence_and_options(&js_sys::Array::of1(&text.into()), &options)
}

fn save(name: &str, blob: &web_sys::Blob) -> Result<(), JsValue> {
    let window = web_sys::window().ok_or_else(|| missing("window"))?;
    let document = window.document().ok_or_else(|| missing("document"))?;
    let url = web_sys::Url::create_object_url_with_blob(blob)?;
    let link: web_sys::HtmlAnchorElement = document.create_element("a")?.unchecked_into();
    link.set_href(&url);
    link.set_download(name);
    link.click();
    let release = Closure::once_into_js(move || {
        web_sys::Url::revoke_object_url(&url).ok();
    });
    window.set_timeout_with_callback_and_timeout_and_arguments_0(release.unchecked_ref(), KEEP_MS)?;
    Ok(())
}

/// SVG to image to canvas to file.
async fn png(svg: String, name: String) -> Result<(), JsValue> {
    let url = web_sys::Url::create_object_url_with_blob(&blob("image/svg+xml", &svg)?)?;
    let canvas = rasterized(&url).await;
    web_sys::Url::revoke_object_url(&url)?;
    let canvas = canvas?;
    let encoded = js_sys::Promise::new(&mut |resolve, reject| {
        if let Err(error) = canvas.to_blob(&resolve) {
            reject.call1(&JsValue::UNDEFINED, &error).ok();
        }
    });
    // Null if the canvas is larger than the browser can encode.
    let blob: Option<web_sys::Blob> = JsFuture::from(encoded).await?.dyn_into().ok();
    save(&name, &blob.ok_or_else(|| missing("room for so large a PNG"))?)
}

async fn rasterized(url: &str) -> Result<web_sys::HtmlCanvasElement, JsValue> {
    let image = web_sys::HtmlImageElement::new()?;
    image.set_src(url);
    JsFuture::from(image.decode()).await?;
    let document = web_sys::window().and_then(|window| window.document()).ok_or_else(|| missing("document"))?;
    let canvas: web_sys::HtmlCanvasElement = document.create_element("canvas")?.unchecked_into();
    let (width, height) = (image.natural_width() * PNG_SCALE, image.natural_height() * PNG_SCALE);
    canvas.set_width(width);
    canvas.set_height(height);
    let context = canvas.get_context("2d")?.ok_or_else(|| missing("canvas"))?;
    let context: web_sys::CanvasRenderingContext2d = context.unchecked_into();
    context.draw_image_with_html_image_element_and_dw_and_dh(&image, 0.0, 0.0, width.into(), height.into())?;
    Ok(canvas)
}
