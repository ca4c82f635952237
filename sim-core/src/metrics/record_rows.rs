//! Records as columns that pack well (`packed.rs`): instants as what is between them, counts as they are.

use super::packed::Row;
use super::records::{PassRecord, PassRecords, RequestRecord, WeightedGap};
use crate::math;
use crate::time::{SimDuration, SimTime};

const SCHEDULE: usize = 0;
/// From [`SCHEDULE`].
const DELIVERY: usize = 1;
/// Until [`DELIVERY`].
const OUTPUT: usize = 2;
const DELIVERY_WAIT: usize = 3;

/// From `earlier` to `later`, which goes round below zero: [`after`] comes back from there.
const fn between(earlier: SimTime, later: SimTime) -> u64 {
    later.as_nanos().wrapping_sub(earlier.as_nanos())
}

const fn after(earlier: SimTime, nanos: u64) -> SimTime {
    SimTime::from_nanos(earlier.as_nanos().wrapping_add(nanos))
}

const fn before(later: SimTime, nanos: u64) -> SimTime {
    SimTime::from_nanos(later.as_nanos().wrapping_sub(nanos))
}

const fn count_between(smaller: u32, larger: u32) -> u64 {
    larger.wrapping_sub(smaller) as u64
}

const fn count_after(smaller: u32, columns: u64) -> u32 {
    smaller.wrapping_add(math::low_u32(columns))
}

impl Row<14> for PassRecord {
    #[inline]
    fn to_columns(&self) -> [u64; 14] {
        let &Self {
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
        } = self;
        [
            schedule_time.as_nanos(),
            between(schedule_time, delivery_time),
            between(output_time, delivery_time),
            delivery_wait.as_nanos(),
            between(end_time, output_time),
            between(start_time, end_time),
            count_between(num_prefill_tokens, num_tokens),
            u64::from(num_prefill_tokens),
            u64::from(num_draft_tokens),
            u64::from(num_reqs),
            u64::from(num_outputs),
            u64::from(num_running_reqs),
            u64::from(num_waiting_reqs),
            u64::from(num_free_blocks),
        ]
    }

    #[inline]
    fn from_columns(columns: [u64; 14]) -> Self {
        let [schedule, delivery, output, wait, end, start, tokens, prefill, drafts, counts @ ..] = columns;
        let [reqs, outputs, running, waiting, free] = counts.map(math::low_u32);
        let schedule_time = SimTime::from_nanos(schedule);
        let delivery_time = after(schedule_time, delivery);
        let output_time = before(delivery_time, output);
        let end_time = before(output_time, end);
        let num_prefill_tokens = math::low_u32(prefill);
        Self {
            schedule_time,
            start_time: before(end_time, start),
            end_time,
            output_time,
            delivery_time,
            delivery_wait: SimDuration::from_nanos(wait),
            num_tokens: count_after(num_prefill_tokens, tokens),
            num_prefill_tokens,
            num_draft_tokens: math::low_u32(drafts),
            num_reqs: reqs,
            num_outputs: outputs,
            num_running_reqs: running,
            num_waiting_reqs: waiting,
            num_free_blocks: free,
        }
    }
}

/// What a pass means to a request that had its first or last token from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenTimes {
    pub(super) output_time: SimTime,
    pub(super) delivery_time: SimTime,
    pub(super) delivery_wait: SimDuration,
}

impl PassRecords {
    /// When the pass of this index was scheduled.
    pub(super) fn schedule_time(&self, index: u32) -> Option<SimTime> {
        let [schedule] = self.columns(math::u32_to_usize(index), [SCHEDULE])?;
        Some(SimTime::from_nanos(schedule))
    }

    /// When the clients hold its tokens.
    pub(super) fn delivery_time(&self, index: u32) -> Option<SimTime> {
        let [schedule, delivery] = self.columns(math::u32_to_usize(index), [SCHEDULE, DELIVERY])?;
        Some(after(SimTime::from_nanos(schedule), delivery))
    }

    /// When its tokens came out, and when clients hold them.
    pub(super) fn token_times(&self, index: u32) -> Option<TokenTimes> {
        let which = [SCHEDULE, DELIVERY, OUTPUT, DELIVERY_WAIT];
        let [schedule, delivery, output, wait] = self.columns(math::u32_to_usize(index), which)?;
        let delivery_time = after(SimTime::from_nanos(schedule), delivery);
        let output_time = before(delivery_time, output);
        Some(TokenTimes { output_time, delivery_time, delivery_wait: SimDuration::from_nanos(wait) })
    }
}

impl Row<13> for RequestRecord {
    #[inline]
    fn to_columns(&self) -> [u64; 13] {
        let &Self {
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
        } = self;
        [
            scheduled_send_time.as_nanos(),
            between(scheduled_send_time, send_time),
            front_end_wait.as_nanos(),
            between(send_time, queued_time),
            u64::from(first_scheduled_pass),
            count_between(first_scheduled_pass, first_token_pass),
            count_between(first_token_pass, last_token_pass),
            u64::from(num_prompt_tokens),
            u64::from(num_output_tokens),
            u64::from(num_cached_tokens),
            u64::from(num_preemptions),
            u64::from(num_passes),
            u64::from(is_finished),
        ]
    }

    #[inline]
    fn from_columns(columns: [u64; 13]) -> Self {
        let [scheduled, send, wait, queued, scheduled_pass, first, last, counts @ .., finished] = columns;
        let [prompt, output, cached, preemptions, passes] = counts.map(math::low_u32);
        let scheduled_send_time = SimTime::from_nanos(scheduled);
        let send_time = after(scheduled_send_time, send);
        let first_scheduled_pass = math::low_u32(scheduled_pass);
        let first_token_pass = count_after(first_scheduled_pass, first);
        Self {
            scheduled_send_time,
            send_time,
            front_end_wait: SimDuration::from_nanos(wait),
            queued_time: after(send_time, queued),
            first_scheduled_pass,
            first_token_pass,
            last_token_pass: count_after(first_token_pass, last),
            num_prompt_tokens: prompt,
            num_output_tokens: output,
            num_cached_tokens: cached,
            num_preemptions: preemptions,
            num_passes: passes,
            is_finished: finished != 0,
        }
    }
}

impl Row<2> for WeightedGap {
    #[inline]
    fn to_columns(&self) -> [u64; 2] {
        [self.gap.as_nanos(), u64::from(self.count)]
    }

    #[inline]
    fn from_columns([gap, count]: [u64; 2]) -> Self {
        Self { gap: SimDuration::from_nanos(gap), count: math::low_u32(count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::packed::Packed;

    /// Numbers that go from none to all bits, and back.
    fn number(index: u64) -> u64 {
        let shift = u32::try_from(index * 7 % 64).unwrap_or(0);
        index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift
    }

    #[track_caller]
    fn check<R: Row<N> + PartialEq + core::fmt::Debug, const N: usize>(what: &str) {
        for of_all in [true, false] {
            // What a record holds of a number, it holds for ever.
            let row = |index: u64| {
                let columns = core::array::from_fn(|column| if of_all || column % 3 == 0 { number(index + column as u64) } else { 7 });
                R::from_columns(R::from_columns(columns).to_columns())
            };
            let rows: alloc::vec::Vec<R> = (0..700).map(row).collect();
            let mut packed: Packed<R, N> = rows.iter().copied().collect();
            packed.pack();
            assert!(packed.iter().eq(rows.iter().copied()), "{what}: in order");
            assert!((0..700).all(|i| packed.get(i) == Some(rows[i])), "{what}: one by one");
            assert_eq!((packed.get(700), packed.len()), (None, 700), "{what}: no more");
            let places = (0..700).map(|i| packed.columns(i, [N - 1, 0]));
            let expect = rows.iter().map(|row| row.to_columns()).map(|columns| Some([columns[N - 1], columns[0]]));
            assert!(places.eq(expect), "{what}: column by column");
        }
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        check::<PassRecord, 14>("passes");
        check::<RequestRecord, 13>("requests");
        check::<WeightedGap, 2>("gaps");
    }

    #[test]
    fn what_is_packed_can_be_changed() {
        let mut gaps: Packed<WeightedGap, 2> =
            (0..300).map(|i| WeightedGap { gap: SimDuration::from_nanos(5), count: i }).collect();
        gaps.pack();
        gaps.row_mut(129).expect("a row").gap = SimDuration::from_nanos(u64::MAX);
        gaps.change(|index, gap| gap.count += u32::from(index == 200));
        gaps.truncate(257);
        gaps.push(WeightedGap::default());
        let seen = [0, 128, 129, 200, 256, 257, 258].map(|i| gaps.get(i).map(|gap| (gap.gap.as_nanos(), gap.count)));
        let expect = [Some((5, 0)), Some((5, 128)), Some((u64::MAX, 129)), Some((5, 201)), Some((5, 256)), Some((0, 0)), None];
        assert_eq!(seen, expect, "rows by number");
        assert_eq!(gaps.iter().skip(250).map(|gap| gap.count).collect::<alloc::vec::Vec<_>>(), [250, 251, 252, 253, 254, 255, 256, 0], "from the middle on");
    }
}
