//! How many replicas a recorded trace needs.
