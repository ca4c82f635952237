//! Passes with decodes and prompt parts, which no pack holds.
//!
//! With a prompt part in the pass, `FlashAttention` 2 no longer treats the query heads that share a key head as rows of one
//! query (`flash_api.cpp`, `seqlenq_ngroups_swapped`), so that a decode reads its keys and values up to once a query head
//! instead of once. LLMServingSim measured such passes under vLLM 0.19 on two GPUs that run this kernel. `profiler import
//! llmservingsim` fits a factor of the decodes' term to each of its folders; it grows with the query heads per key head,
//! and the line through 1 for one head that fits them best is the rule here.
//!
//! One number is coarse. In its seven grids (122,000 mixed passes, Qwen3-30B-A3B's two among them) the median factor is 0
//! to 0.8 where the decodes attend to fewer than 1,024 tokens in all, as they fit beside the prompt's blocks; 1.4 to 2.2 with
//! four query heads per key head and 2.2 to 2.6 with eight up to 65,536; 1.6 to 2.0 and 2.8 up to 524,288; and 2.8 to 3.7 and
//! 5.0 to 5.6 beyond, where no cache holds the keys and values. With few decodes the term is small, so that too large a
//! factor costs little; beyond 524,288 tokens in a pass it is too small.
//!
//! Of other kernels we know no measured mixed pass; by reading, no decode reads more than alone. `FlashAttention` 3 packs the
//! query heads of a key head whenever lengths differ (`hopper/heuristics.h`, `should_pack_gqa`). The `FlashInfer` backend
//! gives decodes and prompt parts to kernels of their own (`split_decodes_and_prefills`). vLLM's Triton kernel packs them
//! always, but does not split a long context among blocks once a pass has a prompt part (`use_3d`), which makes few, long
//! decodes slower by what is not known. There, both terms are added.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec;

use crate::math;
use crate::profile::schema::{MixedBatch, Source};

/// Query heads per key head, and the factor of: Llama-3.1-8B on an RTX PRO 6000, whole and as one of two ranks, and on an
/// RTX 4090; Qwen3-32B on an RTX PRO 6000, whole and as one of two ranks.
const MEASURED: [(f64, f64); 5] = [(4.0, 1.7616), (4.0, 1.7746), (4.0, 2.2044), (8.0, 3.2303), (8.0, 3.1871)];

/// The factor for kernels of these names, `None` if both terms are added.
pub(super) fn mixed_batch(kernels: &[String], query_heads_per_key_head: f64) -> Option<MixedBatch> {
    let is_second =
        |kernel: &String| kernel.contains("flash_attn") && !["fa3", "fa4"].iter().any(|later| kernel.contains(later));
    if kernels.is_empty() || !kernels.iter().all(is_second) {
        return None;
    }
    let factor = 1.0 + slope() * math::max(query_heads_per_key_head - 1.0, 0.0);
    Some(MixedBatch { decode_term_factor: math::round(factor * 1e4) / 1e4, samples: vec![] })
}

/// By least squares.
fn slope() -> f64 {
    let above: f64 = MEASURED.iter().map(|(heads, factor)| (heads - 1.0) * (factor - 1.0)).sum();
    let below: f64 = MEASURED.iter().map(|(heads, _)| (heads - 1.0) * (heads - 1.0)).sum();
    above / below
}

/// Where the factors come from.
pub(super) fn source() -> Source {
    Source {
        name: "LLMServingSim".to_owned(),
        version: "layer times of 2026, five folders".to_owned(),
        licence: "MIT".to_owned(),
        url: "https://github.com/casys-kaist/LLMServingSim".to_owned(),
    }
}

/// For a profile's notes.
pub(super) fn note(mixed: Option<&MixedBatch>) -> String {
    mixed.map_or_else(
        || {
            "A pass with decodes and prompt parts is counted as the sum of both attentions: by their code FlashAttention 3, \
             FlashInfer and Triton read a decode's keys and values once there, too, but no measurement of such passes with \
             these kernels is known."
                .to_owned()
        },
        |mixed| {
            format!(
                "In a pass with decodes and prompt parts the decodes' attention counts {} times: by a rule in the query \
                 heads per key head, from layer times that LLMServingSim measured with FlashAttention 2 under vLLM 0.19 \
                 (1.76 to 2.20 for four, 3.19 to 3.23 for eight; less for few decodes, up to the number of query heads where \
                 they attend to more than half a million tokens together); not measured for this model and GPU.",
                mixed.decode_term_factor
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::{MEASURED, mixed_batch};

    #[track_caller]
    fn check(kernel: &str, heads: f64, expect: Option<f64>) {
        let factor = mixed_batch(&[kernel.to_string()], heads).map(|mixed| mixed.decode_term_factor);
        assert_eq!(factor, expect, "{kernel}, {heads}");
    }

    #[test]
    fn only_flash_attention_2_has_a_factor() {
        check("vllm_flash_attn_fa2", 1.0, Some(1.0));
        check("vllm_flash_attn_fa2", 4.0, Some(1.9394));
        check("vllm_flash_attn", 8.0, Some(3.1920));
        check("vllm_flash_attn_fa3", 8.0, None);
        check("vllm_flash_attn_fa4", 8.0, None);
        check("vllm_flashinfer_trtllmdecode", 8.0, None);
        assert_eq!(mixed_batch(&[], 8.0), None);
    }

    #[test]
    fn the_rule_is_near_what_was_measured() {
        for (heads, measured) in MEASURED {
            let rule = mixed_batch(&["vllm_flash_attn_fa2".to_string()], heads).expect("a factor");
            let error = rule.decode_term_factor / measured - 1.0;
            assert!(error.abs() < 0.13, "{heads} heads: {error:+.2}");
        }
    }
}
