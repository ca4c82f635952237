//! One number for a whole run: equal digests mean equal recordings, natively and under Wasm.
//!
//! Every integer of the recording goes in: passes with their fields in the order of their declaration, then requests, gaps
//! (in the order in which they were recorded) and emissions, each with how many there are, then what was drafted. Counts are
//! taken two to a word. A record's words go round four lanes, and each changes its lane one to one, so that records which
//! differ in a single word never come to the same digest. It guards against accidents, not attacks.

use crate::math;
use crate::metrics::recorder::{EmissionRun, PassRecord, Recording, RequestRecord, SpecDecodingTotals, WeightedGap};

/// The digest of `recording`.
#[must_use]
pub fn digest(recording: &Recording) -> u64 {
    let mut digest = RunningDigest::new(recording);
    recording.passes.iter().for_each(|pass| digest.pass(&pass));
    digest.finish(recording)
}

/// A digest that is being taken by who reads the passes anyway.
#[derive(Debug)]
pub(super) struct RunningDigest(Lanes);

impl RunningDigest {
    /// That of `recording`, of which nothing was read.
    pub(super) fn new(recording: &Recording) -> Self {
        let mut lanes = Lanes::default();
        lanes.write([math::usize_to_u64(recording.passes.len())]);
        Self(lanes)
    }

    /// Takes the next pass.
    #[inline]
    pub(super) fn pass(&mut self, pass: &PassRecord) {
        self.0.write(of_pass(pass));
    }

    /// Takes the rest of `recording`, whose passes were taken.
    pub(super) fn finish(self, recording: &Recording) -> u64 {
        let Self(mut lanes) = self;
        let Recording { passes: _, requests, gaps, emissions, spec_decoding } = recording;
        lanes.write([math::usize_to_u64(requests.len())]);
        requests.iter().for_each(|request| lanes.write(of_request(&request)));
        lanes.write([math::usize_to_u64(gaps.len())]);
        gaps.iter().for_each(|WeightedGap { gap, count }| lanes.write([gap.as_nanos(), u64::from(count)]));
        lanes.write([math::usize_to_u64(emissions.len())]);
        for &EmissionRun { request, first_pass, stride, num_messages } in emissions {
            lanes.write([pair(request, first_pass), pair(stride, num_messages)]);
        }
        let SpecDecodingTotals { num_drafts, num_draft_tokens, num_accepted_tokens, num_accepted_tokens_per_pos } =
            spec_decoding;
        lanes.write([*num_drafts, *num_draft_tokens, *num_accepted_tokens]);
        num_accepted_tokens_per_pos.iter().for_each(|&num_accepted| lanes.write([num_accepted]));
        lanes.finish()
    }
}

const fn pair(first: u32, second: u32) -> u64 {
    (first as u64) << 32 | second as u64
}

// Every field is named, so that a new one cannot be forgotten here.
const fn of_pass(pass: &PassRecord) -> [u64; 10] {
    let &PassRecord {
        schedule_time,
        start_time,
        end_time,
        output_time,
        delivery_time,
        delivery_wait,
        num_tokens,
        num_prefill_tokens,
        num_draft_tokens,
        num_reqs,
        num_outputs,
        num_running_reqs,
        num_waiting_reqs,
        num_free_blocks,
    } = pass;
    [
        schedule_time.as_nanos(),
        start_time.as_nanos(),
        end_time.as_nanos(),
        output_time.as_nanos(),
        delivery_time.as_nanos(),
        delivery_wait.as_nanos(),
        pair(num_tokens, num_prefill_tokens),
        pair(num_draft_tokens, num_reqs),
        pair(num_outputs, num_running_reqs),
        pair(num_waiting_reqs, num_free_blocks),
    ]
}

const fn of_request(request: &RequestRecord) -> [u64; 9] {
    let &RequestRecord {
        scheduled_send_time,
        send_time,
        front_end_wait,
        queued_time,
        first_scheduled_pass,
        first_token_pass,
        last_token_pass,
        num_prompt_tokens,
        num_output_tokens,
        num_cached_tokens,
        num_preemptions,
        num_passes,
        is_finished,
    } = request;
    [
        scheduled_send_time.as_nanos(),
        send_time.as_nanos(),
        front_end_wait.as_nanos(),
        queued_time.as_nanos(),
        pair(first_scheduled_pass, first_token_pass),
        pair(last_token_pass, num_prompt_tokens),
        pair(num_output_tokens, num_cached_tokens),
        pair(num_preemptions, num_passes),
        is_finished as u64,
    ]
}

/// Lanes do not wait for each other, as a single number would for each multiplication.
const NUM_LANES: usize = 4;

/// What the lanes begin with: the golden ratio's fraction times 2^64, one to four times, modulo 2^64.
const SEEDS: [u64; NUM_LANES] =
    [0x9e37_79b9_7f4a_7c15, 0x3c6e_f372_fe94_f82a, 0xdaa6_6d2c_7ddf_743f, 0x78dd_e6e5_fd29_f054];

#[derive(Debug)]
struct Lanes([u64; NUM_LANES]);

impl Default for Lanes {
    fn default() -> Self {
        Self(SEEDS)
    }
}

impl Lanes {
    /// Takes a record, its first word in the first lane.
    #[inline]
    fn write<const N: usize>(&mut self, words: [u64; N]) {
        for (place, word) in words.into_iter().enumerate() {
            let lane = &mut self.0[place % NUM_LANES];
            *lane = mixed(*lane, word);
        }
    }

    fn finish(self) -> u64 {
        self.0.into_iter().fold(0, mixed)
    }
}

/// One to one in each of the two: an odd factor, then the upper half on the lower one.
#[inline]
const fn mixed(lane: u64, word: u64) -> u64 {
    let product = (lane ^ word).wrapping_mul(SEEDS[0]);
    product ^ (product >> 32)
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::time::{SimDuration, SimTime};

    const fn time(nanos: u64) -> SimTime {
        SimTime::from_nanos(nanos)
    }

    /// Two passes, two requests, two gaps, an emission and drafts, all of numbers that differ.
    fn recording() -> Recording {
        let pass = |n: u32| PassRecord {
            schedule_time: time(u64::from(n)),
            num_tokens: n + 1,
            num_free_blocks: n + 2,
            ..PassRecord::default()
        };
        let request =
            |n: u32| RequestRecord { num_prompt_tokens: n, num_output_tokens: n + 3, ..RequestRecord::default() };
        let gap = |n: u32| WeightedGap { gap: SimDuration::from_nanos(u64::from(n)), count: n + 5 };
        Recording {
            passes: [10, 20].map(pass).into_iter().collect(),
            requests: [30, 40].map(request).into_iter().collect(),
            gaps: [50, 60].map(gap).into_iter().collect(),
            emissions: vec![EmissionRun { request: 1, first_pass: 2, stride: 3, num_messages: 4 }],
            spec_decoding: SpecDecodingTotals {
                num_drafts: 5,
                num_draft_tokens: 6,
                num_accepted_tokens: 7,
                num_accepted_tokens_per_pos: vec![8, 9],
            },
        }
    }

    /// The digest of [`recording`] once `change` has seen its second pass and request.
    fn changed(change: impl Fn(&mut PassRecord, &mut RequestRecord)) -> u64 {
        let mut recording = recording();
        let (mut pass, mut request) = (PassRecord::default(), RequestRecord::default());
        if let (Some(second), Some(other)) = (recording.passes.get(1), recording.requests.get(1)) {
            (pass, request) = (second, other);
        }
        change(&mut pass, &mut request);
        recording.passes.change(|index, row| *row = if index == 1 { pass } else { *row });
        recording.requests.change(|index, row| *row = if index == 1 { request } else { *row });
        digest(&recording)
    }

    #[test]
    fn no_number_of_a_record_can_change_unseen() {
        let changes: Vec<fn(&mut PassRecord, &mut RequestRecord)> = vec![
            |_, _| (),
            |pass, _| pass.schedule_time = time(99),
            |pass, _| pass.start_time = time(99),
            |pass, _| pass.end_time = time(99),
            |pass, _| pass.output_time = time(99),
            |pass, _| pass.delivery_time = time(99),
            |pass, _| pass.delivery_wait = SimDuration::from_nanos(99),
            |pass, _| pass.num_tokens += 1,
            |pass, _| pass.num_prefill_tokens += 1,
            |pass, _| pass.num_draft_tokens += 1,
            |pass, _| pass.num_reqs += 1,
            |pass, _| pass.num_outputs += 1,
            |pass, _| pass.num_running_reqs += 1,
            |pass, _| pass.num_waiting_reqs += 1,
            |pass, _| pass.num_free_blocks += 1,
            |_, request| request.scheduled_send_time = time(99),
            |_, request| request.send_time = time(99),
            |_, request| request.front_end_wait = SimDuration::from_nanos(99),
            |_, request| request.queued_time = time(99),
            |_, request| request.first_scheduled_pass += 1,
            |_, request| request.first_token_pass += 1,
            |_, request| request.last_token_pass += 1,
            |_, request| request.num_prompt_tokens += 1,
            |_, request| request.num_output_tokens += 1,
            |_, request| request.num_cached_tokens += 1,
            |_, request| request.num_preemptions += 1,
            |_, request| request.num_passes += 1,
            |_, request| request.is_finished = true,
        ];
        let mut digests: Vec<u64> = changes.iter().map(changed).collect();
        let other = |change: fn(&mut Recording)| {
            let mut recording = recording();
            change(&mut recording);
            digest(&recording)
        };
        digests.extend([
            other(|recording| recording.passes.truncate(1)),
            other(|recording| recording.requests.truncate(1)),
            other(|recording| recording.gaps.truncate(1)),
            other(|recording| recording.gaps.change(|index, gap| gap.count += u32::from(index == 0))),
            other(|recording| recording.emissions[0].first_pass += 1),
            other(|recording| recording.emissions[0].num_messages += 1),
            other(|recording| recording.emissions.clear()),
            other(|recording| recording.spec_decoding.num_drafts += 1),
            other(|recording| recording.spec_decoding.num_accepted_tokens_per_pos[1] += 1),
        ]);
        let all = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), all, "each change has a digest of its own");
    }
}
