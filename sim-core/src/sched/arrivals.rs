//! In which order requests came, where their workload cannot know it: whoever waits for an answer comes when that has come.

use alloc::vec;
use alloc::vec::Vec;

use crate::request::RequestId;
use crate::request_set::{InLine, RequestSet};

/// Places in the order of arrival.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// By request; empty where [`InLine::arrival_order`] says it.
    places: Vec<u64>,
    num_arrived: u64,
}

impl Arrivals {
    pub(super) fn new(requests: &RequestSet) -> Self {
        let places = if requests.come_in_any_order() { vec![0; requests.len()] } else { Vec::new() };
        Self { places, num_arrived: 0 }
    }

    /// The request comes now.
    pub(super) fn note(&mut self, id: RequestId) {
        if let Some(place) = self.places.get_mut(id.index()) {
            *place = self.num_arrived;
            self.num_arrived += 1;
        }
    }

    /// A request's place in queues.
    pub(super) fn in_line(&self, requests: &RequestSet, id: RequestId) -> InLine {
        let mut in_line = requests.in_line(id);
        if let Some(&place) = self.places.get(id.index()) {
            in_line.arrival_order = place;
        }
        in_line
    }
}
