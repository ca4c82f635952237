//! The product's tests, one binary.

mod tidy;
