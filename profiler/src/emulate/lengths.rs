//! How long answers are: as long as they may be, or drawn around a mean.

use super::pieces::hash;

/// `--mean-output-len` and `--seed`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct OutputLengths {
    /// Tokens in the mean, if answers end by themselves.
    pub(crate) mean: Option<f64>,
    pub(crate) seed: u64,
}

/// The length of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutputLength {
    pub(crate) num_tokens: u32,
    /// Whether it ends with an end-of-sequence token.
    pub(crate) stops: bool,
}

impl OutputLengths {
    /// The length of the answer to a prompt with this hash: exponentially distributed, the same for the same prompt, at
    /// least `min_tokens`; all of `max_tokens` if it must not end before.
    pub(crate) fn draw(&self, prompt: u64, ignore_eos: bool, (min_tokens, max_tokens): (u32, u32)) -> OutputLength {
        let Some(mean) = self.mean.filter(|_| !ignore_eos) else {
            return OutputLength { num_tokens: max_tokens, stops: false };
        };
        let bits = hash(&[prompt.to_le_bytes(), self.seed.to_le_bytes()].concat());
        // FNV's last bytes reach the upper bits too little.
        let bits = (bits ^ (bits >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
        let share = bits as f64 / (1_u64 << 53) as f64;
        let drawn = (-mean * (1.0 - share).ln()).ceil().clamp(1.0, f64::from(u32::MAX));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a u32 holds")]
        let drawn = (drawn as u32).max(min_tokens);
        OutputLength { num_tokens: drawn.min(max_tokens), stops: drawn <= max_tokens }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_their_mean_and_their_limits() {
        let lengths = OutputLengths { mean: Some(100.0), seed: 1 };
        let drawn: Vec<OutputLength> = (0..20_000).map(|prompt| lengths.draw(prompt, false, (0, 10_000))).collect();
        let mean = drawn.iter().map(|length| f64::from(length.num_tokens)).sum::<f64>() / 20_000.0;
        // An exponential's standard deviation is its mean; rounding up adds a half.
        assert!((mean - 100.5).abs() < 4.0, "{mean}");
        assert!(drawn.iter().all(|length| length.stops && length.num_tokens >= 1));
        let short = lengths.draw(7, false, (5, 5));
        assert_eq!(short.num_tokens, 5);
        assert_eq!(lengths.draw(7, true, (0, 321)), OutputLength { num_tokens: 321, stops: false });
        let none = OutputLengths { mean: None, seed: 1 };
        assert_eq!(none.draw(7, false, (0, 321)), OutputLength { num_tokens: 321, stops: false });
        assert_eq!(lengths.draw(3, false, (0, 900)), lengths.draw(3, false, (0, 900)));
    }
}
