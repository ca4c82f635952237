//! Several engines behind one address: replicas on one clock, who gets which request, and what they do together.
//!
//! An engine is as it is alone; what is here decides only when and where a request reaches one.

mod calendar;
pub mod data_parallel;
pub mod disaggregated;
mod dispatch;
mod front;
pub mod life;
mod pool;
mod replica_result;
pub mod router;
mod router_desk;
mod router_figures;
pub mod simulation;

pub use dispatch::{DataParallel, Dispatch, RouterSettings};
pub use replica_result::{FleetResult, LockstepResult, ReplicaResult, imbalance};
pub use router_figures::RouterFigures;
