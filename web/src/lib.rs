//! The page: what is asked, the simulation in a worker, what is answered.
//!
//! One Wasm module serves two threads. On the page, `mount` shows the interface; in the worker, `WorkerSide` simulates.
//! They speak through the messages of `protocol.rs`.

mod actions;
mod answer;
mod detail;
mod editing;
mod engine_values;
mod app;
#[cfg(test)]
mod browser_tests;
mod choosing;
mod commands;
mod components;
mod composer;
mod files;
mod fitting;
mod fleet_answer;
mod form;
mod format;
mod gallery;
mod hearing;
mod html;
mod kept;
mod making;
mod models;
mod opening;
mod parcel;
mod parts;
mod plot;
mod pool;
mod presets;
mod profiles;
mod protocol;
mod recipe;
mod run_range;
mod searching;
mod share;
mod simulation;
mod state;
mod telling;
mod texts;
mod trying;
mod worker;
mod worker_handle;

use wasm_bindgen::prelude::wasm_bindgen;

/// Shows the frame in the element `app`. `module` is this module, compiled; `worker` a worker that has it already. Gives the
/// part that answers what the address asks, or what is asked first.
#[wasm_bindgen]
pub fn mount(module: wasm_bindgen::JsValue, worker: web_sys::Worker) -> String {
    app::mount(module, worker);
    components::questions::part_of(opening::first_question()).to_owned()
}
