//! Profiles composed beside the page, in a module of its own: a first visit needs none of it, and it is as large as a
//! third of the page. `www/composer.js` is the worker around it.

mod packs;

use js_sys::{Array, Uint8Array};
use packs::{Made, Packs, Recipe};
use sim_core::answers::recommend::Exclusion;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

/// Answers the page's questions inside its worker.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct Composer {
    packs: Packs,
}

#[wasm_bindgen]
impl Composer {
    /// A composer that has no pack.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a pack under a name. With the key of a GPU that nobody measured, `content` is that of the nearest, and is
    /// moved. Returns the GPU's name.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn keep(&mut self, key: &str, content: &[u8]) -> Result<String, JsValue> {
        self.packs.keep(key, content).map_err(JsValue::from)
    }

    /// Name and file of a profile, and whether it is of one of several ranks that step together: `flags` are names and values
    /// by turns, a switch's value being null.
    ///
    /// # Errors
    /// An array: why there is none, and in words what that is counted as.
    pub fn compose(&self, flags: &Array, model: &str, config: &[u8], pack: &str) -> Result<Array, JsValue> {
        told(self.packs.compose(&recipe(flags, model, config, pack)))
    }

    /// The same for who simulates all data-parallel ranks: of a dense model the profile is that of one.
    ///
    /// # Errors
    /// As [`Self::compose`].
    #[wasm_bindgen(js_name = composeRank)]
    pub fn compose_rank(&self, flags: &Array, model: &str, config: &[u8], pack: &str) -> Result<Array, JsValue> {
        told(self.packs.compose_rank(&recipe(flags, model, config, pack)))
    }

    /// Why vLLM would not start, empty if it would, and whether that is for want of memory.
    #[must_use]
    pub fn fit(&self, flags: &Array, model: &str, config: &[u8], pack: &str) -> Array {
        let (fault, is_too_small) = self.packs.fit(&recipe(flags, model, config, pack));
        Array::of2(&fault.into(), &is_too_small.into())
    }
}

fn told(made: Result<Made, Exclusion>) -> Result<Array, JsValue> {
    let made = made.map_err(|exclusion| Array::of2(&exclusion.why.into(), &exclusion.kind.words().into()))?;
    let Made { name, file, is_of_lockstep } = made;
    Ok(Array::of3(&name.into(), &Uint8Array::from(file.as_slice()).into(), &is_of_lockstep.into()))
}

fn recipe(flags: &Array, model: &str, config: &[u8], pack: &str) -> Recipe {
    let texts: Vec<Option<String>> = flags.iter().map(|text| text.as_string()).collect();
    let flags = texts.chunks(2).filter_map(|pair| match pair {
        [Some(name), value] => Some((name.clone(), value.clone())),
        _ => None,
    });
    Recipe { flags: flags.collect(), model: model.to_owned(), config: config.to_vec(), pack: pack.to_owned() }
}
