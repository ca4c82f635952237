//! Which requests each replica has: added and taken out in constant time.

use alloc::vec;
use alloc::vec::Vec;

use crate::math;
use crate::request::RequestId;

/// Requests by replica.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// In no order.
    lists: Vec<Vec<RequestId>>,
    /// Each request's place in its replica's list.
    places: Vec<u32>,
}

impl UnderWay {
    pub(super) fn new(num_replicas: usize, num_requests: usize) -> Self {
        Self { lists: vec![Vec::new(); num_replicas], places: vec![0; num_requests] }
    }

    pub(super) fn add(&mut self, id: RequestId, replica: usize) {
        let list = &mut self.lists[replica];
        self.places[id.index()] = math::usize_to_u32(list.len());
        list.push(id);
    }

    /// `replica` has the request.
    pub(super) fn remove(&mut self, id: RequestId, replica: usize) {
        let place = self.places[id.index()];
        let list = &mut self.lists[replica];
        list.swap_remove(place as usize);
        if let Some(moved) = list.get(place as usize) {
            self.places[moved.index()] = place;
        }
    }

    pub(super) fn is_empty(&self, replica: usize) -> bool {
        self.lists[replica].is_empty()
    }

    /// All of a replica, by number.
    pub(super) fn take(&mut self, replica: usize) -> Vec<RequestId> {
        let mut list = core::mem::take(&mut self.lists[replica]);
        list.sort_unstable();
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Pcg64;

    #[test]
    fn what_was_added_and_not_removed_is_there() {
        let mut random = Pcg64::new(3);
        let (mut found, mut expect) = (UnderWay::new(3, 50), vec![None; 50]);
        for _ in 0..500 {
            let number = random.integers(0, 49);
            let (id, replica) = (RequestId(number), random.integers(0, 2) as usize);
            match expect[number as usize].take() {
                Some(replica) => found.remove(id, replica),
                None => {
                    found.add(id, replica);
                    expect[number as usize] = Some(replica);
                }
            }
        }
        for replica in 0..3 {
            let of_replica = (0..50_u32).filter(|&number| expect[number as usize] == Some(replica));
            assert_eq!(found.take(replica), of_replica.map(RequestId).collect::<Vec<_>>(), "replica {replica}");
            assert!(found.is_empty(replica), "they were taken");
        }
    }
}
