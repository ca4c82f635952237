//! `gpus-needed`.
