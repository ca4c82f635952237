//! Passes of decodes alone, as many in each: what does not depend on their contexts is read once.

use super::attention::DecodeRow;
use super::step_time::{StepTime, StepTimeModel, Sum};

/// The times of passes that hold the same number of decodes and nothing else, in a model without spans and drafter.
#[derive(Debug)]
pub(crate) struct DecodeTimes<'a> {
    model: &'a StepTimeModel,
    has_graph: bool,
    /// What comes before the attention.
    before: Sum,
    attention: DecodeRow<'a>,
}

impl StepTimeModel {
    /// The times of passes of `num_decodes` decodes each, at least one; `None` where layers look at spans or a drafter
    /// runs.
    pub(crate) fn decode_times(&self, num_decodes: u32) -> Option<DecodeTimes<'_>> {
        let [attention] = self.attention.as_slice() else { return None };
        let has_drafter = self.drafter.is_some();
        (!has_drafter && num_decodes > 0).then(|| DecodeTimes {
            model: self,
            has_graph: self.capture_sizes.fitting(num_decodes).is_some(),
            before: self.before_attention(self.capture_sizes.padded(num_decodes), num_decodes),
            attention: attention.decode_row(num_decodes),
        })
    }
}

impl DecodeTimes<'_> {
    /// What [`StepTimeModel::predict`] says of such a pass whose decodes attend to `context_tokens` together.
    #[inline]
    pub(crate) fn at(&mut self, context_tokens: u64) -> StepTime {
        let mut sum = self.before;
        sum.add(self.attention.at(context_tokens));
        self.model.step_time(sum, self.has_graph)
    }
}
