//! Models: what the engine must know of one, from its `config.json`. Knows no scheduler and no time.

pub mod layers;
