//! Prefill and decode on engines of their own: who computes what, how KV blocks get from one to the other, how long that
//! takes.

mod connector;
mod hand_over;
pub mod links;
pub mod result;
pub mod settings;
pub mod simulation;
pub mod transfer;
