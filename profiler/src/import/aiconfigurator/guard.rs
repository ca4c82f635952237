//! Runs a decoder of others that may panic on a damaged file.
//!
//! The parquet crate promises errors. Of tables with a few flipped bytes, one in a hundred makes it panic nevertheless
//! (version 57.3.2: footers without a required field, run lengths beyond their page, dictionaries that are not there).

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether a panic of this thread is caught below, and so nobody's business.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

static SILENCE: Once = Once::new();

/// What `decode` returns; `None` if it panics, of which nothing is printed.
pub(super) fn guarded<T>(decode: impl FnOnce() -> T) -> Option<T> {
    SILENCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_GUARDED.get() {
                before(info);
            }
        }));
    });
    let was_guarded = IS_GUARDED.replace(true);
    // What a panic leaves half done is dropped with it.
    let decoded = panic::catch_unwind(AssertUnwindSafe(decode));
    IS_GUARDED.set(was_guarded);
    decoded.ok()
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn a_panic_is_none_and_the_next_one_is_told_again() {
        assert_eq!(guarded(|| 1), Some(1));
        assert_eq!(guarded(|| -> u8 { panic!("this must not be printed") }), None);
        assert!(!super::IS_GUARDED.get(), "a panic of our own would be hidden");
    }
}
