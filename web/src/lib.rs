//! The page. Filled by its own issue.

#[cfg_attr(not(test), expect(dead_code, reason = "nothing mounts the page yet"))]
mod plot;
#[expect(dead_code, reason = "nothing mounts the page yet")]
mod components;
