//! So many GPUs: how many replicas compute prompts and how many answer, or do all of them both?
//!
//! Every split of the GPUs is searched for what it carries, with the same seeds; [`search`] says which runs are wanted and
//! ranks what came of them, [`trial`] is one run, [`told`] puts the answer in words.

pub mod search;
pub mod split;
pub mod told;
pub mod trial;

pub use search::{SplitEntry, Splits};
pub use split::{MAX_SPLITS, Split, TooManySplits};
pub use trial::{AskedOfEngines, OfRanks};
