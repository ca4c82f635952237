//! Files of requests: how they are read, and how bad ones are refused. None does harm.

use sim_core::rng::PythonRandom;
use sim_core::time::SimTime;
use sim_core::workload::arrival::TrafficOptions;
use sim_core::workload::dataset::{Dataset, SampleOptions, build, sample};
use sim_core::workload::text::{Custom, ShareGpt, TokenCounter};
use sim_core::workload::timed_trace::{TimedTrace, TimedTraceOptions};
use sim_core::workload::trace::{BurstGpt, RecordedTrace, TraceKind, recognise};
use sim_core::workload::{Traffic, WorkloadError};

const AZURE: &str = "TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:15:51.2220000,0,5
2023-11-16 18:15:50.0000000,12,7
";

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn all() -> SampleOptions {
    SampleOptions { num_prompts: None, ..Default::default() }
}

fn timed_trace(jsonl: &str) -> Dataset<'_> {
    Dataset::TimedTrace(TimedTrace { jsonl: jsonl.as_bytes(), options: TimedTraceOptions::mooncake() })
}

fn custom(jsonl: &str) -> Dataset<'_> {
    Dataset::Custom(Custom { jsonl: jsonl.as_bytes(), custom_output_len: None, counter: TokenCounter(&words) })
}

fn sharegpt(json: &str) -> Dataset<'_> {
    Dataset::ShareGpt(ShareGpt { json: json.as_bytes(), sharegpt_output_len: None, counter: TokenCounter(&words) })
}

#[track_caller]
fn check(result: Result<impl std::fmt::Debug, WorkloadError>, expect: &str) {
    assert_eq!(result.expect_err("refused").to_string(), expect, "message");
}

#[test]
fn an_azure_trace_is_read_in_order_of_time_from_its_first_request() {
    let trace = RecordedTrace::from_azure_csv(AZURE.as_bytes()).unwrap();
    assert_eq!(trace.num_skipped, 1);
    let workload = build(&Dataset::Recorded(trace), &all(), &TrafficOptions::default()).unwrap();
    let lengths: Vec<_> =
        workload.requests.as_slice().iter().map(|r| (r.num_prompt_tokens, r.num_output_tokens)).collect();
    assert_eq!(lengths, [(374, 44), (12, 7), (396, 109)]);
    let send_times = [0, 3_319_410_000, 4_314_579_000].map(SimTime::from_nanos).to_vec();
    assert_eq!(workload.traffic, Traffic::Timed { send_times, max_concurrency: None });
}

#[test]
fn a_burstgpt_trace_keeps_answered_requests_of_one_model() {
    let csv = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45.5,GPT-4,1087,230,1317,API log
118,GPT-4,417.0,0,417,API log
120,GPT-4,417,276,693,API log
";
    let trace = RecordedTrace::from_burstgpt_csv(csv.as_bytes(), Some("GPT-4")).unwrap();
    let rows: Vec<_> =
        trace.requests.iter().map(|r| (r.send_time.as_secs_f64(), r.num_prompt_tokens, r.num_output_tokens)).collect();
    assert_eq!(rows, [(0.0, 1087, 230), (74.5, 417, 276)]);
    assert_eq!(trace.num_skipped, 1);
    assert_eq!(RecordedTrace::from_burstgpt_csv(csv.as_bytes(), None).unwrap().requests.len(), 3);
    assert_eq!(
        sample(&Dataset::BurstGpt(BurstGpt::from_csv(csv.as_bytes()).unwrap()), &all()).unwrap().requests.len(),
        2
    );
}

#[test]
fn traces_are_recognised_by_their_first_line() {
    assert_eq!(recognise(AZURE.as_bytes()), Some(TraceKind::Azure));
    assert_eq!(recognise(format!("\u{feff}{AZURE}").as_bytes()), Some(TraceKind::Azure));
    let burstgpt = b"Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\r\n";
    assert_eq!(recognise(burstgpt), Some(TraceKind::BurstGpt));
    let mooncake = br#"{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0,1,2,3,4,5,6,7,8,9,10,11,12,13]}"#;
    assert_eq!(recognise(mooncake), Some(TraceKind::TimedTrace(TimedTraceOptions::mooncake())));
    let bailian = br#"{"chat_id": 1, "timestamp": 0.5, "input_length": 33, "output_length": 5, "hash_ids": [0,1,2]}"#;
    assert_eq!(recognise(bailian), Some(TraceKind::TimedTrace(TimedTraceOptions::default())));
    let file = |name: &str| crate::profile_fixture::file(&format!("data/bench_serve/{name}.jsonl"));
    let kind = |options| Some(TraceKind::TimedTrace(options));
    // Its first prompt has 32 tokens and one hash: only the others say that this is not one of 512.
    assert_eq!(recognise(&file("timed_trace_bailian")), kind(TimedTraceOptions::default()));
    assert_eq!(recognise(&file("timed_trace_mooncake")), kind(TimedTraceOptions::mooncake()));
    for (lines, expect) in [
        (&[(2048, 4), (8192, 16)][..], TimedTraceOptions::mooncake()),
        (&[(2048, 4), (600, 3)], TimedTraceOptions::default()),
        (&[(40, 1), (31, 0), (513, 2)], TimedTraceOptions::mooncake()),
        (&[(16, 1), (31, 1)], TimedTraceOptions::default()),
        (&[(700, 0)], TimedTraceOptions::default()),
        (&[(33, 2), (512, 32)], TimedTraceOptions::default()),
    ] {
        let line = |&(length, num_hashes): &(u32, u32)| {
            let hashes: Vec<u32> = (0..num_hashes).collect();
            format!(
                "{{\"timestamp\": 0, \"input_length\": {length}, \"output_length\": 1, \"hash_ids\": {hashes:?}}}\n"
            )
        };
        let text: String = lines.iter().map(line).collect();
        assert_eq!(recognise(text.as_bytes()), kind(expect), "{text}");
    }
    for other in ["", "\n", "{}", "a,b,c", "[{\"conversations\": []}]", "{\"prompt\": \"t1\"}", "\u{0}"] {
        assert_eq!(recognise(other.as_bytes()), None, "{other:?}");
    }
}

#[test]
fn a_bad_row_is_named_by_line_field_and_value() {
    let azure = |csv: &str| RecordedTrace::from_azure_csv(csv.as_bytes());
    check(azure(""), "the dataset yields no request: it is empty, or every entry was filtered out");
    check(
        azure("TIMESTAMP,GeneratedTokens\n"),
        "line 1: the header names no column ContextTokens; it must name TIMESTAMP, ContextTokens, GeneratedTokens, separated by commas",
    );
    check(
        azure(&AZURE.replace("396", "39x")),
        "line 3: ContextTokens is 39x; it must be a whole number up to 67108864",
    );
    check(
        azure(&AZURE.replace("396", "67108865")),
        "line 3: ContextTokens is 67108865; it must be a whole number up to 67108864",
    );
    check(
        azure(&AZURE.replace("2023-11-16 18:15:51", "noon")),
        "line 4: TIMESTAMP is noon.2220000; it must be a date and time such as 2023-11-16 18:15:46.6805900",
    );
    for end_of_line in ["\r\n", "\n\n", "\r\n\r\n"] {
        let line = 1 + 2 * end_of_line.matches('\n').count();
        check(
            azure(&AZURE.replace("396", "39x").replace('\n', end_of_line)),
            &format!("line {line}: ContextTokens is 39x; it must be a whole number up to 67108864"),
        );
    }
    check(
        azure(&AZURE.replace(",109", "")),
        "line 3: GeneratedTokens is empty; it must be a whole number up to 67108864",
    );
    check(
        azure(&format!("{}x", AZURE.replace("374", &"9".repeat(70_000)))),
        "line 2: the row has more than 65536 bytes (is a quote left open?)",
    );
    check(azure(&AZURE.replace("374", &",".repeat(300))), "line 2: the row has more than 256 columns");
    check(
        RecordedTrace::from_azure_csv(b"TIMESTAMP,ContextTokens,GeneratedTokens\n\xff,1,1\n"),
        "line 2: the row is not UTF-8",
    );
}

#[test]
fn a_bad_line_of_a_timed_trace_is_named() {
    let of = |line: &str| sample(&timed_trace(&format!("\n{line}\n")), &all());
    let good = r#"{"timestamp": 1, "input_length": 5, "output_length": 2, "hash_ids": [7]}"#;
    assert_eq!(of(good).unwrap().requests.len(), 1);
    check(of(&good.replace("5", "-5")), "line 2: input_length is -5; it must be a whole number up to 67108864");
    check(
        of(&good.replace("output_length", "x")),
        "line 2: output_length is absent; it must be a whole number up to 67108864",
    );
    check(of(&good.replace("1,", "\"soon\",")), "line 2: timestamp is \"soon\"; it must be a number");
    check(of(&good.replace("[7]", "7")), "line 2: found number `7`; it must be an array (column 69)");
    check(
        of(&good.replace("1,", "1e300,")),
        "request 0 would be sent after 1e297 s; the limit is 1000000000 s: see request_rate, burstiness and the trace's \
         timestamps",
    );
    check(of("[1]"), "line 2: found an array; it must be an object");
    check(of(&"[".repeat(100_000)), "line 2: found an array; it must be an object");
    let nothing_to_generate = sample(&timed_trace(&format!("{good}\n{}", good.replace("2,", "0,"))), &all()).unwrap();
    assert_eq!((nothing_to_generate.requests.len(), nothing_to_generate.num_skipped), (1, 1));
}

#[test]
fn bad_texts_are_named() {
    check(sample(&sharegpt("{}"), &all()), "line 1: found an object; it must be an array");
    check(
        sample(&sharegpt("[\n{\"conversations\": 1}]"), &all()),
        "line 2: found number `1`; it must be an array of turns (column 19)",
    );
    check(
        sample(&sharegpt(r#"[{"conversations": [{"from": "x"}, {"value": "a b c d"}]}]"#), &all()),
        "value is absent in entry 0 after shuffling; it must be in both first turns of every conversation",
    );
    check(
        sample(&sharegpt("[]"), &all()),
        "the dataset yields no request: it is empty, or every entry was filtered out",
    );
    check(
        sample(&custom("{\"prompt\": \"t1\", \"output_tokens\": 0}"), &all()),
        "line 1: output_tokens is 0; it must be from 1 to 67108864, or custom_output_len be given",
    );
    check(sample(&custom("{\"output_tokens\": 3}"), &all()), "line 1: prompt is absent; it must be a text");
    check(
        sample(&custom("{\"prompt\": \"\", \"output_tokens\": 3}"), &all()),
        "request 0: the prompt is empty; the decoder prompt must have at least 1 token",
    );
}

/// Reads `bytes` as every format; only whether that returns is of interest.
fn read_as_everything(bytes: &[u8]) -> usize {
    let counter = TokenCounter(&words);
    let options = TimedTraceOptions::mooncake();
    let mut datasets = vec![
        Dataset::ShareGpt(ShareGpt { json: bytes, sharegpt_output_len: None, counter }),
        Dataset::Custom(Custom { jsonl: bytes, custom_output_len: None, counter }),
        Dataset::TimedTrace(TimedTrace { jsonl: bytes, options }),
    ];
    datasets.extend(RecordedTrace::from_azure_csv(bytes).map(Dataset::Recorded));
    datasets.extend(RecordedTrace::from_burstgpt_csv(bytes, None).map(Dataset::Recorded));
    datasets.extend(BurstGpt::from_csv(bytes).map(Dataset::BurstGpt));
    let known = usize::from(recognise(bytes).is_some());
    known + datasets.iter().filter(|dataset| build(dataset, &all(), &TrafficOptions::default()).is_ok()).count()
}

#[test]
fn damaged_files_never_panic() {
    let files = [
        AZURE.to_owned(),
        "Timestamp,Model,Request tokens,Response tokens\n5,GPT-4,9,8\n6.5,GPT-4,7,6\n".to_owned(),
        r#"{"timestamp": 10, "input_length": 600, "output_length": 5, "hash_ids": [1, 2]}"#.to_owned(),
        r#"{"prompt": "t1 t2", "output_tokens": 3}"#.to_owned(),
        r#"[{"conversations": [{"value": "a b c d"}, {"value": "a b c d e"}]}]"#.to_owned(),
    ];
    let mut rng = PythonRandom::new(0);
    let mut read = 0;
    for file in files {
        assert!(read_as_everything(file.as_bytes()) > 0, "undamaged: {file}");
        for end in 0..file.len() {
            read += read_as_everything(&file.as_bytes()[..end]);
        }
        for _ in 0..500 {
            let mut bytes = file.clone().into_bytes();
            for _ in 0..=rng.randrange(3) {
                let at = rng.randrange(bytes.len().try_into().unwrap()) as usize;
                let interesting = *b"\"\\,{}[]-+.:eE019 \n\r\xff\0T";
                bytes[at] = interesting[rng.randrange(interesting.len().try_into().unwrap()) as usize];
            }
            read += read_as_everything(&bytes);
        }
    }
    assert!(read > 100, "some of the damaged files can still be read: {read}");
}
