//! Decode attention whose times only a warm L2 cache explains.
//!
//! The source times one layer's keys and values again and again. As long as they fit into the L2 cache, they come from
//! there, and that says nothing about a model, whose layers take turns: on an L40S (96 MB of L2) such times imply up to 2.3
//! times the bandwidth of its memory, on an RTX PRO 6000 (128 MB) 1.5 times. They are raised to what reading as many
//! bytes takes at the best rate that caches too large for L2 were read at. On H100, H200, B200 and A100 no time is that
//! short, and none is raised.

use sim_core::operators::Gpu;

use super::grids::Cells;

/// Several times the L2 cache of any GPU.
const LARGE_BYTES: f64 = 512.0 * 1_048_576.0;
/// The share of the maker's bandwidth that stands for the best rate where nothing large was measured; on six GPUs
/// that rate is 0.82 to 0.94 of it.
const USUAL_SHARE: f64 = 0.85;

/// For a pack's notes.
pub(super) const NOTE: &str = "Attention of decodes is at least what reading its keys and values from memory takes, at \
                               the best rate of caches above 512 MiB a layer: the source measured small ones inside the \
                               L2 cache.";

/// `cells` raised, where a token's keys and values are `bytes_per_token` long and at most `window` tokens are read.
pub(super) fn raised(cells: &Cells, window: u32, bytes_per_token: f64, gpu: &Gpu) -> Cells {
    let most_read = if window == 0 { u32::MAX } else { window };
    let bytes =
        |&(num_seqs, context): &(u32, u32)| f64::from(num_seqs) * f64::from(context.min(most_read)) * bytes_per_token;
    let large = cells.iter().filter(|(place, _)| bytes(place) >= LARGE_BYTES);
    // Bytes per microsecond.
    let most = gpu.memory_bandwidth / 1e6;
    let best = large.map(|(place, time)| bytes(place) / time).fold(0.0, f64::max);
    let rate = if best > 0.0 { best.min(most) } else { USUAL_SHARE * most };
    cells.iter().map(|(place, time)| (*place, time.max(bytes(place) / rate))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::grids::Cells;
    use super::raised;
    use sim_core::operators::gpu_table;

    /// Times of 1 and 512 requests over 16 tokens and 1 Mi tokens at 1 KiB each.
    #[track_caller]
    fn check(rows: [[f64; 2]; 2], expect: [[f64; 2]; 2]) {
        let gpu = gpu_table::find("l40s").expect("a known GPU");
        let places = [(1, 16), (1, 1 << 20), (512, 16), (512, 1 << 20)];
        let cells: Cells = places.into_iter().zip(rows.concat()).collect();
        let got = raised(&cells, 0, 1024.0, &gpu);
        for (place, expect) in places.iter().zip(expect.concat()) {
            assert!((got[place] / expect - 1.0).abs() < 1e-9, "{} instead of {expect}", got[place]);
        }
    }

    #[test]
    fn what_is_faster_than_large_caches_are_read_is_raised_to_their_rate() {
        // 2^30 bytes in 2048 us: 2^19 bytes/us, so that 2^14 bytes take 1/32 us and 2^23 bytes 16 us.
        check([[5.0, 2048.0], [4.0, 4e6]], [[5.0, 2048.0], [16.0, 4e6]]);
    }

    #[test]
    fn no_rate_is_above_the_makers() {
        // 2^30 bytes in 1 us; the maker says 864,000 bytes/us.
        let gib = f64::from(1_u32 << 30) / 864_000.0;
        check([[5.0, 1.0], [20.0, 512.0 * gib]], [[5.0, gib], [20.0, 512.0 * gib]]);
    }
}
