//! Lines of `--check-kernels` about speed: what was measured, the target beside it, whether it is reached.

use super::number::Storage;
use super::shape::Matrix;

/// What cuBLASLt's first choice of an algorithm is to reach, as a share of the speed of the best that it names.
const PRODUCT_TARGET: f64 = 0.90;
/// A first choice that takes longer than the best by more than this share is named.
const NAMED_EXCESS: f64 = 0.10;
/// What decodes' attention is to reach, as a share of the bytes per second of copying.
const DECODE_TARGET: f64 = 0.80;
/// Requests from which on it is to.
const DECODE_TARGET_FROM: u32 = 64;

/// A product's speed by cuBLASLt's first choice, and how good a choice that is: `seconds` of each algorithm, in
/// cuBLASLt's order.
pub(crate) fn product_line(matrix: Matrix, num_rows: u32, storage: Storage, seconds: &[f64]) -> String {
    let Matrix { rows, columns } = matrix;
    let of_what = if storage == Storage::Fp8 { "cuBLASLt in fp8" } else { "cuBLASLt" };
    let size = format!("{of_what}, {num_rows} rows × {rows} × {columns}");
    let best = (0..seconds.len()).min_by(|&a, &b| seconds[a].total_cmp(&seconds[b]));
    let (Some(best), Some(&first)) = (best, seconds.first()) else {
        return format!("{size}: cuBLASLt names no algorithm");
    };
    let weights = matrix.num_weights() as f64;
    let (teraflops, rate) =
        (2.0 * weights * f64::from(num_rows) / first / 1e12, storage.num_bytes() as f64 * weights / first / 1e9);
    let share = seconds[best] / first;
    let excess = first / seconds[best] - 1.0;
    let slower = if excess > NAMED_EXCESS {
        format!("; it takes {:.0} % longer than number {}", 100.0 * excess, best + 1)
    } else {
        String::new()
    };
    format!(
        "{size}: {teraflops:.1} TFLOP/s, {rate:.0} GB/s of weights; first choice is {:.0} % of the best of {} ({}){slower}",
        100.0 * share,
        seconds.len(),
        against(share, PRODUCT_TARGET)
    )
}

/// The speed of decodes' attention for (requests, tokens of each), in bytes of keys and values per second, beside that of
/// copying, if it was measured.
pub(crate) fn decode_line(
    (requests, context): (u32, u32),
    bytes_per_s: f64,
    copied_bytes_per_s: Option<f64>,
) -> String {
    let rate = bytes_per_s / 1e9;
    let measured = format!("decode_attention, {requests} requests of {context}: {rate:.0} GB/s of keys and values");
    let Some(copied) = copied_bytes_per_s else {
        return format!("{measured}; copying was not measured");
    };
    let share = bytes_per_s / copied;
    let verdict = if requests < DECODE_TARGET_FROM {
        format!("no target below {DECODE_TARGET_FROM} requests")
    } else {
        against(share, DECODE_TARGET)
    };
    format!("{measured}, {:.0} % of copying ({verdict})", 100.0 * share)
}

/// Shares are judged as measured, not as printed.
fn against(share: f64, target: f64) -> String {
    let verdict = if share >= target { "reached" } else { "MISSED" };
    format!("target {:.0} %: {verdict}", 100.0 * target)
}

#[cfg(test)]
mod tests {
    use super::{decode_line, product_line};
    use crate::cuda::number::Storage::{Fp8, Half};
    use crate::cuda::shape::Matrix;

    const MATRIX: Matrix = Matrix { rows: 6144, columns: 4096 };

    #[test]
    fn a_first_choice_is_held_against_the_best_that_cublaslt_names() {
        assert_eq!(
            product_line(MATRIX, 64, Half, &[20e-6, 25e-6, 19e-6]),
            "cuBLASLt, 64 rows × 6144 × 4096: 161.1 TFLOP/s, 2517 GB/s of weights; first choice is 95 % of the best of 3 \
             (target 90 %: reached)"
        );
        let missed = product_line(MATRIX, 1, Half, &[30e-6, 20e-6]);
        assert!(
            missed.ends_with("is 67 % of the best of 2 (target 90 %: MISSED); it takes 50 % longer than number 2"),
            "{missed}"
        );
        let alone = product_line(MATRIX, 1, Half, &[30e-6]);
        assert!(alone.ends_with("first choice is 100 % of the best of 1 (target 90 %: reached)"), "{alone}");
        assert!(product_line(MATRIX, 1, Half, &[]).ends_with("names no algorithm"));
        // Half the bytes in the same time.
        let eight = product_line(MATRIX, 64, Fp8, &[20e-6]);
        assert!(eight.starts_with("cuBLASLt in fp8, 64 rows × 6144 × 4096: 161.1 TFLOP/s, 1258 GB/s"), "{eight}");
    }

    #[test]
    fn a_choice_that_just_reaches_the_target_may_be_named_all_the_same() {
        let line = product_line(MATRIX, 512, Half, &[1.105e-4, 1e-4]);
        assert!(line.contains("(target 90 %: reached); it takes 10 % longer than number 2"), "{line}");
        let line = product_line(MATRIX, 512, Half, &[1.095e-4, 1e-4]);
        assert!(line.ends_with("(target 90 %: reached)"), "{line}");
    }

    #[test]
    fn decodes_are_held_against_copying() {
        assert_eq!(
            decode_line((64, 4096), 2.4e12, Some(2.9e12)),
            "decode_attention, 64 requests of 4096: 2400 GB/s of keys and values, 83 % of copying (target 80 %: reached)"
        );
        assert!(decode_line((256, 1024), 2.3e12, Some(2.9e12)).ends_with("79 % of copying (target 80 %: MISSED)"));
        assert!(decode_line((8, 4096), 1e12, Some(2.9e12)).ends_with("(no target below 64 requests)"));
        assert!(decode_line((64, 4096), 1e12, None).ends_with("copying was not measured"));
    }
}
