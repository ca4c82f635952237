//! When each message of each request reached the client: what per-request inter-token latencies are made of.

use alloc::vec;
use alloc::vec::Vec;

use crate::math;
use crate::metrics::recorder::{EmissionRun, Recording};
use crate::time::{SimDuration, SimTime};

/// The emissions of a recording, by request.
#[derive(Debug, Clone)]
pub struct EmissionIndex<'a> {
    recording: &'a Recording,
    /// Indices of runs: request by request, in time order.
    runs: Vec<u32>,
    /// Where a request's runs begin in `runs`; one more than requests.
    starts: Vec<u32>,
}

impl<'a> EmissionIndex<'a> {
    /// Sorts the emissions of `recording` by request, in linear time. Runs of unknown requests are left out.
    ///
    /// # Panics
    /// If there are 2^32 runs or more.
    #[must_use]
    pub fn new(recording: &'a Recording) -> Self {
        let slot = |run: &EmissionRun| usize::try_from(run.request).unwrap_or(usize::MAX);
        let mut starts = vec![0u32; recording.requests.len() + 1];
        let (counts, _) = starts.split_at_mut(recording.requests.len());
        for run in &recording.emissions {
            if let Some(count) = counts.get_mut(slot(run)) {
                *count += 1;
            }
        }
        let mut total = 0;
        for start in &mut starts {
            total += core::mem::replace(start, total);
        }
        let mut next = starts.clone();
        let mut runs = vec![0; usize::try_from(total).unwrap_or(0)];
        for (index, run) in recording.emissions.iter().enumerate() {
            let known = slot(run) < recording.requests.len();
            if let Some(next) = next.get_mut(slot(run)).filter(|_| known) {
                runs[usize::try_from(*next).unwrap_or(usize::MAX)] = math::usize_to_u32(index);
                *next += 1;
            }
        }
        Self { recording, runs, starts }
    }

    /// When the client held each token of the request of index `request`.
    pub fn delivery_times(&self, request: usize) -> impl Iterator<Item = SimTime> + '_ {
        let start = |i: usize| self.starts.get(i).and_then(|&start| usize::try_from(start).ok());
        let range = start(request).zip(start(request.saturating_add(1))).map(|(from, to)| from..to);
        let runs = range.and_then(|range| self.runs.get(range)).unwrap_or_default();
        runs.iter()
            .filter_map(|&run| self.recording.emissions.get(usize::try_from(run).ok()?))
            .flat_map(|run| {
                (0..run.num_messages).map(move |i| run.first_pass.saturating_add(i.saturating_mul(run.stride)))
            })
            .filter_map(|pass| self.recording.passes.delivery_time(pass))
    }

    /// The inter-token latencies of the request of index `request`, in order.
    pub fn itls(&self, request: usize) -> impl Iterator<Item = SimDuration> + '_ {
        let mut previous = None;
        self.delivery_times(request).filter_map(move |time| Some(time.saturating_since(previous.replace(time)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::recorder::{PassRecord, RequestRecord};

    /// Three requests, and ten passes delivered every 100 ns; each emission is a request, its first pass, the stride
    /// and the number of messages.
    fn recording(emissions: &[(u32, u32, u32, u32)]) -> Recording {
        let pass = |i: u64| PassRecord { delivery_time: SimTime::from_nanos(100 * i), ..PassRecord::default() };
        let run = |&(request, first_pass, stride, num_messages): &(u32, u32, u32, u32)| EmissionRun {
            request,
            first_pass,
            stride,
            num_messages,
        };
        Recording {
            passes: (0..10).map(pass).collect(),
            requests: vec![RequestRecord::default(); 3].into(),
            emissions: emissions.iter().map(run).collect(),
            ..Recording::default()
        }
    }

    #[test]
    fn interleaved_runs_give_each_request_its_own_latencies() {
        let recording =
            recording(&[(2, 0, 1, 2), (0, 2, 1, 2), (2, 4, 2, 3), (0, 7, 1, 1), (9, 0, 1, 1), (0, 9, 1, 1)]);
        let index = EmissionIndex::new(&recording);
        let itls = |request| index.itls(request).map(SimDuration::as_nanos).collect::<Vec<_>>();
        assert_eq!(itls(0), [100, 400, 200], "request 0");
        assert!(itls(1).is_empty(), "request 1 has no tokens");
        assert_eq!(itls(2), [100, 300, 200, 200], "request 2");
        assert!(itls(9).is_empty(), "no such request");
    }
}
