//! The KV cache as the scheduler sees it: which blocks are free, which hold what, who uses them. Knows no time.

pub mod manager;
pub mod block_pool;
pub mod block_keys;
pub mod free_block_queue;
