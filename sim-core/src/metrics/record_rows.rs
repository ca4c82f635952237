//! Records as columns that pack well (`packed.rs`): instants as what is between them, counts as they are.

use super::packed::{Piece, Row};
use super::packed_block::ROWS;
use super::records::{PassRecord, PassRecords, RequestRecord, WeightedGap};
use crate::math;
use crate::time::{SimDuration, SimTime};

const SCHEDULE: usize = 0;
/// From [`SCHEDULE`].
const DELIVERY: usize = 1;
/// Until [`DELIVERY`].
const OUTPUT: usize = 2;
const DELIVERY_WAIT: usize = 3;
const NUM_OUTPUTS: usize = 10;

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
        self.part(
            math::u32_to_usize(index),
            |pass| pass.schedule_time,
            |block, place| SimTime::from_nanos(block.value(SCHEDULE, place)),
        )
    }

    /// When the clients hold its tokens.
    pub(crate) fn delivery_time(&self, index: u32) -> Option<SimTime> {
        self.part(
            math::u32_to_usize(index),
            |pass| pass.delivery_time,
            |block, place| after(SimTime::from_nanos(block.value(SCHEDULE, place)), block.value(DELIVERY, place)),
        )
    }

    /// When clients hold the tokens of each pass, and of how many requests these are.
    pub(super) fn for_each_delivery(&self, mut visit: impl FnMut(SimTime, u32)) {
        let [mut schedule, mut delivery, mut num_outputs] = [[0; ROWS]; 3];
        for piece in self.pieces() {
            match piece {
                Piece::Rows(passes) => passes.iter().for_each(|pass| visit(pass.delivery_time, pass.num_outputs)),
                Piece::Block(block) => {
                    block.read_column(SCHEDULE, &mut schedule);
                    block.read_column(DELIVERY, &mut delivery);
                    block.read_column(NUM_OUTPUTS, &mut num_outputs);
                    for ((&schedule, &delivery), &count) in schedule.iter().zip(&delivery).zip(&num_outputs) {
                        visit(after(SimTime::from_nanos(schedule), delivery), math::low_u32(count));
                    }
                }
            }
        }
    }

    /// When its tokens came out, and when clients hold them.
    pub(super) fn token_times(&self, index: u32) -> Option<TokenTimes> {
        let of_row = |pass: &PassRecord| {
            let &PassRecord { output_time, delivery_time, delivery_wait, .. } = pass;
            TokenTimes { output_time, delivery_time, delivery_wait }
        };
        self.part(math::u32_to_usize(index), of_row, |block, place| {
            let schedule_time = SimTime::from_nanos(block.value(SCHEDULE, place));
            let delivery_time = after(schedule_time, block.value(DELIVERY, place));
            TokenTimes {
                output_time: before(delivery_time, block.value(OUTPUT, place)),
                delivery_time,
                delivery_wait: SimDuration::from_nanos(block.value(DELIVERY_WAIT, place)),
            }
        })
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
    use alloc::vec::Vec;

    use super::*;
    use crate::metrics::packed::Packed;

    /// Numbers of one bit to all 64.
    fn number(index: usize) -> u64 {
        let index = math::usize_to_u64(index);
        let shift = u32::try_from(index * 7 % 64).unwrap_or(0);
        index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift
    }

    #[track_caller]
    fn check<R: Row<N> + PartialEq + core::fmt::Debug, const N: usize>(what: &str, of_column: fn(usize, usize) -> u64) {
        // What a record holds of a number, it holds for ever.
        let row = |index| R::from_columns(R::from_columns(core::array::from_fn(|c| of_column(index, c))).to_columns());
        let rows: Vec<R> = (0..700).map(row).collect();
        let mut packed: Packed<R, N> = rows.iter().copied().collect();
        packed.pack();
        assert_eq!(packed.to_vec(), rows, "{what}: in order");
        assert!((0..700).all(|i| packed.get(i) == Some(rows[i])), "{what}: one by one");
        assert_eq!((packed.get(700), packed.len()), (None, 700), "{what}: no more");
        for column in [0, N - 1] {
            let of_row = |row: &R| row.to_columns()[column];
            let places = (0..700).map(|i| packed.part(i, of_row, |block, place| block.value(column, place)));
            assert!(places.eq(rows.iter().map(|row| Some(of_row(row)))), "{what}: column {column}");
        }
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        let columns: [fn(usize, usize) -> u64; 3] = [
            |index, column| number(index + column),
            |index, column| if column % 3 == 0 { number(index + column) } else { 7 },
            |_, column| number(column),
        ];
        for of_column in columns {
            check::<PassRecord, 14>("passes", of_column);
            check::<RequestRecord, 13>("requests", of_column);
            check::<WeightedGap, 2>("gaps", of_column);
        }
    }

    fn gaps(len: u32) -> Packed<WeightedGap, 2> {
        (0..len).map(|count| WeightedGap { gap: SimDuration::from_nanos(5), count }).collect()
    }

    #[test]
    fn what_is_packed_can_be_changed() {
        let mut gaps = gaps(300);
        gaps.pack();
        gaps.row_mut(129).expect("a row").gap = SimDuration::from_nanos(u64::MAX);
        gaps.change(|index, gap| gap.count += u32::from(index == 200));
        gaps.truncate(257);
        gaps.push(WeightedGap::default());
        let seen = [0, 128, 129, 200, 256, 257, 258].map(|i| gaps.get(i).map(|gap| (gap.gap.as_nanos(), gap.count)));
        let expect =
            [Some((5, 0)), Some((5, 128)), Some((u64::MAX, 129)), Some((5, 201)), Some((5, 256)), Some((0, 0)), None];
        assert_eq!(seen, expect, "rows by number");
        let counts: Vec<u32> = gaps.iter().skip(250).map(|gap| gap.count).collect();
        assert_eq!(counts, [250, 251, 252, 253, 254, 255, 256, 0], "from the middle on");
    }

    #[test]
    fn rows_that_were_never_touched_are_defaults_and_forgotten_ones_are_gone() {
        assert_eq!(Packed::<WeightedGap, 2>::with_len(300).to_vec(), [WeightedGap::default(); 300], "few untouched");
        let mut gaps: Packed<WeightedGap, 2> = Packed::in_blocks(300);
        assert_eq!(gaps.to_vec(), [WeightedGap::default(); 300], "untouched");
        gaps.row_mut(299).expect("the last").count = 3;
        (0..128).for_each(|index| {
            gaps.row_mut(index).expect("a row").count = 1;
            gaps.settle_and_forget(index);
        });
        assert_eq!(
            [0, 127, 128, 299].map(|i| gaps.get(i).map(|gap| gap.count)),
            [None, None, Some(0), Some(3)],
            "rows"
        );
        assert_eq!(gaps.first_kept(0), 128, "the first block is gone");
        assert_eq!(gaps.open_rows(0).map(<[_]>::len).collect::<Vec<_>>(), [44], "the last block may change");
    }

    #[test]
    fn many_rows_are_packed_while_they_come() {
        let (few, many) = (gaps(500_000), gaps(600_000));
        assert_eq!((few.is_packed(), many.is_packed()), (false, true), "few stay as they are");
        assert!(few.iter().map(|gap| gap.count).eq(0..500_000), "each of few is there");
        assert_eq!(many.open_rows(0).count(), 1, "of many the last block");
        assert!(many.iter().map(|gap| gap.count).eq(0..600_000), "each is there");
    }

    #[test]
    fn deliveries_are_those_of_the_rows() {
        let row = |index| PassRecord::from_columns(core::array::from_fn(|column| number(index + column)));
        let mut passes: PassRecords = (0..700).map(row).collect();
        let expect: Vec<(SimTime, u32)> = passes.iter().map(|pass| (pass.delivery_time, pass.num_outputs)).collect();
        for what in ["as they are", "packed"] {
            let mut deliveries = Vec::new();
            passes.for_each_delivery(|time, num_outputs| deliveries.push((time, num_outputs)));
            assert_eq!(deliveries, expect, "{what}");
            passes.pack();
        }
    }
}
