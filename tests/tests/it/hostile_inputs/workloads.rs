//! Files of requests and options of traffic with one thing broken each.

use sim_core::workload::arrival::{RampUpStrategy, TrafficOptions};
use sim_core::workload::dataset::{Dataset, SampleOptions, Tokenizer, build, sample};
use sim_core::workload::lengths::{Lengths, RangeRatio};
use sim_core::workload::random::{PrefixRepetition, Random, Synthetic};
use sim_core::workload::text::{Custom, ShareGpt, TokenCounter};
use sim_core::workload::timed_trace::{TimedTrace, TimedTraceOptions};
use sim_core::workload::trace::{BurstGpt, MAX_TRACE_BYTES, RecordedTrace};
use sim_core::workload::{Workload, WorkloadError};

use super::check_text;

const AZURE: &str = "TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
";
const BURSTGPT: &str = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45.5,GPT-4,1087,230,1317,API log
";
const TIMED: &str = r#"{"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [1, 2]}
{"timestamp": 10, "input_length": 700, "output_length": 6, "hash_ids": [1, 3]}
"#;

/// `of` with `from`, which it holds, replaced.
#[track_caller]
fn replaced(of: &str, from: &str, to: &str) -> String {
    assert!(of.contains(from), "no {from}");
    of.replace(from, to)
}

#[track_caller]
fn check(name: &str, result: Result<impl Sized, WorkloadError>) {
    let error = result.err().unwrap_or_else(|| panic!("{name} must be refused"));
    check_text(&format!("workload_{name}"), &error);
}

#[test]
fn a_bad_azure_trace_is_refused() {
    let check = |name: &str, csv: &[u8]| check(&format!("azure_{name}"), RecordedTrace::from_azure_csv(csv));
    let row = |from: &str, to: &str| replaced(AZURE, from, to).into_bytes();
    check("empty", b"");
    check("missing_column", &row(",GeneratedTokens", ""));
    check("wrong_header", b"time,prompt,answer\n1,2,3\n");
    check("other_separator", replaced(AZURE, ",", ";").as_bytes());
    check("json", TIMED.as_bytes());
    check("no_date", &row("2023-11-16 18:15:50.9951690", "50.9"));
    check("month_13", &row("2023-11-16 18:15:50", "2023-13-16 18:15:50"));
    check("negative_tokens", &row("396", "-396"));
    check("fraction_of_tokens", &row("396", "396.5"));
    check("more_tokens_than_the_limit", &row("396", "67108865"));
    check("too_few_fields", &row(",396,109", ",396"));
    check("open_quote", &row(",374", ",\"374"));
    check("not_utf8", &[AZURE.as_bytes(), b"2023-11-16 18:15:51,\xff,1\n"].concat());
    check("row_too_long", &row("396", &"9".repeat(70_000)));
    check("too_many_columns", &row("396", &",".repeat(300)));
    check("file_too_large", &vec![0; MAX_TRACE_BYTES + 1]);
}

#[test]
fn a_bad_burstgpt_trace_is_refused() {
    let check = |name: &str, csv: &str| {
        check(&format!("burstgpt_{name}"), RecordedTrace::from_burstgpt_csv(csv.as_bytes(), None));
    };
    check("missing_column", &replaced(BURSTGPT, "Model,", ""));
    check("negative_timestamp", &replaced(BURSTGPT, "45.5", "-45.5"));
    check("timestamp_is_a_date", &replaced(BURSTGPT, "45.5", "2023-11-16"));
    check("timestamp_is_nan", &replaced(BURSTGPT, "45.5", "nan"));
    check("timestamp_too_late", &replaced(BURSTGPT, "45.5", "1e10"));
    check("tokens_are_text", &replaced(BURSTGPT, "1087", "many"));
    check("sum_beyond_the_limit", &replaced(BURSTGPT, "1087", "67108865"));
}

#[test]
fn traces_without_a_usable_row_are_refused() {
    let all = SampleOptions { num_prompts: None, ..SampleOptions::default() };
    let of = |dataset: &Dataset<'_>| build(dataset, &all, &TrafficOptions::default());
    let header = RecordedTrace::from_azure_csv(&AZURE.as_bytes()[..40]).expect("a header");
    check("azure_header_only", of(&Dataset::Recorded(header)));
    let long = RecordedTrace::from_azure_csv(replaced(AZURE, "374,44", "67108864,44").as_bytes()).expect("each fits");
    check("azure_prompt_and_output_too_long", of(&Dataset::Recorded(long)));
    let other = BurstGpt::from_csv(replaced(BURSTGPT, "GPT-4", "GPT-5").as_bytes()).expect("rows");
    check("burstgpt_other_model", of(&Dataset::BurstGpt(other)));
}

#[test]
fn a_bad_timed_trace_is_refused() {
    let with = |jsonl: &str, options| {
        sample(&Dataset::TimedTrace(TimedTrace { jsonl: jsonl.as_bytes(), options }), &SampleOptions::default())
    };
    let check = |name: &str, jsonl: &str, options| check(&format!("timed_trace_{name}"), with(jsonl, options));
    let mooncake = TimedTraceOptions::mooncake;
    check("empty", "\n\n", mooncake());
    check("csv", AZURE, mooncake());
    check("array", &format!("[{}]", TIMED.lines().next().expect("a line")), mooncake());
    check("truncated", &TIMED[..TIMED.len() - 10], mooncake());
    check("two_on_a_line", &replaced(TIMED, "\n{", "{"), mooncake());
    check("missing_field", &replaced(TIMED, "\"output_length\": 6", "\"out\": 6"), mooncake());
    check("negative_length", &replaced(TIMED, "700", "-700"), mooncake());
    check("fraction_as_length", &replaced(TIMED, "700", "7.5"), mooncake());
    check("length_as_text", &replaced(TIMED, "700", "\"700\""), mooncake());
    check("length_too_large", &replaced(TIMED, "700", "1e30"), mooncake());
    check("long_text_as_length", &replaced(TIMED, "700", &format!("\"{}\"", "x".repeat(5000))), mooncake());
    check("timestamp_is_a_date", &replaced(TIMED, "10,", "\"2023-11-16 18:15:46\","), mooncake());
    check("timestamp_null", &replaced(TIMED, "10,", "null,"), mooncake());
    check("timestamp_too_late", &replaced(TIMED, "10,", "1e30,"), mooncake());
    check("hashes_no_list", &replaced(TIMED, "[1, 3]", "3"), mooncake());
    check("hash_as_text", &replaced(TIMED, "[1, 3]", "[1, \"a\"]"), mooncake());
    check("deep_nesting", &"[".repeat(1 << 20), mooncake());
    check("no_chunk_size", TIMED, TimedTraceOptions { timed_trace_chunk_hash_size: 0, ..mooncake() });
    check("backward_clock", TIMED, TimedTraceOptions { timed_trace_sec_multiplier: -1.0, ..mooncake() });
    check("other_labels", TIMED, TimedTraceOptions { timed_trace_label_timestamp: "time".into(), ..mooncake() });
}

#[test]
fn bad_texts_are_refused() {
    let words = |text: &str| text.split_whitespace().count();
    let counter = TokenCounter(&words);
    let custom = |name: &str, jsonl: &str| {
        let dataset = Dataset::Custom(Custom { jsonl: jsonl.as_bytes(), custom_output_len: None, counter });
        check(&format!("custom_{name}"), sample(&dataset, &SampleOptions::default()));
    };
    custom("no_prompt", r#"{"output_tokens": 3}"#);
    custom("no_length", r#"{"prompt": "a b"}"#);
    custom("length_0", r#"{"prompt": "a b", "output_tokens": 0}"#);
    custom("empty_prompt", r#"{"prompt": "", "output_tokens": 3}"#);
    custom("prompt_is_a_list", r#"{"prompt": ["a"], "output_tokens": 3}"#);
    let sharegpt = |name: &str, json: &str| {
        let dataset = Dataset::ShareGpt(ShareGpt { json: json.as_bytes(), sharegpt_output_len: None, counter });
        check(&format!("sharegpt_{name}"), sample(&dataset, &SampleOptions::default()));
    };
    sharegpt("object", "{\"conversations\": []}");
    sharegpt("truncated", "[\n{\"conversations\": [{\"value\": \"a b c d\"},");
    sharegpt("no_value", r#"[{"conversations": [{"from": "human"}, {"value": "a b c d"}]}]"#);
    sharegpt("value_is_a_number", "[\n{\"conversations\": [{\"value\": 1}, {\"value\": 2}]}]");
    sharegpt("all_too_short", r#"[{"conversations": [{"value": "a"}, {"value": "b"}]}]"#);
}

#[test]
fn a_bad_range_ratio_is_refused() {
    for (name, text) in [
        ("1", "1"),
        ("negative", "-0.5"),
        ("nan", "nan"),
        ("percent", "50%"),
        ("half_an_object", r#"{"input": 0.5}"#),
        ("output_too_large", r#"{"input": 0.5, "output": 1.5}"#),
    ] {
        check(&format!("range_ratio_{name}"), RangeRatio::parse(text));
    }
}

fn generated(dataset: Dataset<'_>, options: SampleOptions) -> Result<Workload, WorkloadError> {
    build(&dataset, &options, &TrafficOptions::default())
}

#[test]
fn a_bad_generated_dataset_is_refused() {
    let (options, random) = (SampleOptions::default(), Random::default());
    let check_random = |name: &str, random, options| {
        check(&format!("random_{name}"), generated(Dataset::Random(random), options));
    };
    check_random("no_input", Random { random_input_len: 0, ..random }, options);
    check_random("input_too_long", Random { random_input_len: 1 << 27, ..random }, options);
    check_random("prefix_too_long", Random { random_prefix_len: u32::MAX, ..random }, options);
    check_random("no_prompts", random, SampleOptions { num_prompts: Some(0), ..options });
    check_random("too_many_prompts", random, SampleOptions { num_prompts: Some(10_000_001), ..options });
    check_random("unknown_number_of_prompts", random, SampleOptions { num_prompts: None, ..options });
    let no_words = Tokenizer { vocab_size: 10, num_special_ids: 10, num_special_tokens_to_add: 0 };
    check_random("no_vocabulary", random, SampleOptions { tokenizer: no_words, ..options });

    let repetition = PrefixRepetition { prefix_repetition_num_prefixes: 0, ..PrefixRepetition::default() };
    check("prefix_repetition_no_prefixes", generated(Dataset::PrefixRepetition(repetition), options));
    let repetition = PrefixRepetition { prefix_repetition_suffix_len: 1 << 26, ..PrefixRepetition::default() };
    check("prefix_repetition_too_many_draws", generated(Dataset::PrefixRepetition(repetition), options));

    let check_lengths = |name: &str, input_len| {
        let synthetic = Synthetic { input_len, output_len: Lengths::Fixed(1), prefix_len: 0 };
        check(&format!("lengths_{name}"), generated(Dataset::Synthetic(synthetic), options));
    };
    check_lengths("0", Lengths::Fixed(0));
    check_lengths("reversed_range", Lengths::Uniform { low: 20, high: 10 });
    check_lengths("median_nan", Lengths::LogNormal { median: f64::NAN, sigma: 1.0, min: 1, max: 9 });
    check_lengths("negative_sigma", Lengths::LogNormal { median: 5.0, sigma: -1.0, min: 1, max: 9 });
    check_lengths("weights_missing", Lengths::Empirical { values: vec![1, 2], weights: vec![1.0] });
    check_lengths("weights_all_0", Lengths::Empirical { values: vec![1, 2], weights: vec![0.0, 0.0] });
    check_lengths("list_too_short", Lengths::List(vec![1, 2, 3]));
}

#[test]
fn bad_traffic_is_refused() {
    let traffic = TrafficOptions::default();
    let ramp = TrafficOptions { ramp_up_strategy: Some(RampUpStrategy::Linear), ..traffic };
    for (name, traffic) in [
        ("rate_0", TrafficOptions { request_rate: 0.0, ..traffic }),
        ("rate_negative", TrafficOptions { request_rate: -3.0, ..traffic }),
        ("rate_nan", TrafficOptions { request_rate: f64::NAN, ..traffic }),
        ("rate_too_low_to_end", TrafficOptions { request_rate: 1e-300, ..traffic }),
        ("burstiness_0", TrafficOptions { burstiness: 0.0, ..traffic }),
        ("burstiness_nan", TrafficOptions { burstiness: f64::NAN, ..traffic }),
        ("ramp_up_without_start", TrafficOptions { ramp_up_end_rps: Some(5), ..ramp }),
        ("ramp_up_without_end", TrafficOptions { ramp_up_start_rps: Some(5), ..ramp }),
        ("ramp_up_from_0", TrafficOptions { ramp_up_start_rps: Some(0), ramp_up_end_rps: Some(5), ..ramp }),
        ("ramp_up_down", TrafficOptions { ramp_up_start_rps: Some(5), ramp_up_end_rps: Some(4), ..ramp }),
        ("ramp_up_and_rate", TrafficOptions { request_rate: 3.0, ..ramp }),
        ("concurrency_0", TrafficOptions { max_concurrency: Some(0), ..traffic }),
        ("self_timed_without_times", TrafficOptions { self_timed: Some(true), ..traffic }),
    ] {
        let dataset = Dataset::Random(Random::default());
        check(&format!("traffic_{name}"), build(&dataset, &SampleOptions::default(), &traffic));
    }
}
