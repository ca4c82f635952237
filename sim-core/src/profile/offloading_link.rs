//! How fast KV blocks go between a device and the host's memory.

use crate::math;
use crate::time::SimDuration;

/// The link of one device to its host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OffloadingLink {
    /// Bytes per second in either direction; above 0, may be infinite.
    pub bandwidth: f64,
    /// What each transfer takes beside its bytes.
    pub latency: SimDuration,
}

impl Default for OffloadingLink {
    /// 16 lanes of `PCIe` 5.0, estimated: 64 GB/s as aiconfigurator's system files have it for H100 and H200, of which
    /// a copy from pinned memory gets 55.6 in the example of NVIDIA's nvbandwidth; 20 us for a transfer's launch and events.
    /// No device was measured by us.
    fn default() -> Self {
        Self { bandwidth: 55e9, latency: SimDuration::from_nanos(20_000) }
    }
}

impl OffloadingLink {
    /// How long a transfer of so many bytes takes that has the link for itself.
    #[must_use]
    pub fn time(&self, num_bytes: u64) -> SimDuration {
        self.latency + SimDuration::from_secs_f64(math::u64_to_f64(num_bytes) / self.bandwidth)
    }
}
