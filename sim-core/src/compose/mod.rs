//! Composition: a GPU's operators and a model's layers become a profile. Pure; knows no scheduler.
//!
//! [`compose()`] is the way in. [`setup`] says how the model is to run; `rank` divides it among ranks; `layers` sums
//! what depends on a pass's tokens, `attention`, `latent` and `states` what depends on what is attended to;
//! `tables` puts that into a profile's tables, `drafter` adds what speculation needs. `memory` counts what is left for the KV cache, [`host`] says what the
//! host and the front end cost, `notes` what a reader must know.

pub mod setup;
pub mod error;
mod formats;
mod rank;
mod collectives;
mod layers;
mod attention;
mod latent;
mod states;
mod tables;
mod drafter;
mod memory;
pub mod host;
mod mixed;
mod notes;
mod profile;

pub use error::ComposeError;
pub use profile::compose;
pub use setup::{DrafterSetup, Setup};
