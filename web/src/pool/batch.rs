//! Runs that are asked for together: whoever ends first, they are put together in the order in which they were asked for.

use std::task::Waker;

use crate::protocol::Tried;

/// Why there are no results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// Nobody wants them any longer.
    GivenUp,
    /// A run could not be made: why.
    Fault(String),
}

/// Runs under way.
#[derive(Debug)]
pub(super) struct Batch {
    /// By place.
    results: Vec<Option<Result<Tried, String>>>,
    num_open: usize,
    is_given_up: bool,
    /// Of whoever waits for the end.
    waker: Option<Waker>,
}

impl Batch {
    pub(super) fn new(num_runs: usize) -> Self {
        Self { results: vec![None; num_runs], num_open: num_runs, is_given_up: false, waker: None }
    }

    /// Takes in the result of the run at `place`; a second one changes nothing.
    pub(super) fn take(&mut self, place: usize, result: Result<Tried, String>) {
        let Some(open) = self.results.get_mut(place).filter(|open| open.is_none()) else { return };
        *open = Some(result);
        self.num_open -= 1;
        self.wake();
    }

    /// Nobody wants it any longer.
    pub(super) fn give_up(&mut self) {
        self.is_given_up = true;
        self.wake();
    }

    fn wake(&mut self) {
        if (self.num_open == 0 || self.is_given_up)
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    /// What came of each run, as soon as that is known; until then `waker` is remembered. [`Stopped::GivenUp`] if nobody
    /// wants it any longer.
    pub(super) fn outcome(&mut self, waker: &Waker) -> Option<Result<Vec<Result<Tried, String>>, Stopped>> {
        if self.is_given_up {
            return Some(Err(Stopped::GivenUp));
        }
        if self.num_open > 0 {
            self.waker = Some(waker.clone());
            return None;
        }
        Some(Ok(std::mem::take(&mut self.results).into_iter().flatten().collect()))
    }
}

/// All results; or else the fault of the first run in order that has one, whichever failed first.
///
/// # Errors
/// [`Stopped::Fault`].
pub(super) fn all_or_first_fault(results: Vec<Result<Tried, String>>) -> Result<Vec<Tried>, Stopped> {
    results.into_iter().collect::<Result<_, _>>().map_err(Stopped::Fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(order: &[usize], faults: &[usize], expect: &Result<Vec<Tried>, Stopped>) {
        let mut batch = Batch::new(order.len());
        for &place in order {
            assert_eq!(batch.outcome(Waker::noop()), None, "before {place} of {order:?}");
            let number = sim_core::math::usize_to_f64(place);
            let result = if faults.contains(&place) { Err(place.to_string()) } else { Ok(Tried::Saturated(number)) };
            batch.take(place, result);
            batch.take(place, Err("again".to_owned()));
        }
        let outcome = batch.outcome(Waker::noop()).map(|outcome| outcome.and_then(all_or_first_fault));
        assert_eq!(outcome.as_ref(), Some(expect), "{order:?}, faults {faults:?}");
    }

    #[test]
    fn results_are_put_together_in_order_whoever_ends_first() {
        let all = Ok([0.0, 1.0, 2.0].map(Tried::Saturated).to_vec());
        let first_fault = Err(Stopped::Fault("1".to_owned()));
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            check(&order, &[], &all);
            check(&order, &[1, 2], &first_fault);
        }
    }

    #[test]
    fn what_nobody_wants_ends_at_once() {
        let mut batch = Batch::new(2);
        batch.take(0, Ok(Tried::Saturated(1.0)));
        batch.give_up();
        assert_eq!(batch.outcome(Waker::noop()), Some(Err(Stopped::GivenUp)));
    }
}
