//! Answers that were found on this device, kept in the browser's database: the link that asks for each, and its sentence.

use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    IdbDatabase, IdbObjectStore, IdbObjectStoreParameters, IdbOpenDbRequest, IdbRequest, IdbTransactionMode,
};

use crate::composer::{member, object};

/// The database and its only table. Another version would be another number.
const DATABASE: &str = "vllm-simulator";
const VERSION: u32 = 1;
const ANSWERS: &str = "answers";

/// Answers that are kept; the oldest goes when one more comes.
const MOST: usize = 30;
/// Longest sentence and link that are kept, in bytes: what is longer was not made by this page.
const MOST_BYTES: usize = 1 << 16;

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    /// The fragment of the link that asks for it.
    pub(crate) link: String,
    /// What was answered.
    pub(crate) sentence: String,
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: f64,
}

impl Kept {
    /// What a row of the table says; `None` if it is none of ours.
    fn of(row: &JsValue) -> Option<Self> {
        let text = |name| member(row, name).as_string().filter(|text| text.len() <= MOST_BYTES);
        let link = text("link").filter(|link| link.starts_with("#v="))?;
        Some(Self { link, sentence: text("sentence")?, at_ms: member(row, "at").as_f64()? })
    }
}

/// What came of a request to the database.
async fn done(request: &IdbRequest) -> Result<JsValue, JsValue> {
    let promise = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    JsFuture::from(promise).await?;
    request.result()
}

async fn database() -> Result<IdbDatabase, JsValue> {
    let factory = leptos::prelude::window().indexed_db()?.ok_or("there is no database")?;
    let request: IdbOpenDbRequest = factory.open_with_u32(DATABASE, VERSION)?;
    let opening = request.clone();
    let upgrade = Closure::once_into_js(move || {
        let made = opening.result().and_then(|database| {
            let how = IdbObjectStoreParameters::new();
            how.set_key_path(&"link".into());
            let database: IdbDatabase = database.unchecked_into();
            database.create_object_store_with_optional_parameters(ANSWERS, &how)
        });
        // Without its table every later request fails, and is told.
        drop(made);
    });
    request.set_onupgradeneeded(Some(upgrade.unchecked_ref()));
    done(&request).await.map(JsCast::unchecked_into)
}

async fn table(mode: IdbTransactionMode) -> Result<IdbObjectStore, JsValue> {
    let transaction = database().await?.transaction_with_str_and_mode(ANSWERS, mode)?;
    transaction.object_store(ANSWERS)
}

/// Everything that is kept, the newest first.
///
/// # Errors
/// What the browser says, where storage is forbidden or full.
pub(crate) async fn all() -> Result<Vec<Kept>, JsValue> {
    let rows = done(&table(IdbTransactionMode::Readonly).await?.get_all()?).await?;
    let mut kept: Vec<Kept> = Array::from(&rows).iter().filter_map(|row| Kept::of(&row)).collect();
    kept.sort_by(|a, b| b.at_ms.total_cmp(&a.at_ms));
    Ok(kept)
}

/// Keeps an answer, in place of the one that its link had before.
///
/// # Errors
/// As [`all`].
pub(crate) async fn keep(link: &str, sentence: &str) -> Result<(), JsValue> {
    let row = object(&[("link", link.into()), ("sentence", sentence.into()), ("at", js_sys::Date::now().into())]);
    done(&table(IdbTransactionMode::Readwrite).await?.put(&row)?).await?;
    for old in all().await?.iter().skip(MOST) {
        done(&table(IdbTransactionMode::Readwrite).await?.delete(&old.link.as_str().into())?).await?;
    }
    Ok(())
}

/// Keeps nothing any longer.
///
/// # Errors
/// As [`all`].
pub(crate) async fn forget() -> Result<(), JsValue> {
    done(&table(IdbTransactionMode::Readwrite).await?.clear()?).await.map(drop)
}
