//! What tensor parallel ranks tell each other in a pass, and what that takes.
//!
//! One device holds one rank's part of every operator and is timed. The collectives are timed apart from it, when the
//! engine starts, over all devices ([`super::gpu::collectives`]), and added to every pass by their number and size.

use anyhow::{Context, Result};
use sim_core::batch::BatchComposition;

use super::device::{Device, DeviceState, PassTimes};
use super::shape::Shape;

/// Bytes of the smallest message that is timed; smaller ones take as long.
const SMALLEST: u64 = 1 << 10;
/// Bytes of an activation.
const NUM_BYTES: u64 = 2;

/// The messages of one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Messages {
    pub(crate) num_all_reduces: u32,
    /// Of each of them.
    pub(crate) all_reduce_bytes: u64,
    /// That each rank sends when logits are gathered.
    pub(crate) all_gather_bytes: u64,
}

impl Messages {
    /// Of a pass of `num_rows` rows, padding included, and `num_reqs` requests, on what `rank` has of a model: the rows
    /// are summed after the embedding and twice in every layer, the logits are gathered.
    pub(crate) fn of_pass(rank: &Shape, num_rows: u32, num_reqs: u32) -> Self {
        Self {
            num_all_reduces: 1 + 2 * rank.num_layers,
            all_reduce_bytes: NUM_BYTES * u64::from(num_rows) * u64::from(rank.hidden),
            all_gather_bytes: NUM_BYTES * u64::from(num_reqs) * u64::from(rank.vocab_per_rank),
        }
    }
}

/// Bytes of the messages that are timed so that any of up to `largest` bytes lies between two of them: powers of two.
pub(crate) fn timed_sizes(largest: u64) -> Vec<u64> {
    let mut sizes = vec![SMALLEST];
    while let Some(&last) = sizes.last().filter(|&&last| last < largest) {
        sizes.push(2 * last);
    }
    sizes
}

/// Microseconds of a collective by bytes, both ascending in bytes; at least one entry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TimesByBytes(Vec<(u64, f64)>);

impl TimesByBytes {
    /// # Errors
    /// If there is no entry, or the sizes do not ascend.
    pub(crate) fn new(entries: Vec<(u64, f64)>) -> Result<Self> {
        anyhow::ensure!(entries.is_sorted_by(|a, b| a.0 < b.0), "sizes of messages do not ascend: {entries:?}");
        entries.first().context("no message was timed")?;
        Ok(Self(entries))
    }

    /// What was timed: bytes and microseconds.
    pub(crate) fn entries(&self) -> &[(u64, f64)] {
        &self.0
    }

    /// Linear between two sizes; as the smallest below it, in proportion above the largest.
    pub(crate) fn microseconds(&self, num_bytes: u64) -> f64 {
        let after = self.0.partition_point(|&(bytes, _)| bytes < num_bytes);
        match (after.checked_sub(1).and_then(|before| self.0.get(before)), self.0.get(after)) {
            (Some(&(low, from)), Some(&(high, to))) => {
                from + (to - from) * (num_bytes - low) as f64 / (high - low) as f64
            }
            (Some(&(most, time)), None) => time * num_bytes as f64 / most as f64,
            (None, Some(&(_, time))) => time,
            (None, None) => 0.0,
        }
    }
}

/// What NCCL takes between some devices.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CollectiveTimes {
    pub(crate) all_reduce: TimesByBytes,
    /// By the bytes that each rank sends.
    pub(crate) all_gather: TimesByBytes,
}

impl CollectiveTimes {
    pub(crate) fn microseconds(&self, messages: Messages) -> f64 {
        f64::from(messages.num_all_reduces) * self.all_reduce.microseconds(messages.all_reduce_bytes)
            + self.all_gather.microseconds(messages.all_gather_bytes)
    }

    /// One line for a profile: the smallest message, a middling and a large one.
    pub(crate) fn summary(&self, num_ranks: u32) -> String {
        let sizes = [(8 << 10, "8 KiB"), (1 << 20, "1 MiB"), (64 << 20, "64 MiB")];
        let times = sizes.map(|(bytes, name)| format!("{name} {:.1} us", self.all_reduce.microseconds(bytes)));
        format!("NCCL all-reduce over {num_ranks} devices: {}", times.join(", "))
    }
}

/// A device with one rank's part of a model, and the time that the ranks' collectives take.
#[derive(Debug)]
pub(crate) struct TensorParallel {
    device: Box<dyn Device>,
    rank: Shape,
    times: CollectiveTimes,
    capture_sizes: Vec<u32>,
}

impl TensorParallel {
    /// `capture_sizes` ascend; passes are padded to them.
    pub(crate) fn new(device: Box<dyn Device>, rank: Shape, times: CollectiveTimes, capture_sizes: Vec<u32>) -> Self {
        Self { device, rank, times, capture_sizes }
    }

    fn messages(&self, batch: &BatchComposition) -> Messages {
        let num_tokens = batch.num_tokens();
        let num_rows = self.capture_sizes.iter().copied().find(|&size| size >= num_tokens).unwrap_or(num_tokens);
        Messages::of_pass(&self.rank, num_rows, batch.num_reqs())
    }
}

impl Device for TensorParallel {
    fn state(&self) -> DeviceState {
        self.device.state()
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the time of a pass")]
    fn time_pass(&mut self, batch: &BatchComposition) -> Result<PassTimes> {
        let times = self.device.time_pass(batch)?;
        let collectives = 1e3 * self.times.microseconds(self.messages(batch));
        Ok(PassTimes { device: times.device + collectives.round() as u64, ..times })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{CollectiveTimes, Messages, TensorParallel, TimesByBytes, timed_sizes};
    use crate::cuda::device::Device as _;
    use crate::cuda::mock::MockDevice;
    use crate::cuda::shape::tests::{llama_8b, shape_of};
    use crate::measure::limits::composition;

    /// 10 us each, and another 10 for every MiB.
    pub(crate) fn times() -> CollectiveTimes {
        let entries = timed_sizes(64 << 20).into_iter().map(|bytes| (bytes, 10.0 + 10.0 * bytes as f64 / 1_048_576.0));
        let times = TimesByBytes::new(entries.collect()).expect("ascending sizes");
        CollectiveTimes { all_reduce: times.clone(), all_gather: times }
    }

    #[track_caller]
    fn check_close(got: f64, expect: f64) {
        assert!((got - expect).abs() < 1e-9 * expect.abs().max(1.0), "{got} instead of {expect}");
    }

    #[test]
    fn a_pass_sums_its_rows_after_the_embedding_and_twice_a_layer() {
        let rank = shape_of(&llama_8b()).expect("a model").rank(4).expect("a rank");
        let messages = Messages::of_pass(&rank, 64, 60);
        let expect =
            Messages { num_all_reduces: 65, all_reduce_bytes: 2 * 64 * 4096, all_gather_bytes: 2 * 60 * 32_064 };
        assert_eq!(messages, expect);
        assert_eq!(Messages::of_pass(&rank, 8192, 256).all_reduce_bytes, 64 << 20);
    }

    #[test]
    fn times_are_read_between_the_sizes_that_were_timed() {
        let times = TimesByBytes::new(vec![(1024, 8.0), (2048, 10.0), (4096, 18.0)]).expect("ascending sizes");
        for (bytes, expect) in [(0, 8.0), (1024, 8.0), (1536, 9.0), (2048, 10.0), (3072, 14.0), (8192, 36.0)] {
            check_close(times.microseconds(bytes), expect);
        }
        assert!(TimesByBytes::new(vec![]).is_err(), "no entry");
        assert!(TimesByBytes::new(vec![(2, 1.0), (2, 1.0)]).is_err(), "the same size twice");
    }

    #[test]
    fn the_timed_sizes_hold_every_message() {
        assert_eq!(timed_sizes(0), [1024]);
        assert_eq!(timed_sizes(1025), [1024, 2048]);
        assert_eq!(timed_sizes(64 << 20).last(), Some(&(64 << 20)));
    }

    #[test]
    fn collectives_are_added_to_what_the_device_takes() {
        let rank = shape_of(&llama_8b()).expect("a model").rank(2).expect("a rank");
        let sizes = vec![1, 2, 4, 8];
        let mut alone = MockDevice::new(sizes.clone(), 0.0, 0);
        let device = Box::new(MockDevice::new(sizes.clone(), 0.0, 0));
        let mut together = TensorParallel::new(device, rank, times(), sizes);
        // Three tokens are padded to four rows.
        let batch = composition(&[], 3, 300);
        let added =
            together.time_pass(&batch).expect("a time").device - alone.time_pass(&batch).expect("a time").device;
        let mib = |bytes: u32| f64::from(bytes) / 1_048_576.0;
        let expect = 65.0 * (10.0 + 10.0 * mib(2 * 4 * 4096)) + 10.0 + 10.0 * mib(2 * 3 * 64_128);
        assert!((added as f64 - expect * 1e3).abs() <= 1.0, "{added} ns instead of {expect} us");
    }

    #[test]
    fn a_profile_names_some_of_them() {
        assert_eq!(times().summary(4), "NCCL all-reduce over 4 devices: 8 KiB 10.1 us, 1 MiB 20.0 us, 64 MiB 650.0 us");
    }
}
