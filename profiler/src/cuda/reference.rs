//! The operators on the processor, in double precision: what the kernels are compared with.
//!
//! Written to be read, not to be fast. Matrices are row by row; a row is a token.

use super::number::FP8_MAX;

/// Keys and values of a request in order: one row for each token, `[key heads][head_dim]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) keys: &'a [f64],
    pub(crate) values: &'a [f64],
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
}

/// `(sum of input and residual, its norm times the weights)`, for one row.
pub(crate) fn add_rms_norm(input: &[f64], residual: &[f64], weight: &[f64], eps: f64) -> (Vec<f64>, Vec<f64>) {
    let sum: Vec<f64> = input.iter().zip(residual).map(|(a, b)| a + b).collect();
    let normed = rms_norm(&sum, weight, eps);
    (sum, normed)
}

/// A row over the root of its mean square, times the weights.
pub(crate) fn rms_norm(row: &[f64], weight: &[f64], eps: f64) -> Vec<f64> {
    let mean_square = row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64;
    let factor = 1.0 / (mean_square + eps).sqrt();
    row.iter().zip(weight).map(|(x, w)| x * factor * w).collect()
}

/// A head rotated by its position; number `i` turns with number `i + half`.
pub(crate) fn rope(head: &[f64], position: u32, theta: f64) -> Vec<f64> {
    let half = head.len() / 2;
    let mut rotated = head.to_vec();
    for i in 0..half {
        let angle = f64::from(position) * theta.powf(-2.0 * i as f64 / head.len() as f64);
        let (sine, cosine) = angle.sin_cos();
        rotated[i] = head[i] * cosine - head[i + half] * sine;
        rotated[i + half] = head[i + half] * cosine + head[i] * sine;
    }
    rotated
}

/// `silu(gate) × up` for a row `[gate][up]`.
pub(crate) fn silu_and_mul(gate_up: &[f64]) -> Vec<f64> {
    let (gate, up) = gate_up.split_at(gate_up.len() / 2);
    gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect()
}

/// One query head over the first `num_seen` tokens of a context: softmax of the logits, times the values. The logits'
/// factor is one over the root of the head's width.
pub(crate) fn attention(query: &[f64], context: Context<'_>, kv_head: usize, num_seen: usize) -> Vec<f64> {
    let row = |of: &[f64], token: usize| -> Vec<f64> {
        let start = (token * context.kv_heads + kv_head) * context.head_dim;
        of[start..start + context.head_dim].to_vec()
    };
    let scale = 1.0 / (context.head_dim as f64).sqrt();
    let dot = |key: &[f64]| key.iter().zip(query).map(|(k, q)| k * q).sum::<f64>() * scale;
    let logits: Vec<f64> = (0..num_seen).map(|token| dot(&row(context.keys, token))).collect();
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut out = vec![0.0; context.head_dim];
    for (token, weight) in weights.iter().enumerate() {
        for (sum, value) in out.iter_mut().zip(row(context.values, token)) {
            *sum += weight / total * value;
        }
    }
    out
}

/// `input × weightsᵀ`, for one row of `columns` numbers and weights `[rows][columns]`.
pub(crate) fn product(input: &[f64], weights: &[f64]) -> Vec<f64> {
    weights.chunks(input.len()).map(|row| row.iter().zip(input).map(|(w, x)| w * x).sum()).collect()
}

/// How far a quantised row is off, as a share of what is allowed: half a step of e4m3 for each number, and a thousandth
/// for the scale, which makes the largest number that of e4m3. `codes` are not multiplied by `scale` yet.
pub(crate) fn quantized_error(codes: &[f64], scale: f64, expect: &[f64]) -> f64 {
    // What is rounded here and there differs by a rounding in single precision.
    const MARGIN: f64 = 1.02;
    let largest = expect.iter().fold(0.0, |largest, x| f64::max(largest, x.abs()));
    let of_scale = (scale * FP8_MAX / largest - 1.0).abs() * 1000.0;
    let of_number = |(code, expect): (&f64, &f64)| {
        // Near 0 steps are as wide as at the least exponent.
        let half_step = f64::max(expect.abs() / 16.0, scale / 1024.0);
        (code * scale - expect).abs() / (MARGIN * half_step)
    };
    let errors = codes.iter().zip(expect).map(of_number).chain([of_scale]);
    // No number is the worst error.
    errors.fold(0.0, |worst, error| if error.is_nan() { f64::INFINITY } else { f64::max(worst, error) })
}

/// The place of the largest number, the first of equals.
pub(crate) fn argmax(row: &[f64]) -> usize {
    (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

#[cfg(test)]
mod tests {
    use super::{Context, add_rms_norm, argmax, attention, product, quantized_error, rope, silu_and_mul};
    use crate::cuda::number::{FP8_MAX, fp8_bits, fp8_to_f64};
    use sim_core::rng::Pcg64;

    fn random(count: usize, seed: u64) -> Vec<f64> {
        let mut random = Pcg64::stream(seed, "numbers");
        (0..count).map(|_| 2.0 * random.random() - 1.0).collect()
    }

    #[track_caller]
    fn check_close(got: &[f64], expect: &[f64]) {
        assert_eq!(got.len(), expect.len());
        for (i, (a, b)) in got.iter().zip(expect).enumerate() {
            assert!((a - b).abs() < 1e-12, "{i}: {a} instead of {b}");
        }
    }

    /// The same by running sums over one token at a time, largest logit first unknown: another order, another form.
    fn attention_token_by_token(query: &[f64], context: Context<'_>, kv_head: usize, num_seen: usize) -> Vec<f64> {
        let (mut largest, mut total, mut sums) = (f64::NEG_INFINITY, 0.0, vec![0.0; context.head_dim]);
        for token in (0..num_seen).rev() {
            let at = |d: usize| (token * context.kv_heads + kv_head) * context.head_dim + d;
            let logit = (0..context.head_dim).map(|d| query[d] * context.keys[at(d)]).sum::<f64>()
                / (context.head_dim as f64).sqrt();
            let top = f64::max(largest, logit);
            let (old, new) = ((largest - top).exp(), (logit - top).exp());
            total = total * old + new;
            for (d, sum) in sums.iter_mut().enumerate() {
                *sum = *sum * old + new * context.values[at(d)];
            }
            largest = top;
        }
        sums.iter().map(|sum| sum / total).collect()
    }

    #[test]
    fn attention_is_the_same_in_another_order() {
        let (kv_heads, head_dim, len) = (3, 16, 41);
        let (keys, values) = (random(len * kv_heads * head_dim, 1), random(len * kv_heads * head_dim, 2));
        let context = Context { keys: &keys, values: &values, kv_heads, head_dim };
        let query: Vec<f64> = random(head_dim, 3).iter().map(|x| 20.0 * x).collect();
        for (kv_head, num_seen) in [(0, 1), (1, 2), (2, 40), (0, 41)] {
            let expect = attention_token_by_token(&query, context, kv_head, num_seen);
            check_close(&attention(&query, context, kv_head, num_seen), &expect);
        }
        let first = &values[head_dim..2 * head_dim];
        check_close(&attention(&query, context, 1, 1), first);
    }

    #[test]
    fn a_rotation_keeps_lengths_and_depends_on_distances() {
        let (a, b) = (random(64, 4), random(64, 5));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        let turned = |x: &[f64], position| rope(x, position, 10_000.0);
        check_close(&turned(&a, 0), &a);
        let far = dot(&turned(&a, 107), &turned(&b, 104));
        check_close(&[far, dot(&turned(&a, 9), &turned(&a, 9))], &[dot(&turned(&a, 3), &b), dot(&a, &a)]);
    }

    #[test]
    fn norms_products_and_activations_have_known_values() {
        let (sum, normed) = add_rms_norm(&[1.0, 2.0], &[2.0, 2.0], &[1.0, 10.0], 0.0);
        let root = 12.5_f64.sqrt();
        check_close(&sum, &[3.0, 4.0]);
        check_close(&normed, &[3.0 / root, 40.0 / root]);
        check_close(&product(&[1.0, 2.0], &[3.0, 4.0, 5.0, 6.0]), &[11.0, 17.0]);
        check_close(&silu_and_mul(&[0.0, 1.0, 5.0, 2.0]), &[0.0, 2.0 / (1.0 + (-1.0_f64).exp())]);
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0]), 1);
    }

    #[test]
    fn a_quantised_row_is_half_a_step_off_and_no_more() {
        let row = random(1000, 6);
        let largest = row.iter().fold(0.0, |largest, x| f64::max(largest, x.abs()));
        let quantized = |scale: f64| -> Vec<f64> { row.iter().map(|x| fp8_to_f64(fp8_bits(x / scale))).collect() };
        let scale = largest / FP8_MAX;
        let error = quantized_error(&quantized(scale), scale, &row);
        assert!((0.9..1.0).contains(&error), "{error}");
        assert!(quantized_error(&quantized(scale * 1.01), scale * 1.01, &row) > 1.0, "a scale that is too large");
        let mut codes = quantized(scale);
        codes[7] *= 1.125;
        assert!(quantized_error(&codes, scale, &row) > 1.0, "a number a step off");
        codes[7] = f64::NAN;
        assert!(quantized_error(&codes, scale, &row).is_infinite(), "no number");
    }
}
