//! The profile: how long the passes of one (model, hardware, engine setting) take, as a file and as a model.
//!
//! [`Profile::from_json`] is the door: it checks the version, upgrades older files, and collects every fault with its
//! JSON path. [`StepTimeModel::new`] turns a profile into something that answers a
//! [`BatchComposition`](crate::batch::BatchComposition). The scheduler is unknown here.

pub mod schema;
mod schema_tables;
mod schema_memory;
pub mod error;
mod version;
mod file;
pub(crate) mod from_json;
mod validate;
mod validate_tables;
mod validate_layers;
mod layout;
mod table;
mod interpolate;
mod affine;
mod attention;
pub mod cuda_graphs;
pub(crate) mod decode_times;
mod drafter_tables;
mod host_times;
mod offloading_link;
mod tier_speeds;
mod pass_shape;
pub(crate) mod pass_times;
mod step_time_settings;
pub mod step_time;
mod other_times;
pub mod uncertainty;
mod kv_cache_layers;
mod platform;
pub mod synthetic;

pub use cuda_graphs::CaptureSizes;
pub use error::{Fault, ProfileError};
pub use host_times::{ClientWork, HostTimes};
pub use offloading_link::OffloadingLink;
pub use pass_shape::PassShape;
pub use schema::Profile;
pub use step_time::{Evidence, StepTime, StepTimeModel};
pub use step_time_settings::{Drafting, StepTimeSettings};
pub use synthetic::SyntheticCosts;
pub use tier_speeds::{TierSpeed, TierSpeeds};
pub use uncertainty::StatedRange;
