//! How late tokens go out: from when a client should have them until they are written to its connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in microseconds; above the last is one bucket more.
const BOUNDS_US: [u64; 12] = [250, 500, 1000, 2000, 3000, 4000, 5000, 10_000, 20_000, 50_000, 100_000, 1_000_000];

/// Messages by lateness, in real time.
#[derive(Debug, Default)]
pub(crate) struct Lateness {
    counts: [AtomicU64; BOUNDS_US.len() + 1],
}

impl Lateness {
    /// Counts a message.
    pub(crate) fn note(&self, late: Duration) {
        let late_us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.counts[BOUNDS_US.partition_point(|bound| *bound < late_us)].fetch_add(1, Ordering::Relaxed);
    }

    /// As a family of `/metrics`, of our own: vLLM has none.
    pub(crate) fn exposition(&self) -> String {
        use std::fmt::Write as _;
        let mut out = "# HELP profiler:emulated_token_lateness_seconds How late messages were written, real time.\n\
                       # TYPE profiler:emulated_token_lateness_seconds histogram\n"
            .to_owned();
        let mut total = 0;
        for (place, count) in self.counts.iter().enumerate() {
            total += count.load(Ordering::Relaxed);
            let bound = BOUNDS_US.get(place).map_or("+Inf".to_owned(), |bound| format!("{:?}", *bound as f64 / 1e6));
            // Writing into a string cannot fail.
            writeln!(out, "profiler:emulated_token_lateness_seconds_bucket{{le=\"{bound}\"}} {total}.0")
                .unwrap_or_default();
        }
        writeln!(out, "profiler:emulated_token_lateness_seconds_count {total}.0").unwrap_or_default();
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up() {
        let lateness = Lateness::default();
        [0, 250, 251, 5_000_000].map(Duration::from_micros).into_iter().for_each(|late| lateness.note(late));
        let text = lateness.exposition();
        for expect in ["le=\"0.00025\"} 2.0", "le=\"0.0005\"} 3.0", "le=\"1.0\"} 3.0", "le=\"+Inf\"} 4.0", "_count 4.0"]
        {
            assert!(text.contains(expect), "{expect}\n{text}");
        }
    }
}
