//! Attention of heads that were not measured lies between that of the measured ones on both sides, on every GPU.

use proptest::prelude::*;
use sim_core::compose::{Setup, compose};
use sim_core::operators::Pack;
use sim_core::operators::attention::{FoundAttention, HeadsOnRank};

use crate::draws::draws;
use crate::profile_fixture::file;

const PACKS: [&str; 9] =
    ["h100-sxm", "h200-sxm", "b200-sxm", "b300-sxm", "gb200", "gb300", "l40s", "a100-sxm", "rtx-pro-6000"];
/// Query heads that every pack has over 4 and 8 heads of keys of 128 elements.
const MEASURED: [u32; 4] = [24, 32, 40, 48];

fn pack(key: &str) -> Pack {
    Pack::from_json(&file(&format!("../www/packs/{key}.json"))).expect("a pack")
}

fn attention(pack: &Pack, num_heads: u32, num_kv_heads: u32) -> FoundAttention {
    let heads = HeadsOnRank { num_heads, num_kv_heads, head_dim: 128, span: 0, is_fp8: false };
    heads.find(pack).expect("attention")
}

fn is_between(time: f64, one: f64, other: f64) -> bool {
    one.min(other) - 1e-9 <= time && time <= one.max(other) + 1e-9
}

proptest! {
    #![proptest_config(draws(96))]

    #[test]
    fn it_lies_between_its_neighbours(
        key in prop::sample::select(&PACKS[..]),
        num_heads in 25_u32..48,
        num_kv_heads in prop::sample::select(&[4_u32, 8][..]),
        point in 0_usize..32,
        seqs in 0_usize..8,
        column in 0_usize..12,
    ) {
        let pack = pack(key);
        let below = *MEASURED.iter().rfind(|heads| **heads <= num_heads).expect("fewer heads");
        let above = *MEASURED.iter().find(|heads| **heads >= num_heads).expect("more heads");
        let found = attention(&pack, num_heads, num_kv_heads);
        let sides = [below, above].map(|heads| attention(&pack, heads, num_kv_heads));
        prop_assert!(sides.iter().all(|side| side.distance < 1e-9), "{key}: {below} and {above} heads were measured");
        // Weaker evidence where it was not measured.
        prop_assert_eq!(found.distance > 1e-9, num_heads != below && num_heads != above);
        // At the measured lengths; between two of them the sides may cross.
        let tokens = found.prompt.counts()[point % found.prompt.counts().len()];
        let at = |found: &FoundAttention| found.prompt.at(tokens);
        prop_assert!(is_between(at(&found), at(&sides[0]), at(&sides[1])), "{key}: a prompt of {tokens} tokens");
        let (rows, columns) = (&found.decode.num_seqs, &found.decode.context_tokens);
        let (seqs, context) = (rows[seqs % rows.len()], columns[column % columns.len()]);
        let times = [&found, &sides[0], &sides[1]].map(|found| found.decode.at(seqs, context));
        if let [Some(time), Some(one), Some(other)] = times {
            prop_assert!(is_between(time, one, other), "{key}: {seqs} requests over {context}: {times:?}");
        }
    }
}

/// Heads of a published model, and whether its profile says that they were not measured.
#[track_caller]
fn check(heads: (u32, u32, u32), is_measured: bool) {
    let config = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11_264,
        "num_hidden_layers": 4, "num_attention_heads": heads.0, "num_key_value_heads": heads.1, "head_dim": heads.2,
        "vocab_size": 32_000, "max_position_embeddings": 8192,
    });
    let config = serde_json::to_vec(&config).expect("JSON");
    for key in PACKS {
        let profile = compose(&pack(key), "a model", &config, &Setup::default()).expect("a profile");
        let told =
            profile.provenance.notes.iter().any(|note| note.starts_with("The heads of attention were not measured"));
        assert_eq!(told, !is_measured, "{heads:?} on {key}");
    }
}

#[test]
fn a_profile_says_which_heads_were_not_measured() {
    check((32, 8, 128), true);
    check((28, 4, 128), false);
    check((14, 2, 64), false);
    check((20, 20, 128), false);
    check((28, 28, 128), false);
    check((36, 4, 128), false);
    check((18, 6, 128), false);
}
