//! Tables of requests: which column is what, which unit, who goes on from whom; and how bad ones are refused.

use sim_core::request::RequestId;
use sim_core::request_set::RequestSet;
use sim_core::scenario::{DatasetName, Scenario, dataset_flags};
use sim_core::time::SimDuration;
use sim_core::workload::dataset::{Dataset, Sample, SampleOptions, sample};
use sim_core::workload::table::{ColumnNames, SessionReplay, Table, TableOptions, TimeUnit};
use sim_core::workload::trace::{TraceKind, recognise};
use sim_core::workload::{After, WorkloadError};

fn read(file: &str, options: TableOptions) -> Result<Sample, WorkloadError> {
    let all = SampleOptions { num_prompts: None, ..SampleOptions::default() };
    sample(&Dataset::Table(Table { file: file.as_bytes(), options }), &all)
}

fn said(columns: &str) -> TableOptions {
    TableOptions { columns: ColumnNames::parse(columns).expect("columns of a test"), ..TableOptions::default() }
}

/// Seconds, prompt and output of each request, and what was taken for what.
#[track_caller]
fn check(file: &str, options: TableOptions, expect: &[(f64, u32, u32)], columns: &str) {
    let sample = read(file, options).unwrap_or_else(|error| panic!("{file}: {error}"));
    let times = sample.send_times.clone().unwrap_or_else(|| vec![Default::default(); sample.requests.len()]);
    let found: Vec<(f64, u32, u32)> = times
        .iter()
        .zip(sample.requests.as_slice())
        .map(|(time, request)| (time.as_secs_f64(), request.num_prompt_tokens, request.num_output_tokens))
        .collect();
    assert_eq!(found, expect, "{file}");
    assert_eq!(sample.notes[0], format!("the dataset's columns: {columns}"), "{file}");
}

/// The formats of others, as their first rows are written.
#[test]
fn published_formats_are_known_by_their_columns() {
    let none = TableOptions::default;
    // Vidur, data/processed_traces/splitwise_conv.csv, and the one without times.
    check(
        "arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,374,44\n4.314579,396,109\n",
        none(),
        &[(0.0, 374, 44), (4.314_579, 396, 109)],
        "time from arrived_at (seconds), prompt from num_prefill_tokens, output from num_decode_tokens",
    );
    check(
        "num_prefill_tokens,num_decode_tokens,pd_ratio\n2500,300,8.3\n",
        none(),
        &[(0.0, 2500, 300)],
        "prompt from num_prefill_tokens, output from num_decode_tokens",
    );
    // LLMServingSim, dataset/example_trace.jsonl.
    check(
        "{\"input_toks\":3,\"output_toks\":7,\"arrival_time_ns\":46926808,\"input_tok_ids\":[1,2,3]}\n\
         {\"input_toks\":2,\"output_toks\":9,\"arrival_time_ns\":347926808,\"input_tok_ids\":[1,9]}\n",
        none(),
        &[(0.0, 3, 7), (0.301, 2, 9)],
        "time from arrival_time_ns (nanoseconds), prompt from input_toks, output from output_toks, tokens from \
         input_tok_ids",
    );
    // inference-perf, docs/tracegen.md.
    check(
        "{\"timestamp\":0.0,\"shared_prefix_length\":200,\"tail_input_length\":50,\"output_length\":150,\
         \"shared_prefix_id\":1}\n{\"timestamp\":1.5,\"shared_prefix_length\":400,\"tail_input_length\":50,\
         \"output_length\":150,\"shared_prefix_id\":2}\n",
        none(),
        &[(0.0, 250, 150), (1.5, 450, 150)],
        "time from timestamp (seconds), output from output_length, prefix from shared_prefix_id, prefix-len from \
         shared_prefix_length, suffix from tail_input_length",
    );
    // GuideLLM, docs/guides/datasets.md.
    check(
        "prompt,prompt_tokens_count,output_tokens_count\n\"Say, \"\"hello\"\"\",12,30\n",
        none(),
        &[(0.0, 12, 30)],
        "prompt from prompt_tokens_count, output from output_tokens_count",
    );
    // Azure and BurstGPT, as tables.
    check(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,9\n",
        none(),
        &[(0.0, 374, 44), (4.314_579, 396, 9)],
        "time from TIMESTAMP (dates), prompt from ContextTokens, output from GeneratedTokens",
    );
    check(
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472.0,18,490,Conversation log\n",
        none(),
        &[(0.0, 472, 18)],
        "time from Timestamp (seconds), prompt from Request tokens, output from Response tokens",
    );
}

#[test]
fn columns_and_units_can_be_said_and_times_are_put_in_order() {
    let rows = "when;in;answer\n30;10;3\n10;7;2\n";
    let columns = "time from when (milliseconds), prompt from in, output from answer";
    let options =
        TableOptions { time_unit: Some(TimeUnit::Milliseconds), ..said("time=when, prompt=in,output=answer") };
    check(rows, options, &[(0.0, 7, 2), (0.02, 10, 3)], columns);
    let seconds = said("time=when,prompt=in,output=answer");
    check(rows, seconds, &[(0.0, 7, 2), (20.0, 10, 3)], &columns.replace("milliseconds", "seconds"));
    let tabs = rows.replace(';', "\t");
    check(
        &tabs,
        said("time=when,prompt=in,output=answer"),
        &[(0.0, 7, 2), (20.0, 10, 3)],
        &columns.replace("milli", ""),
    );
    // What counts from 1970 tells its unit by its size, to the nanosecond where it is whole.
    for (first, second, unit) in [
        ("1700158546", "1700158547.5", "seconds"),
        ("1700158546000", "1700158547500", "milliseconds"),
        ("1700158546000000", "1700158547500000", "microseconds"),
        ("1700158546000000001", "1700158547500000001", "nanoseconds"),
    ] {
        let rows = format!("ts,prompt_tokens,output_tokens\n{first},1,2\n{second},3,4\n");
        let columns = format!("time from ts ({unit}), prompt from prompt_tokens, output from output_tokens");
        check(&rows, TableOptions::default(), &[(0.0, 1, 2), (1.5, 3, 4)], &columns);
    }
}

/// The sequence of request `id`, prompt and output, one number for each token.
fn tokens(requests: &RequestSet, id: u32) -> Vec<u64> {
    let runs = requests.runs(requests.get(RequestId(id)));
    runs.iter().flat_map(|run| run.start..run.start + u64::from(run.len)).collect()
}

/// Tokens that the prompts of two requests begin with, the first one's output taken for part of it.
fn shared(requests: &RequestSet, first: u32, second: u32) -> usize {
    let prompt = requests.get(RequestId(second)).num_prompt_tokens as usize;
    let (first, second) = (tokens(requests, first), tokens(requests, second));
    first.iter().zip(&second[..prompt]).take_while(|(a, b)| a == b).count()
}

fn after(request: u32, seconds: f64) -> Option<After> {
    Some(After { request: RequestId(request), delay: SimDuration::from_secs_f64(seconds) })
}

#[test]
fn turns_of_a_session_begin_with_the_prompt_and_the_answer_before() {
    let rows = "time,session,prompt_tokens,output_tokens,think_time_ms
0,a,100,20,
1,b,50,10,
9,a,150,30,2500
20,a,155,5,0
30,a,90,5,0
40,,90,5,0
";
    let sample = read(rows, TableOptions::default()).unwrap();
    let requests = &sample.requests;
    assert_eq!(shared(requests, 0, 1), 0, "sessions have nothing in common");
    assert_eq!(shared(requests, 0, 2), 120, "prompt and answer");
    assert_eq!(shared(requests, 2, 3), 150, "the prompt alone: there is no room for the answer");
    assert_eq!(shared(requests, 3, 4), 0, "a shorter one has lost its beginning");
    assert_eq!(sample.after, [None, None, after(0, 2.5), after(2, 0.0), after(3, 0.0), None]);
    assert!(sample.notes.iter().any(|note| note.starts_with("3 of 6 requests are sent after")), "{:?}", sample.notes);
    assert!(sample.notes.iter().any(|note| note.starts_with("1 turns have a shorter")), "{:?}", sample.notes);
    let open = TableOptions { session_replay: SessionReplay::Open, ..TableOptions::default() };
    let open = read(rows, open).unwrap();
    assert!(open.after.is_empty(), "at their own times");
    assert_eq!(shared(&open.requests, 0, 2), 120, "with the same prompts");
}

#[test]
fn parents_are_found_by_their_ids_and_hashes_say_what_prompts_share() {
    // Qwen-Bailian, README.md: 16 tokens for each hash.
    let rows = r#"{"chat_id": 5, "parent_chat_id": -1, "timestamp": 1.0, "input_length": 40, "output_length": 4, "type": "text", "turn": 1, "hash_ids": [1, 2, 3]}
{"chat_id": 7, "parent_chat_id": 5, "timestamp": 61.1, "input_length": 70, "output_length": 4, "type": "text", "turn": 2, "hash_ids": [1, 2, 4, 5, 6]}
{"chat_id": 8, "parent_chat_id": 5, "timestamp": 62.0, "input_length": 33, "output_length": 4, "type": "text", "turn": 2, "hash_ids": [1, 2, 9]}
{"chat_id": 9, "parent_chat_id": 999, "timestamp": 63.0, "input_length": 33, "output_length": 4, "type": "text", "turn": 2, "hash_ids": [8, 2, 9]}
"#;
    let sample = read(rows, TableOptions::default()).unwrap();
    assert_eq!(sample.after, [None, after(0, 0.0), after(0, 0.0), None]);
    assert_eq!([1, 2, 3].map(|id| shared(&sample.requests, 0, id)), [32, 32, 0]);
    assert!(sample.notes[0].contains("hashes from hash_ids (16 tokens each)"), "{}", sample.notes[0]);
    assert_eq!(recognise(rows.as_bytes()).map(|kind| kind.name()), Some("a timed trace"), "vLLM reads it so");
}

#[test]
fn turns_may_stand_in_the_row_of_their_session() {
    // LLMServingSim's agentic sessions.
    let rows = r#"{"session_id": "s1", "arrival_time_ns": 4000000000, "sub_requests": [{"input_toks": 100, "output_toks": 20, "tool_duration_ns": 500000000}, {"input_toks": 130, "output_toks": 10, "tool_duration_ns": 0}]}
{"session_id": "s0", "arrival_time_ns": 1000000000, "sub_requests": [{"input_toks": 9, "output_toks": 2, "tool_duration_ns": 0}]}
{"session_id": "s2", "arrival_time_ns": 5000000000, "sub_requests": []}
"#;
    let sample = read(rows, TableOptions::default()).unwrap();
    let lengths: Vec<_> = sample.requests.as_slice().iter().map(|request| request.num_prompt_tokens).collect();
    assert_eq!(lengths, [9, 100, 130]);
    assert_eq!(sample.after, [None, None, after(1, 0.5)]);
    assert_eq!(shared(&sample.requests, 1, 2), 120);
}

#[test]
fn a_table_is_known_by_its_content_or_says_what_is_missing() {
    let kind = |file: &str| recognise(file.as_bytes());
    assert_eq!(kind("arrived_at,num_prefill_tokens,num_decode_tokens\n0,1,1\n"), Some(TraceKind::Table));
    assert_eq!(kind("{\"prompt\": \"a\", \"prompt_tokens\": 3, \"completion_tokens\": 4}\n"), Some(TraceKind::Table));
    assert_eq!(kind("when,prompt tokens,answer tokens\n1,2,3\n"), None);
    let file = b"{\"prompt\": \"a\", \"prompt_tokens\": 3, \"completion_tokens\": 4}\n";
    assert_eq!(dataset_flags(file).unwrap()[0].1, "table", "its lengths are there: no tokenizer is needed");
    let told = dataset_flags(b"when,prompt tokens,answer tokens\n1,2,3\n").unwrap_err();
    assert!(told.contains("--dataset-name table --columns time=COLUMN"), "{told}");
}

#[test]
fn a_table_without_times_can_be_given_a_rate_and_one_with_times_cannot() {
    let flags = |rate| Scenario::from_flags([("dataset-name", Some("table")), ("request-rate", rate)]).unwrap();
    let (timed, untimed) = ("time,isl,osl\n1,2,3\n", "isl,osl\n2,3\n");
    let sample = |file: &str| flags(Some("4")).workload().sample(Some(file.as_bytes()), None);
    assert!(sample(untimed).is_ok());
    let error = sample(timed).unwrap_err().to_string();
    assert!(error.starts_with("--dataset-name table has its own times"), "{error}");
    assert!(DatasetName::Table.has_times() && DatasetName::Table.needs_file());
}

#[track_caller]
fn check_refused(file: &str, options: TableOptions, expect: &str) {
    let error = read(file, options).map(|sample| sample.requests.len()).expect_err(file);
    assert_eq!(error.to_string(), expect, "{file}");
}

#[test]
fn what_is_wrong_with_a_table_is_said_with_row_column_and_value() {
    let none = TableOptions::default;
    let tokens = "a whole number of tokens, from 0 to 67108864";
    let head = "time,prompt_tokens,output_tokens,session\n";
    check_refused(&format!("{head}0,5,x,\n"), none(), &format!("line 2: output_tokens is x; it must be {tokens}"));
    check_refused(
        &format!("{head}0,5,3,\n1,-5,3,\n"),
        none(),
        &format!("line 3: prompt_tokens is -5; it must be {tokens}"),
    );
    check_refused(&format!("{head}0,7.5,3,\n"), none(), &format!("line 2: prompt_tokens is 7.5; it must be {tokens}"));
    check_refused(&format!("{head}0,,3,\n"), none(), &format!("line 2: prompt_tokens is absent; it must be {tokens}"));
    check_refused(
        &format!("{head}0,5,3,\nsoon,5,3,\n"),
        none(),
        "line 3: time is soon; it must be a number, or in all rows a date and time such as 2023-11-16 18:15:46.68",
    );
    check_refused(
        &format!("{head}2023-11-16 18:15:46,5,3,\n7,5,3,\n"),
        none(),
        "line 3: time is 7; it must be a date and time, as those before it, such as 2023-11-16 18:15:46.68",
    );
    check_refused(
        &format!("{head}0,5,3,\n1e10,5,3,\n"),
        none(),
        "request 1 would be sent after 10000000000.0 s; the limit is 1000000000 s: see request_rate, burstiness and the \
         trace's timestamps",
    );
    check_refused(
        "time,question,answer\n1,2,3\n",
        none(),
        "line 1: no column is known to be the length of a prompt in tokens; the columns are time, question, answer. Say \
         which it is: --columns prompt=COLUMN",
    );
    check_refused(
        "time,isl,answer\n1,2,3\n",
        none(),
        "line 1: no column is known to be the length of an output in tokens; the columns are time, isl, answer. Say which \
         it is: --columns output=COLUMN",
    );
    check_refused(
        "time,isl,osl\n1,2,3\n",
        said("time=Zeit"),
        "line 1: --columns says time=Zeit, and there is no such column; the columns are time, isl, osl",
    );
}

#[test]
fn what_is_wrong_with_lists_turns_and_the_whole_is_said_too() {
    let none = TableOptions::default;
    check_refused("", none(), "the dataset yields no request: it is empty, or every entry was filtered out");
    check_refused(
        "isl,osl\n0,5\n",
        none(),
        "the dataset yields no request: it is empty, or every entry was filtered out",
    );
    check_refused(
        "[{\"isl\": 3}]",
        none(),
        "line 1: this is a JSON list; a table is read from JSON lines, one object on each (jq -c '.[]' FILE writes them)",
    );
    check_refused(
        "{\"isl\": 3, \"osl\": 4, \"hash_ids\": [1, \"x\"]}",
        none(),
        "line 1: hash_ids is [1,\"x\"]; it must be a list of whole numbers",
    );
    check_refused(
        "{\"isl\": 300, \"osl\": 4, \"hash_ids\": [1, 2]}\n{\"isl\": 30, \"osl\": 4, \"hash_ids\": [1, 2, 3]}",
        none(),
        "timed_trace_chunk_hash_size is absent; it must be given: no power of two is the number of tokens that each hash \
         of this dataset stands for",
    );
    check_refused(
        "{\"isl\": 3, \"osl\": 4, \"sub_requests\": [5]}",
        none(),
        "line 1: sub_requests is [5]; it must be a list of objects, one for each turn",
    );
    check_refused(
        "isl,osl,priority\n3,4,high\n",
        none(),
        "line 2: priority is high; it must be a whole number from -2147483648 to 2147483647",
    );
    check_refused(
        "isl,osl,think_time\n3,4,-1\n",
        none(),
        "line 2: think_time is -1; it must be a time from 0 to 1e9 seconds",
    );
}

#[test]
fn columns_that_cannot_be_read_are_refused() {
    const NEED: &str = "it must be ROLE=COLUMN, commas between them; roles are time, prompt, output, session, id, parent, \
                        delay, pause, hashes, tokens, prefix, prefix-len, suffix, priority, turns";
    for (text, expect) in [
        ("", format!("columns is empty; {NEED}")),
        ("prompt", format!("columns is prompt; {NEED}")),
        ("prompt=", format!("columns is prompt=; {NEED}")),
        ("length=isl", format!("columns is length=isl; {NEED}")),
        ("prompt=a,prompt=b", "columns is prompt=b; it must be a role only once".to_owned()),
    ] {
        assert_eq!(ColumnNames::parse(text).unwrap_err().to_string(), expect);
    }
}
