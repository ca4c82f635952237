//! Files in and out of the page: fetched from its own origin, dropped, downloaded, copied.

use js_sys::{ArrayBuffer, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortSignal, Blob, BlobPropertyBag, File, HtmlAnchorElement, ReadableStreamDefaultReader, RequestInit, Response,
    Url,
};

/// Largest file that is taken in: the largest trace that is read.
pub(crate) const MAX_FILE_BYTES: u32 = 1 << 28;

/// What a failed call of the browser says.
pub(crate) fn message(error: &JsValue) -> String {
    let text = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    text.or_else(|| error.as_string()).unwrap_or_else(|| format!("{error:?}"))
}

/// A file of the site, by its path relative to the page.
pub(crate) async fn fetch(path: &str) -> Result<Vec<u8>, String> {
    let window = web_sys::window().ok_or("there is no window")?;
    let fault = |error: JsValue| format!("{path} cannot be loaded: {}", message(&error));
    let response = JsFuture::from(window.fetch_with_str(path)).await.map_err(fault)?;
    let response: Response = response.dyn_into().map_err(fault)?;
    if !response.ok() {
        return Err(format!("{path} cannot be loaded: status {}", response.status()));
    }
    let buffer = JsFuture::from(response.array_buffer().map_err(fault)?).await.map_err(fault)?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

/// The same in pieces, for a large one: `heard` is told how many bytes there are so far, and `signal` stops it.
pub(crate) async fn fetch_in_pieces(path: &str, signal: &AbortSignal, heard: impl Fn(u32)) -> Result<Vec<u8>, String> {
    let window = web_sys::window().ok_or("there is no window")?;
    let fault = |error: JsValue| format!("{path} cannot be loaded: {}", message(&error));
    let how = RequestInit::new();
    how.set_signal(Some(signal));
    let response = JsFuture::from(window.fetch_with_str_and_init(path, &how)).await.map_err(fault)?;
    let response: Response = response.dyn_into().map_err(fault)?;
    if !response.ok() {
        return Err(format!("{path} cannot be loaded: status {}", response.status()));
    }
    let body = response.body().ok_or_else(|| format!("{path} cannot be loaded: there is nothing in it"))?;
    let reader: ReadableStreamDefaultReader = body.get_reader().dyn_into().map_err(|other| fault(other.into()))?;
    let mut content = Vec::new();
    loop {
        let piece = JsFuture::from(reader.read()).await.map_err(fault)?;
        let bytes = Reflect::get(&piece, &"value".into()).unwrap_or_default();
        let Some(bytes) = bytes.dyn_ref::<Uint8Array>() else { return Ok(content) };
        content.extend(bytes.to_vec());
        heard(u32::try_from(content.len()).unwrap_or(u32::MAX));
    }
}

/// The content of a file that the user chose.
pub(crate) async fn content(file: &File) -> Result<Vec<u8>, String> {
    let name = file.name();
    if file.size() > f64::from(MAX_FILE_BYTES) {
        return Err(format!("{name} has {:.0} bytes; the limit is {MAX_FILE_BYTES}", file.size()));
    }
    let buffer = JsFuture::from(file.array_buffer()).await;
    let buffer = buffer.map_err(|error| format!("{name} cannot be read: {}", message(&error)))?;
    let buffer: ArrayBuffer =
        buffer.dyn_into().map_err(|other| format!("{name} cannot be read: {}", message(&other)))?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

/// Hands `content` to the user as a file.
pub(crate) fn download(name: &str, media_type: &str, content: &[u8]) -> Result<(), JsValue> {
    let parts = js_sys::Array::of1(&Uint8Array::from(content));
    let options = BlobPropertyBag::new();
    options.set_type(media_type);
    let blob = Blob::new_with_u8_array_sequence_and_options(&parts, &options)?;
    let address = Url::create_object_url_with_blob(&blob)?;
    let document = web_sys::window().and_then(|window| window.document()).ok_or("there is no document")?;
    let anchor: HtmlAnchorElement = document.create_element("a")?.dyn_into()?;
    anchor.set_href(&address);
    anchor.set_download(name);
    anchor.click();
    Url::revoke_object_url(&address)
}

/// Puts `text` on the clipboard.
pub(crate) async fn copy(text: &str) -> Result<(), String> {
    let window = web_sys::window().ok_or("there is no window")?;
    let written = JsFuture::from(window.navigator().clipboard().write_text(text)).await;
    written.map(|_| ()).map_err(|error| format!("the clipboard cannot be written: {}", message(&error)))
}

/// The page's address without its fragment.
pub(crate) fn page_address() -> String {
    let href = web_sys::window().and_then(|window| window.location().href().ok()).unwrap_or_default();
    href.split('#').next().unwrap_or_default().to_owned()
}

/// The address's fragment, with `#`, or nothing.
pub(crate) fn page_fragment() -> String {
    web_sys::window().and_then(|window| window.location().hash().ok()).unwrap_or_default()
}

/// Writes the fragment into the address, without a new entry in the history.
pub(crate) fn set_page_fragment(fragment: &str) {
    let Some(window) = web_sys::window() else { return };
    let address = format!("{}{fragment}", page_address());
    let replaced =
        window.history().and_then(|history| history.replace_state_with_url(&JsValue::NULL, "", Some(&address)));
    // A page opened from a place without addresses keeps its own; nothing else depends on it.
    drop(replaced);
}

/// The page's clock, in milliseconds.
pub(crate) fn now_ms() -> f64 {
    web_sys::window().and_then(|window| window.performance()).map_or(0.0, |clock| clock.now())
}
