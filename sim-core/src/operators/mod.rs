//! Operator packs: what one GPU takes for the operators that models are made of, as a file and as something that can be
//! asked for shapes that nobody measured. Knows no model and no scheduler.
//!
//! [`Pack::from_json`] is the door. [`schema`] says what a file holds, [`kinds`] which operators there are, [`series`]
//! reads between points, [`sustained`] says which rates a GPU keeps up. Of each operator a file of its own says how an
//! unmeasured shape follows from measured ones. [`transfer()`] moves a pack to a GPU that nobody measured.

pub mod gpu;
pub mod prices;
pub mod gpu_table;
mod gpu_unmeasured;
pub mod kinds;
pub mod schema;
mod file;
mod validate;
pub mod series;
pub mod grid;
pub mod format;
pub mod products;
pub mod attention;
pub mod experts;
pub mod work;
pub mod sustained;
pub mod transfer;
#[cfg(test)]
mod transfer_tests;

pub use file::PackError;
pub use gpu::Gpu;
pub use kinds::Operator;
pub use schema::Pack;
pub use transfer::transfer;
