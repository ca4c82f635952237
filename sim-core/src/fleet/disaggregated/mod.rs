//! Prefill and decode on engines of their own: who computes what, how KV blocks get from one to the other, how long that
//! takes.

mod connector;
mod flows;
mod hand_over;
pub mod links;
mod lives;
pub mod result;
pub mod settings;
pub mod simulation;
pub mod transfer;
