//! Options that no workload can be made of: each is refused by name.

use sim_core::workload::WorkloadError;
use sim_core::workload::arrival::TrafficOptions;
use sim_core::workload::dataset::{Dataset, SampleOptions, Tokenizer, build, sample};
use sim_core::workload::lengths::{Lengths, RangeRatio};
use sim_core::workload::random::{PrefixRepetition, Random, Synthetic};

#[track_caller]
fn check(result: Result<impl std::fmt::Debug, WorkloadError>, expect: &str) {
    assert_eq!(result.expect_err("refused").to_string(), expect, "message");
}

#[test]
fn bad_options_are_named() {
    let random = |random: Random| sample(&Dataset::Random(random), &SampleOptions::default());
    check(
        random(Random { random_input_len: 0, ..Default::default() }),
        "random_input_len is 0; it must be longer: without the tokenizer's special tokens, a prompt could be empty",
    );
    check(
        random(Random { random_range_ratio: RangeRatio { input: 0.0, output: 1.0 }, ..Default::default() }),
        "random_range_ratio.output is 1; it must be in [0, 1)",
    );
    check(
        random(Random { random_output_len: u32::MAX, ..Default::default() }),
        "random_output_len is 4294967295; it must be at most 67108864 tokens",
    );
    check(
        random(Random { random_output_len: 1 << 26, ..Default::default() }),
        "request 0: prompt and output have 67109888 tokens together; the limit is 67108864",
    );
    let of = |options: SampleOptions| sample(&Dataset::Random(Random::default()), &options);
    check(
        of(SampleOptions { num_prompts: None, ..Default::default() }),
        "num_prompts is absent; it must be given for a generated dataset",
    );
    check(
        of(SampleOptions { num_prompts: Some(0), ..Default::default() }),
        "num_prompts is 0; it must be from 1 to 10000000",
    );
    let tokenizer = Tokenizer { vocab_size: 1, ..Default::default() };
    check(
        of(SampleOptions { tokenizer, ..Default::default() }),
        "vocab_size is 1; it must be larger than num_special_ids, and at least 1/64 of the prompt length",
    );
    let repetition = |prefix_repetition_num_prefixes, prefix_repetition_suffix_len| {
        let dataset =
            PrefixRepetition { prefix_repetition_num_prefixes, prefix_repetition_suffix_len, ..Default::default() };
        sample(&Dataset::PrefixRepetition(dataset), &SampleOptions::default())
    };
    check(
        repetition(1001, 1),
        "prefix_repetition_num_prefixes is 1001; it must be from 1 to num_prompts: every prefix gets as many requests",
    );
    check(
        repetition(1, 1 << 26),
        "67108864256 random tokens in all prefixes and suffixes together (see num_prompts, \
         prefix_repetition_prefix_len and prefix_repetition_suffix_len); the limit is 2147483648",
    );
    let synthetic = |input_len| {
        let dataset = Synthetic { input_len, output_len: Lengths::Fixed(1), prefix_len: 0 };
        sample(&Dataset::Synthetic(dataset), &SampleOptions::default())
    };
    check(synthetic(Lengths::Fixed(0)), "input_len is 0; it must be from 1 to 67108864 tokens");
    check(
        synthetic(Lengths::List(vec![1; 999])),
        "input_len is a list of 999 lengths; it must be a list of at least num_prompts lengths",
    );
    check(
        synthetic(Lengths::LogNormal { median: f64::NAN, sigma: 1.0, min: 1, max: 2 }),
        "input_len is log-normal with median NaN; it must be log-normal with a finite median above 0",
    );
    let self_timed = TrafficOptions { self_timed: Some(true), ..Default::default() };
    check(
        build(&Dataset::Random(Random::default()), &SampleOptions::default(), &self_timed),
        "self_timed is true; it must be left out: this dataset has no timestamps",
    );
}
