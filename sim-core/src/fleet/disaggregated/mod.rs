//! Prefill and decode on engines of their own: who computes what, how KV blocks get from one to the other, how long that
//! takes.

pub mod links;
pub mod transfer;
