//! One engine's part of the recording of several, as if it had been alone.

use alloc::vec::Vec;
use core::ops::Range;

use crate::math;
use crate::metrics::recorder::{Recording, RequestRecord};

impl Recording {
    /// The passes of `passes`, which are one engine's, and the requests of `owned` that had all of theirs there, in that
    /// order. Those that moved on between engines are left out, and so are gaps, emissions and drafts.
    #[must_use]
    pub fn engine_part(&self, passes: Range<usize>, owned: &[u32]) -> Self {
        let first = math::usize_to_u32(passes.start);
        let mut part = Self::default();
        passes.clone().filter_map(|pass| self.passes.get(pass)).for_each(|pass| part.passes.push(pass));
        let is_inside = |request: &RequestRecord| {
            let ends = [request.first_scheduled_pass, request.first_token_pass, request.last_token_pass];
            ends.iter().all(|&pass| passes.contains(&math::u32_to_usize(pass)))
        };
        let records = owned.iter().filter_map(|&index| self.requests.get(math::u32_to_usize(index)));
        for request in records.filter(is_inside) {
            part.requests.push(RequestRecord {
                first_scheduled_pass: request.first_scheduled_pass - first,
                first_token_pass: request.first_token_pass - first,
                last_token_pass: request.last_token_pass - first,
                ..request
            });
        }
        part
    }
}

/// The requests of each of so many engines: numbers by engine, from the engine of each.
#[must_use]
pub fn by_owner(owners: &[u32], num_engines: usize) -> Vec<Vec<u32>> {
    let mut owned = alloc::vec![Vec::new(); num_engines];
    for (request, &owner) in (0..).zip(owners) {
        if let Some(requests) = owned.get_mut(math::u32_to_usize(owner)) {
            requests.push(request);
        }
    }
    owned
}
