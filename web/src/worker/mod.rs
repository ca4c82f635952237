//! In the worker.
