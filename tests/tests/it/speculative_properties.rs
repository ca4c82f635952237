//! What must hold for every `--speculative-config`: it is read as it was written, whole or key by key, and no text
//! breaks the reader.

use proptest::prelude::*;
use serde_json::{Map, Value};
use sim_core::config::SpeculativeArgs;
use sim_core::speculative::SpeculativeMethod;

use crate::draws::draws;

fn maybe<S: Strategy + 'static>(strategy: S) -> impl Strategy<Value = Option<S::Value>>
where
    S::Value: Clone + 'static,
{
    prop::option::of(strategy)
}

prop_compose! {
    fn drafter()(
        method in maybe(prop::sample::select(SpeculativeMethod::ALL.to_vec())),
        // Also what looks like JSON.
        model in maybe("[a-zA-Z0-9/_.{}\":, -]{0,20}"),
        num_speculative_tokens in maybe(any::<i64>()),
        ranges in maybe(prop::collection::vec(any::<(u32, u32, u32)>(), 0..4)),
        switches in prop::array::uniform3(maybe(any::<bool>())),
        lookup in prop::array::uniform2(maybe(any::<i64>())),
    ) -> SpeculativeArgs {
        let [parallel_drafting, disable_eagle_block_drop, disable_lookahead_block_hashes] = switches;
        let [prompt_lookup_max, prompt_lookup_min] = lookup;
        SpeculativeArgs {
            method,
            model,
            num_speculative_tokens,
            num_speculative_tokens_per_batch_size: ranges,
            parallel_drafting,
            disable_eagle_block_drop,
            disable_lookahead_block_hashes,
            prompt_lookup_max,
            prompt_lookup_min,
            ..SpeculativeArgs::default()
        }
    }
}

prop_compose! {
    fn args()(
        drafter in drafter(),
        rejection_sample_method in maybe(prop::sample::select(vec!["standard", "block", "fly", "synthetic"])),
        synthetic_acceptance_rates in maybe(prop::collection::vec(-1.0..2.0, 0..5)),
        synthetic_acceptance_length in maybe(-1.0..9.0),
    ) -> SpeculativeArgs {
        SpeculativeArgs {
            rejection_sample_method: rejection_sample_method.map(str::to_owned),
            synthetic_acceptance_rates,
            synthetic_acceptance_length,
            ..drafter
        }
    }
}

/// What either answer has to be.
fn check(args: &SpeculativeArgs) {
    match args.resolve() {
        Ok(config) => {
            assert_eq!(Some(i64::from(config.num_speculative_tokens)), args.num_speculative_tokens, "{args:?}");
            for num_reqs in [0, 1, 2, 100, u32::MAX] {
                assert!(config.num_tokens_to_propose(num_reqs) <= config.num_speculative_tokens, "{args:?}");
            }
            assert!(args.synthetic(config.num_speculative_tokens, 1).is_ok(), "{args:?}");
        }
        Err(refused) => assert!(!refused.to_string().is_empty(), "{args:?}"),
    }
}

/// Values that such a key may be given by mistake.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9 ]{0,8}".prop_map(Value::from),
        prop::sample::select(vec!["ngram", "mtp", "qwen3_next_mtp", "suffix", "synthetic", "[ngram]"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::from))
}

fn key() -> impl Strategy<Value = String> {
    let known = [
        "method",
        "model",
        "num_speculative_tokens",
        "num-speculative-tokens",
        "num_speculative_tokens_per_batch_size",
        "parallel_drafting",
        "prompt_lookup_max",
        "rejection_sample_method",
        "synthetic_acceptance_rates",
        "synthetic_acceptance_length",
        "max_model_len",
        "disable_padded_drafter_batch",
        "enforce_eager",
    ];
    prop_oneof![8 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => "[a-z_.-]{0,12}"]
}

proptest! {
    #![proptest_config(draws(2000))]

    #[test]
    fn what_is_written_is_read_again(args in args()) {
        prop_assert_eq!(&SpeculativeArgs::from_json(&args.to_json()).expect("its own JSON"), &args);
        check(&args);
    }

    #[test]
    fn keys_one_by_one_are_the_whole(args in args()) {
        let keys: Map<String, Value> = args.clone().into();
        let mut set = SpeculativeArgs::default();
        for (key, value) in &keys {
            let flag = format!("--speculative-config.{}", key.replace('_', "-"));
            let key = SpeculativeArgs::key_of_flag(&flag).expect("a key's flag");
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            set.set_from_flag(key, &text).expect("its own value");
            prop_assert!(set.set_from_flag(key, &text).is_err(), "{} was taken twice", key);
        }
        prop_assert_eq!(set, args);
    }

    #[test]
    fn any_object_is_taken_or_refused_by_name(object in prop::collection::btree_map(key(), value(), 0..5)) {
        let text = Value::Object(object.into_iter().collect()).to_string();
        match SpeculativeArgs::from_json(&text) {
            Ok(args) => {
                prop_assert_eq!(&SpeculativeArgs::from_json(&args.to_json()).expect("its own JSON"), &args);
                check(&args);
            }
            Err(refused) => prop_assert!(refused.to_string().starts_with("speculative_config: "), "{}", refused),
        }
    }

    #[test]
    fn no_text_breaks_the_reader(text in "[\\[\\]{}:,\"a-z0-9_.eE+-]{0,60}", flag in "-{0,2}[a-z._-]{0,24}") {
        if let Ok(args) = SpeculativeArgs::from_json(&text) {
            check(&args);
        }
        let mut args = SpeculativeArgs::default();
        let key = SpeculativeArgs::key_of_flag(&flag).unwrap_or(&flag);
        if args.set_from_flag(key, &text).is_ok() {
            check(&args);
        }
    }
}
