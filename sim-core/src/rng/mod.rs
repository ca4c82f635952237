//! Pseudo-random numbers, bit for bit those of NumPy and Python.
//!
//! `vllm bench serve` draws a workload from three generators: `numpy.random.default_rng` (lengths), `numpy.random`'s
//! global state (arrivals) and Python's `random` (shuffling). With the same three, the same seed gives the same
//! workload here and there. What is ours alone draws from [`Pcg64::stream`], one stream per purpose, so that a change
//! of one purpose leaves the others' values as they are.

mod mt19937;
mod pcg64;
mod python_random;
mod random_state;
mod seed_sequence;

pub use pcg64::Pcg64;
pub use python_random::PythonRandom;
pub use random_state::RandomState;
