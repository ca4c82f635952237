//! How a pass is run: in which CUDA graph, if any, and so with how much padding. Data-parallel ranks that step together
//! agree on it.

use super::step_time::{StepTime, StepTimeModel};
use crate::batch::BatchComposition;

/// What decides how a pass is run.
///
/// Source: `vllm/v1/worker/gpu/dp_utils.py::sync_cudagraph_and_dp_padding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassShape {
    /// Tokens without padding.
    pub num_tokens: u32,
    /// Whether all its requests verify the same number of drafts, which may have graphs of their own.
    pub is_uniform_verification: bool,
    /// Whether a CUDA graph holds it.
    pub has_graph: bool,
}

impl PassShape {
    /// What two ranks agree on: without a graph if one has none, else in that of the larger one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            num_tokens: self.num_tokens.max(other.num_tokens),
            is_uniform_verification: self.is_uniform_verification && other.is_uniform_verification,
            has_graph: self.has_graph && other.has_graph,
        }
    }
}

impl StepTimeModel {
    /// How a pass is run that nobody else has a part in.
    #[must_use]
    pub fn shape(&self, batch: &BatchComposition) -> PassShape {
        PassShape {
            num_tokens: batch.num_tokens(),
            is_uniform_verification: self.is_uniform_verification(batch),
            has_graph: self.has_graph(batch.num_tokens()),
        }
    }

    /// Whether a CUDA graph holds a pass of so many tokens.
    #[inline]
    pub(super) fn has_graph(&self, num_tokens: u32) -> bool {
        self.capture_sizes.fitting(num_tokens).is_some()
    }

    /// Whether all requests of a pass verify the same number of drafts.
    #[inline]
    pub(super) fn is_uniform_verification(&self, batch: &BatchComposition) -> bool {
        batch.num_draft_tokens() > 0 && batch.is_uniform_decode(self.decode_query_len)
    }

    /// Tokens that the device computes for a pass of so many.
    #[inline]
    pub(super) fn num_padded(&self, num_tokens: u32, is_uniform_verification: bool) -> u32 {
        if is_uniform_verification {
            let uniform = self.uniform_capture_sizes.fitting(num_tokens);
            return uniform.unwrap_or_else(|| self.capture_sizes.padded(num_tokens));
        }
        self.capture_sizes.padded(num_tokens)
    }

    /// The device time of a pass that is run in the shape that ranks agreed on; [`Self::predict`] is for its own. Without a
    /// graph nobody is padded.
    #[must_use]
    pub fn predict_in(&self, batch: &BatchComposition, agreed: PassShape) -> StepTime {
        let PassShape { num_tokens, is_uniform_verification, has_graph } = agreed;
        let num_padded =
            if has_graph { self.num_padded(num_tokens, is_uniform_verification) } else { batch.num_tokens() };
        self.predict_padded(batch, num_padded, has_graph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::cuda_graphs::CaptureSizes;
    use crate::profile::{StepTimeSettings, SyntheticCosts};

    fn decodes(count: u32) -> BatchComposition {
        let mut batch = BatchComposition::default();
        (0..count).for_each(|_| batch.push(1, 100));
        batch
    }

    fn prompt(num_tokens: u32) -> BatchComposition {
        let mut batch = BatchComposition::default();
        batch.push(num_tokens, 0);
        batch
    }

    /// 10 ms for a pass and 10 µs for each token that is computed; graphs of 1, 2, 4, 8, 16, … up to 512 tokens.
    fn model() -> StepTimeModel {
        let profile = SyntheticCosts { token_us: 10.0, ..SyntheticCosts::default() }.profile();
        let capture_sizes = CaptureSizes::vllm_default(256, 4096, CaptureSizes::DEFAULT_CEILING);
        let settings = StepTimeSettings { capture_sizes, ..StepTimeSettings::vllm_default(&profile, 256, 4096) };
        StepTimeModel::new(&profile, &settings).expect("a profile")
    }

    /// Tokens that the device computes for the first rank's pass beside the others' passes.
    fn check(batch: &BatchComposition, others: &[BatchComposition], expect_tokens: f64) {
        let model = model();
        let agreed = others.iter().map(|other| model.shape(other)).fold(model.shape(batch), PassShape::and);
        let time = model.predict_in(batch, agreed).duration.as_millis_f64();
        assert!((time - 10.0 - 0.01 * expect_tokens).abs() < 1e-6, "{time} ms for {expect_tokens} tokens");
    }

    #[test]
    fn ranks_are_padded_to_the_graph_of_the_largest() {
        check(&decodes(3), &[], 4.0);
        check(&decodes(3), &[decodes(1)], 4.0);
        check(&decodes(3), &[decodes(30), decodes(2)], 32.0);
        check(&decodes(1), &[prompt(500)], 512.0);
    }

    #[test]
    fn one_rank_without_a_graph_makes_all_eager_and_unpadded() {
        check(&decodes(3), &[prompt(1000)], 3.0);
        check(&prompt(1000), &[decodes(3)], 1000.0);
        check(&prompt(1000), &[], 1000.0);
    }

    #[test]
    fn alone_it_is_the_prediction() {
        let model = model();
        for batch in [decodes(1), decodes(77), prompt(13), prompt(600)] {
            let alone = model.predict_in(&batch, model.shape(&batch));
            assert_eq!(alone, model.predict(&batch), "{batch:?}");
        }
    }
}
