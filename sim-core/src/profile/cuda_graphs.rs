//! Padding: a pass that replays a CUDA graph computes as many tokens as the graph was captured for.
//!
//! Follows `vllm/config/vllm.py::_set_cudagraph_sizes` (the sizes) and `vllm/v1/worker/gpu/cudagraph_utils.py` (which
//! graph a pass replays). A pass of decodes alone replays a full graph of the smallest size that fits and is at most
//! `max_num_seqs`; every other pass, and a pass without such a graph, a piecewise graph of the smallest size that fits.
//! Both rules name the same size, so the padding is a function of the number of tokens alone. Attention and logits are
//! computed for the requests that are really there.

use alloc::format;
use alloc::vec::Vec;

use super::error::ProfileError;
use super::schema::Hardware;
use crate::math;

/// The numbers of tokens CUDA graphs were captured for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaptureSizes {
    /// Ascending.
    sizes: Vec<u32>,
    /// `padded[num_tokens]`, up to the largest size: a pass looks it up without a search.
    padded: Vec<u32>,
}

impl CaptureSizes {
    /// Largest default size on most devices.
    pub const DEFAULT_CEILING: u32 = 512;
    /// Largest default size on data-centre Blackwell (compute capability 10.x).
    pub const BLACKWELL_CEILING: u32 = 1024;
    /// Largest size this program accepts.
    pub const MAX_SIZE: u32 = 1 << 16;

    /// No graphs: `enforce_eager`.
    #[must_use]
    pub const fn none() -> Self {
        Self { sizes: Vec::new(), padded: Vec::new() }
    }

    /// vLLM's sizes when nobody chose any. `ceiling` is [`Self::ceiling`] of the device.
    #[must_use]
    pub fn vllm_default(max_num_seqs: u32, max_num_batched_tokens: u32, ceiling: u32) -> Self {
        Self::spaced(&[1, 2, 4], [max_num_seqs, max_num_batched_tokens, ceiling], 1)
    }

    /// The same where every request can have up to `decode_query_len` rows, of which all but one are drafts. A schedule
    /// that lowers the drafts with the number of requests adds no sizes of its own here.
    #[must_use]
    pub fn vllm_with_drafts(
        max_num_seqs: u32,
        max_num_batched_tokens: u32,
        ceiling: u32,
        decode_query_len: u32,
    ) -> Self {
        Self::spaced(&[1, 2, 4], [max_num_seqs, max_num_batched_tokens, ceiling], decode_query_len)
    }

    /// vLLM's sizes under `performance_mode=interactivity`: every size up to 32, then as ever.
    #[must_use]
    pub fn vllm_interactivity(max_num_seqs: u32, max_num_batched_tokens: u32, ceiling: u32) -> Self {
        let small: Vec<u32> = (1..=32).collect();
        Self::spaced(&small, [max_num_seqs, max_num_batched_tokens, ceiling], 1)
    }

    /// `cudagraph_capture_sizes` as a user gave them; those above `max_num_batched_tokens` are dropped, as in vLLM.
    ///
    /// # Errors
    /// [`ProfileError::Settings`] if `sizes` is empty, or holds 0 or more than [`Self::MAX_SIZE`].
    pub fn explicit(sizes: &[u32], max_num_batched_tokens: u32) -> Result<Self, ProfileError> {
        let setting = "cudagraph_capture_sizes";
        if sizes.is_empty() {
            let message = "must hold at least one size; for no CUDA graphs set enforce_eager".into();
            return Err(ProfileError::Settings { setting, message });
        }
        if let Some(size) = sizes.iter().find(|&&size| size == 0 || size > Self::MAX_SIZE) {
            let message = format!("{size} must be at least 1 and at most {}", Self::MAX_SIZE);
            return Err(ProfileError::Settings { setting, message });
        }
        Ok(Self::from_sizes(sizes.iter().copied().filter(|&size| size <= max_num_batched_tokens).collect()))
    }

    /// Largest default size on a device.
    #[must_use]
    pub fn ceiling(hardware: &Hardware) -> u32 {
        let is_blackwell = hardware.compute_capability.as_ref().is_some_and(|version| version.starts_with("10."));
        if is_blackwell { Self::BLACKWELL_CEILING } else { Self::DEFAULT_CEILING }
    }

    fn spaced(small: &[u32], [max_num_seqs, max_num_batched_tokens, ceiling]: [u32; 3], decode_query_len: u32) -> Self {
        let max_size = max_num_seqs.saturating_mul(decode_query_len).saturating_mul(2);
        let max_size = max_size.min(ceiling).min(Self::MAX_SIZE);
        let fits_all_decodes = max_num_seqs <= max_size && decode_query_len == 1;
        let decode_sizes = if decode_query_len > 1 {
            let counts = steps(&[1, 2, 4], max_num_seqs.min(ceiling));
            let counts = counts.into_iter().chain([max_num_seqs.min(ceiling)]);
            let sizes = counts.map(|count| count.saturating_mul(decode_query_len));
            sizes.filter(|&size| size <= max_size.min(max_num_batched_tokens)).collect()
        } else {
            Vec::new()
        };
        let max_size = max_size.min(max_num_batched_tokens);
        let mut sizes = steps(small, max_size);
        sizes.extend(decode_sizes);
        if max_num_batched_tokens <= max_size {
            sizes.push(max_num_batched_tokens);
        }
        // Appended after the cut to max_num_batched_tokens: a full batch of decodes is captured at its own size.
        if fits_all_decodes && max_num_seqs <= max_num_batched_tokens {
            sizes.push(max_num_seqs);
        }
        Self::from_sizes(sizes)
    }

    fn from_sizes(mut sizes: Vec<u32>) -> Self {
        sizes.retain(|&size| size > 0);
        sizes.sort_unstable();
        sizes.dedup();
        let mut padded = Vec::new();
        for &size in &sizes {
            padded.resize(math::u32_to_usize(size) + 1, size);
        }
        if let Some(of_nothing) = padded.first_mut() {
            *of_nothing = 0;
        }
        Self { sizes, padded }
    }

    /// The sizes, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[u32] {
        &self.sizes
    }

    /// The sizes of passes in which every request has `num_rows` rows: each rounded up to whole requests, of which there
    /// are at most `max_num_seqs` (`cudagraph_utils.py::_init_candidates`).
    #[must_use]
    pub fn of_uniform_decodes(&self, num_rows: u32, max_num_seqs: u32) -> Self {
        let largest = self.sizes.last().copied().unwrap_or(0).min(max_num_seqs.saturating_mul(num_rows));
        let rounded = self.sizes.iter().map(|size| size.div_ceil(num_rows.max(1)).saturating_mul(num_rows));
        Self::from_sizes(rounded.filter(|&size| size <= largest).collect())
    }

    /// The smallest size that holds `num_tokens`, if there is one.
    #[must_use]
    pub fn fitting(&self, num_tokens: u32) -> Option<u32> {
        self.padded.get(math::u32_to_usize(num_tokens)).copied()
    }

    /// Tokens the device computes for a pass of `num_tokens`: the smallest size that fits, or `num_tokens` where none
    /// does.
    #[must_use]
    pub fn padded(&self, num_tokens: u32) -> u32 {
        self.fitting(num_tokens).unwrap_or(num_tokens)
    }
}

/// `small`, then every eighth number, from 256 on every sixteenth; none above `max`.
fn steps(small: &[u32], max: u32) -> Vec<u32> {
    let mut steps: Vec<u32> = small.iter().copied().filter(|&size| size <= max).collect();
    steps.extend((8..=max.min(255)).step_by(8));
    steps.extend((256..=max).step_by(16));
    steps
}

#[cfg(test)]
mod tests {
    use super::CaptureSizes;

    #[track_caller]
    fn check(max_num_seqs: u32, max_num_batched_tokens: u32, count: usize, largest: u32) {
        let sizes = CaptureSizes::vllm_default(max_num_seqs, max_num_batched_tokens, 512);
        assert_eq!((sizes.as_slice().len(), sizes.as_slice().last()), (count, Some(&largest)));
    }

    #[test]
    fn default_sizes_are_those_of_vllm() {
        check(256, 8192, 51, 512);
        check(128, 2048, 35, 256);
        check(1024, 8192, 51, 512);
        check(1, 8192, 2, 2);
        check(256, 100, 16, 100);
    }

    #[test]
    fn a_full_batch_has_its_own_size() {
        let sizes = CaptureSizes::vllm_default(300, 8192, 512);
        assert_eq!([299, 300, 301].map(|n| sizes.padded(n)), [300, 300, 304]);
    }

    #[test]
    fn with_drafts_whole_requests_have_their_sizes() {
        // 3 drafts and 20 requests: 1, 2, 4, 8, 16 and 20 whole requests are among the sizes.
        let sizes = CaptureSizes::vllm_with_drafts(20, 8192, 512, 4);
        assert!([4, 8, 16, 32, 64, 80, 160].iter().all(|size| sizes.as_slice().contains(size)), "{sizes:?}");
        assert_eq!(sizes.as_slice().last(), Some(&160));
        let uniform = sizes.of_uniform_decodes(4, 20);
        assert!(uniform.as_slice().iter().all(|size| size.is_multiple_of(4)), "{uniform:?}");
        assert_eq!([4, 12, 36, 76, 84].map(|n| uniform.fitting(n)), [Some(4), Some(16), Some(40), Some(80), None]);
    }

    #[test]
    fn a_pass_larger_than_every_graph_is_not_padded() {
        let sizes = CaptureSizes::vllm_default(256, 8192, 512);
        assert_eq!([0, 1, 3, 5, 255, 257, 512, 513].map(|n| sizes.padded(n)), [0, 1, 4, 8, 256, 272, 512, 513]);
        assert_eq!(CaptureSizes::none().padded(3), 3);
    }
}
