//! What was sent before the measured requests is in the cache, and nowhere else.
