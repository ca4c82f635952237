//! The page. Filled by its own issue.
