//! Decode attention whose times only a warm L2 cache explains.
//!
//! The source times one layer's keys and values again and again. As long as they fit into the L2 cache, they come from
//! there, and that says nothing about a model, whose layers take turns: on an L40S (96 MB of L2) such times imply up to 2.3
//! times the bandwidth of its memory, on an RTX PRO 6000 (128 MB) 1.5 times. They are raised to what reading as many
//! bytes takes at the best rate that caches too large for L2 were read at. On H100, H200, B200 and A100 no time is that
//! short, and none is raised.

use super::super::gpus::Gpu;

/// Several times the L2 cache of any device.
const LARGE_BYTES: f64 = 512.0 * 1_048_576.0;
/// The share of the maker's bandwidth that stands for the best rate where nothing large was measured; on six devices
/// that rate is 0.82 to 0.94 of it.
const USUAL_SHARE: f64 = 0.85;

/// What changed.
pub(super) const METHOD: &str = "Raised to what reading the keys and values from memory takes, at the best rate of \
                                 caches above 512 MiB a layer: the source measured small ones inside the L2 cache.";

/// Raises `rows` (one for each of `num_seqs`, one column for each of `context_tokens`, microseconds of one layer), where
/// a token's keys and values are `bytes_per_token` long.
pub(super) fn raise(
    rows: &[Vec<f64>],
    [num_seqs, context_tokens]: [&[u32]; 2],
    bytes_per_token: f64,
    gpu: &Gpu,
) -> Vec<Vec<f64>> {
    let bytes =
        |row: usize, column: usize| f64::from(num_seqs[row]) * f64::from(context_tokens[column]) * bytes_per_token;
    let cells = |row: usize| (0..rows[row].len()).map(move |column| (row, column));
    let large = (0..rows.len()).flat_map(cells).filter(|&(row, column)| bytes(row, column) >= LARGE_BYTES);
    // Bytes per microsecond.
    let most = gpu.memory_bandwidth / 1e6;
    let best = large.map(|(row, column)| bytes(row, column) / rows[row][column]).fold(0.0, f64::max);
    let rate = if best > 0.0 { best.min(most) } else { USUAL_SHARE * most };
    let raised = |(row, times): (usize, &Vec<f64>)| {
        times.iter().enumerate().map(|(column, time)| time.max(bytes(row, column) / rate)).collect()
    };
    rows.iter().enumerate().map(raised).collect()
}

#[cfg(test)]
mod tests {
    use super::raise;
    use crate::import::gpus;

    /// Times of 1 and 512 requests over 1 Mi tokens at 1 KiB each: 1 GiB and 512 GiB; and over 16 tokens.
    #[track_caller]
    fn check(rows: [[f64; 2]; 2], expect: [[f64; 2]; 2]) {
        let gpu = gpus::find("l40s").expect("a known device");
        let got = raise(&rows.map(Vec::from), [&[1, 512], &[16, 1 << 20]], 1024.0, gpu);
        for (got, expect) in got.iter().flatten().zip(expect.iter().flatten()) {
            assert!((got / expect - 1.0).abs() < 1e-9, "{got} instead of {expect}");
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
