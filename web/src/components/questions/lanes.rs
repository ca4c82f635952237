//! Several searches beside each other: enough that no worker waits for the last runs of one, few enough that answers come
//! one after another.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;

use crate::pool::Wish;

/// Searches under way at once.
const NUM_LANES: usize = 3;

/// Does `work` with each number below `count`, in order, three at once, until nobody wants it; `done` is called when the
/// last is over.
pub(super) fn lanes<W, F>(count: usize, wish: &Wish, work: W, done: impl Fn() + 'static)
where
    W: Fn(usize) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let (next, num_open) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(NUM_LANES)));
    let (work, done) = (Rc::new(work), Rc::new(done));
    for _ in 0..NUM_LANES {
        let (next, num_open, work, done, wish) =
            (next.clone(), num_open.clone(), work.clone(), done.clone(), wish.clone());
        leptos::task::spawn_local(async move {
            while next.get() < count && !wish.is_given_up() {
                work(next.replace(next.get() + 1)).await;
            }
            num_open.set(num_open.get() - 1);
            if num_open.get() == 0 && !wish.is_given_up() {
                done();
            }
        });
    }
}
