//! One number for a whole run: equal digests mean equal recordings, natively and under Wasm.
//!
//! 64-bit FNV-1a (offset basis 0xcbf29ce484222325, prime 0x100000001b3) over every integer of the recording as eight
//! little-endian bytes: number of passes, then each pass's fields in the order of their declaration; the same for
//! requests, gaps (in the order in which they were recorded) and emissions; then, if drafts were verified, their totals. It guards against accidents, not attacks.

use crate::math;
use crate::metrics::recorder::{EmissionRun, PassRecord, Recording, RequestRecord, SpecDecodingTotals, WeightedGap};
use crate::time::SimDuration;

/// The digest of `recording`.
#[must_use]
pub fn digest(recording: &Recording) -> u64 {
    let Recording { passes, requests, gaps, emissions, spec_decoding } = recording;
    let mut hash = Fnv1a::new();
    hash.write(math::usize_to_u64(passes.len()));
    passes.iter().for_each(|pass| hash.pass(&pass));
    hash.write(math::usize_to_u64(requests.len()));
    requests.iter().for_each(|request| hash.request(&request));
    hash.write(math::usize_to_u64(gaps.len()));
    gaps.iter().for_each(|WeightedGap { gap, count }| {
        hash.write(gap.as_nanos());
        hash.write(u64::from(count));
    });
    hash.write(math::usize_to_u64(emissions.len()));
    for &EmissionRun { request, first_pass, stride, num_messages } in emissions {
        hash.write_all([request, first_pass, stride, num_messages]);
    }
    // A run without drafts has the digest that it had before there were any.
    let SpecDecodingTotals { num_drafts, num_draft_tokens, num_accepted_tokens, num_accepted_tokens_per_pos } =
        spec_decoding;
    if *num_drafts > 0 {
        for &total in [num_drafts, num_draft_tokens, num_accepted_tokens].into_iter().chain(num_accepted_tokens_per_pos)
        {
            hash.write(total);
        }
    }
    hash.0
}

/// Powers of the algorithm's prime, modulo 2^64.
const POWERS: [u64; 9] = {
    let mut powers = [1_u64; 9];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1].wrapping_mul(0x0100_0000_01b3);
        exponent += 1;
    }
    powers
};

struct Fnv1a(u64);

impl Fnv1a {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    const fn write(&mut self, number: u64) {
        let (mut rest, mut num_left) = (number, 8);
        while rest != 0 {
            self.0 = (self.0 ^ (rest & 0xff)).wrapping_mul(POWERS[1]);
            rest >>= 8;
            num_left -= 1;
        }
        // What is left are zero bytes, which only multiply.
        self.0 = self.0.wrapping_mul(POWERS[num_left]);
    }

    fn write_all<const N: usize>(&mut self, numbers: [u32; N]) {
        for number in numbers {
            self.write(u64::from(number));
        }
    }

    // Every field is named, so that a new one cannot be forgotten here.
    fn pass(&mut self, pass: &PassRecord) {
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
        for time in [schedule_time, start_time, end_time, output_time, delivery_time] {
            self.write(time.as_nanos());
        }
        self.write_all([num_tokens, num_prefill_tokens, num_reqs, num_outputs]);
        self.write_all([num_running_reqs, num_waiting_reqs, num_free_blocks]);
        // Runs without drafts keep the digests they had before there were any.
        if num_draft_tokens > 0 {
            self.write_all([num_draft_tokens]);
        }
        self.wait(delivery_wait);
    }

    /// A run in which nobody waits for the front end has the digest that it had before anybody could.
    fn wait(&mut self, wait: SimDuration) {
        if wait > SimDuration::ZERO {
            self.write(wait.as_nanos());
        }
    }

    fn request(&mut self, request: &RequestRecord) {
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
        for time in [scheduled_send_time, send_time, queued_time] {
            self.write(time.as_nanos());
        }
        self.write_all([first_scheduled_pass, first_token_pass, last_token_pass]);
        self.write_all([num_prompt_tokens, num_output_tokens, num_cached_tokens]);
        self.write_all([num_preemptions, num_passes, u32::from(is_finished)]);
        self.wait(front_end_wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_hashed_as_the_published_algorithm_does() {
        // FNV-1a of "foobar" is 0x85944171f73967e8; the rest is two zero bytes, which only multiply.
        let mut hash = Fnv1a::new();
        hash.write(u64::from_le_bytes(*b"foobar\0\0"));
        let expect = 0x8594_4171_f739_67e8_u64.wrapping_mul(0x0100_0000_01b3).wrapping_mul(0x0100_0000_01b3);
        assert_eq!(hash.0, expect, "FNV-1a of foobar and two zeros");
    }
}
