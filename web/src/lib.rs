//! The page. Filled by its own issue.

pub mod answer;
pub mod protocol;
pub mod worker;
