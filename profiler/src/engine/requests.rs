//! From a workload of the simulator, whose tokens are labels, to requests with token ids of a model.

use anyhow::{Result, ensure};
use sim_core::request::RequestId;
use sim_core::request_set::RequestSet;

use super::ScriptedRequest;

/// Ids below this are special tokens in most vocabularies.
const FIRST_ID: u64 = 3;

/// The requests of a workload for a model that knows `vocab_size` tokens. Equal labels become equal ids; different
/// labels nearly always different ones, and never for a whole block.
///
/// # Errors
/// If the vocabulary is too small to tell texts apart.
pub(crate) fn scripted_requests(requests: &RequestSet, vocab_size: u32) -> Result<Vec<ScriptedRequest>> {
    ensure!(vocab_size >= 256, "the model knows {vocab_size} tokens; at least 256 are needed to tell texts apart");
    let num_ids = u64::from(vocab_size) - FIRST_ID;
    let id = |label: u64| u32::try_from(mix(label) % num_ids + FIRST_ID).unwrap_or(u32::MAX);
    let scripted = requests.as_slice().iter().zip(0..).map(|(request, number)| {
        let in_line = requests.in_line(RequestId(number));
        let prompt = requests.runs(request).iter().flat_map(|run| run.start..run.start + u64::from(run.len));
        ScriptedRequest {
            prompt_token_ids: prompt.take(request.num_prompt_tokens as usize).map(id).collect(),
            max_tokens: request.num_output_tokens,
            priority: in_line.priority,
            temperature_permille: 0,
            cache_salt: (in_line.cache_salt > 0).then(|| in_line.cache_salt.to_string()),
        }
    });
    Ok(scripted.collect())
}

/// The finalizer of `SplitMix64` (Steele, Lea, Flood): neighbouring labels become unrelated numbers.
const fn mix(label: u64) -> u64 {
    let mut x = label.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sim_core::request::TokenRun;
    use sim_core::request_set::NewRequest;

    use super::*;

    #[test]
    fn equal_texts_stay_equal_and_others_differ() {
        let mut requests = RequestSet::with_capacity(3);
        for (shared, own) in [(0, 1), (0, 2), (3, 4)] {
            requests
                .push(&NewRequest {
                    prompt: &[TokenRun::segment(shared, 64), TokenRun::segment(own, 32)],
                    output: &[TokenRun::segment(9, 5)],
                    max_tokens: 5,
                    stops: false,
                    priority: 0,
                    arrival_order: 0,
                    id_rank: 0,
                    cache_salt: 0,
                })
                .expect("a request");
        }
        let scripted = scripted_requests(&requests, 2048).expect("a large vocabulary");
        let prompt = |index: usize| scripted[index].prompt_token_ids.as_slice();
        assert_eq!(prompt(0)[..64], prompt(1)[..64]);
        let blocks: BTreeSet<&[u32]> = (0..3).flat_map(|index| prompt(index).chunks(16)).collect();
        assert_eq!(blocks.len(), 4 + 2 + 2 + 4 + 2, "blocks of 16 that differ");
        assert!(prompt(0).iter().all(|id| (3..2048).contains(id)), "{:?}", prompt(0));
        assert_eq!(scripted[2].max_tokens, 5);
        assert!(scripted_requests(&requests, 100).is_err(), "a tiny vocabulary");
    }
}
