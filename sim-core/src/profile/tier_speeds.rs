//! How fast tiers behind the host's memory are: files and objects that KV blocks are kept in.

use crate::time::SimDuration;

/// One tier. Reads share their bandwidth with each other, and so do writes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TierSpeed {
    /// Bytes per second that all reads get together; above 0, may be infinite.
    pub read_bandwidth: f64,
    /// The same of writes.
    pub write_bandwidth: f64,
    /// What each file or object of a transfer takes beside its bytes.
    pub latency: SimDuration,
    /// How long it takes to find out whether a file or object is there.
    pub lookup_latency: SimDuration,
}

/// Tiers on the host itself, and tiers behind a network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TierSpeeds {
    /// On the host itself.
    pub local: TierSpeed,
    /// Behind a network.
    pub remote: TierSpeed,
}

impl Default for TierSpeeds {
    /// Estimated, and measured by nobody here: of an `NVMe` drive and of a file system in the network the bandwidths that
    /// stand in comments of vLLM's `tiering/backpressure.py` (about 5 GB/s written, about 1.5 GB/s), reads of the drive as
    /// `PCIe` 4.0 drives state them; latencies are of the usual order.
    fn default() -> Self {
        let of_micros = |micros: u64| SimDuration::from_nanos(1000 * micros);
        Self {
            local: TierSpeed {
                read_bandwidth: 7e9,
                write_bandwidth: 5e9,
                latency: of_micros(100),
                lookup_latency: of_micros(5),
            },
            remote: TierSpeed {
                read_bandwidth: 1.5e9,
                write_bandwidth: 1.5e9,
                latency: of_micros(2000),
                lookup_latency: of_micros(500),
            },
        }
    }
}
