//! Several engines behind one address: replicas on one clock, who gets which request, and what they do together.
//!
//! An engine is as it is alone; what is here decides only when and where a request reaches one.

pub mod data_parallel;
pub mod router;
