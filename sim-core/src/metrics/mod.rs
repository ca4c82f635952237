//! From recorded facts to the numbers users know. Receives finished facts and changes nothing.

pub mod recorder;
pub mod chrome_trace;
