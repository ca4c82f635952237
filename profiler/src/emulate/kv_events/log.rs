//! The last batches, numbered: what replays are read from, and what every listener has a place in. So however many
//! listen, and however slowly, there is one copy of a bounded number of batches.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Most bytes of all batches that are kept. vLLM counts batches alone.
const MAX_BYTES: usize = 64 << 20;

/// Batches from the oldest that is kept to the newest.
#[derive(Debug)]
pub(super) struct EventLog {
    batches: Mutex<Batches>,
    /// The number that the next batch will have.
    next: watch::Sender<u64>,
    most: usize,
}

#[derive(Debug, Default)]
struct Batches {
    kept: VecDeque<Arc<[u8]>>,
    num_bytes: usize,
    /// The number of the oldest.
    first: u64,
}

impl EventLog {
    /// Keeps at most `most` batches; none yet.
    pub(super) fn new(most: usize) -> Self {
        Self { batches: Mutex::default(), next: watch::Sender::new(0), most }
    }

    /// Appends a batch, and lets the oldest go that are too many.
    pub(super) fn append(&self, batch: Arc<[u8]>) {
        let mut batches = self.lock();
        batches.num_bytes += batch.len();
        batches.kept.push_back(batch);
        while batches.kept.len() > self.most || (batches.num_bytes > MAX_BYTES && batches.kept.len() > 1) {
            let Some(oldest) = batches.kept.pop_front() else { break };
            batches.num_bytes -= oldest.len();
            batches.first += 1;
        }
        let next = batches.first + batches.kept.len() as u64;
        drop(batches);
        self.next.send_replace(next);
    }

    /// The batch `number`, or the oldest after it that is kept, with its number; `None` if there is none yet.
    pub(super) fn at_or_after(&self, number: u64) -> Option<(u64, Arc<[u8]>)> {
        let batches = self.lock();
        let number = number.max(batches.first);
        let batch = batches.kept.get(usize::try_from(number - batches.first).ok()?)?;
        Some((number, Arc::clone(batch)))
    }

    /// The number that the next batch will have.
    pub(super) fn next(&self) -> u64 {
        *self.next.borrow()
    }

    /// Tells when that changes.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    /// A panic elsewhere leaves batches as they were.
    fn lock(&self) -> MutexGuard<'_, Batches> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_numbers_stay() {
        let log = EventLog::new(3);
        assert_eq!((log.next(), log.at_or_after(0)), (0, None));
        for batch in 0..5_u8 {
            log.append(vec![batch].into());
        }
        let at = |number| log.at_or_after(number).map(|(number, batch)| (number, batch[0]));
        assert_eq!((at(0), at(3), at(4), at(5), at(u64::MAX)), (Some((2, 2)), Some((3, 3)), Some((4, 4)), None, None));
        assert_eq!(log.next(), 5);
    }

    #[test]
    fn bytes_are_bounded_but_the_newest_is_kept() {
        let log = EventLog::new(1000);
        let batch: Arc<[u8]> = vec![0; MAX_BYTES / 2 + 1].into();
        log.append(Arc::clone(&batch));
        log.append(batch);
        assert_eq!(log.at_or_after(0).map(|(number, _)| number), Some(1));
    }
}
