//! Rules of the scheduler, each as a small drawn run: what goes in, and the table of iterations that comes out.
//!
//! The recorded traces show that all rules together are vLLM's. These tables show each rule alone, readable.

use std::fmt::Write as _;

use sim_core::config::{EngineConfig, SchedulingPolicy};
use sim_core::engine_core::EngineCore;
use sim_core::request::{RequestId, TokenRun};
use sim_core::request_set::{NewRequest, RequestSet};

/// Defaults are small, so that every test names what it is about.
fn config() -> EngineConfig {
    EngineConfig {
        max_num_seqs: 8,
        max_num_active_seqs: 8,
        max_num_batched_tokens: 8,
        max_num_scheduled_tokens: 8,
        async_scheduling: false,
        ..EngineConfig::new(4, 11, 20)
    }
}

/// One drawn request: `name: prompt=6 output=2 [join=1] [text=s] [priority=0] [eos=1]`. Requests of equal `text` have
/// the same tokens from the start.
struct Drawn {
    name: char,
    join: u32,
}

fn parse(drawing: &str) -> (RequestSet, Vec<Drawn>) {
    let (mut requests, mut drawn) = (RequestSet::new(), vec![]);
    for (index, line) in (0..).zip(drawing.lines().map(str::trim).filter(|line| !line.is_empty())) {
        let (name, fields) = line.split_once(':').expect("name: fields");
        let field = |key: &str| {
            let mut pairs = fields.split_whitespace().filter_map(|pair| pair.split_once('='));
            pairs.find(|pair| pair.0 == key).map(|pair| pair.1)
        };
        let number = |key: &str, default: u32| field(key).map_or(default, |text| text.parse().expect("a number"));
        let (prompt, output) = (number("prompt", 1), number("output", 1));
        let segment = field("text").map_or(1000 + index, |text| text.bytes().map(u32::from).sum());
        let start = TokenRun::segment(segment, 1).start;
        let stops = field("eos").is_some();
        requests
            .push(&NewRequest {
                prompt: &[TokenRun { start, len: prompt }],
                output: &[TokenRun { start: start + u64::from(prompt), len: number("eos", output) }],
                max_tokens: output,
                stops,
                priority: field("priority").map_or(0, |text| text.parse().expect("a number")),
                arrival_order: index.into(),
                id_rank: index,
                cache_salt: number("salt", 0),
            })
            .expect("a possible request");
        drawn.push(Drawn { name: name.chars().next().expect("a name"), join: number("join", 0) });
    }
    (requests, drawn)
}

/// The table of iterations: `a6` is request a with 6 tokens, `a6@4` with 4 cached ones in front.
fn run(drawing: &str, config: &EngineConfig) -> String {
    let (requests, drawn) = parse(drawing);
    let name = |id: RequestId| drawn[id.index()].name;
    let mut engine = EngineCore::new(config, &requests);
    let mut table = String::from("iter  pass                  preempted  running waiting free  tokens  finished\n");
    let last_join = drawn.iter().map(|request| request.join).max().unwrap_or(0);
    for iteration in 0..100 {
        for (id, _) in (0..).zip(&drawn).filter(|(_, request)| request.join == iteration) {
            engine.add_request(RequestId(id));
        }
        if iteration > last_join && !engine.has_work() {
            break;
        }
        let mut row = String::from("-                     -          -       -       -   ");
        let step = engine.step(|_, output| {
            let admitted = output.new_reqs.iter().chain(&output.resumed_reqs);
            let cached = |id| admitted.clone().find(|new| new.id == id).map_or(0, |new| new.num_cached_tokens);
            let parts = output.scheduled.iter().map(|part| match cached(part.id) {
                0 => format!("{}{}", name(part.id), part.num_scheduled_tokens),
                hit => format!("{}{}@{hit}", name(part.id), part.num_scheduled_tokens),
            });
            let pass = if output.has_tokens() { parts.collect::<Vec<_>>().join(" ") } else { "empty".to_owned() };
            let preempted = output.preempted_reqs.iter().map(|&id| name(id)).collect::<String>();
            row = format!(
                "{pass:<21} {preempted:<10} {:<7} {:<7} {:<4}",
                output.num_running_reqs, output.num_waiting_reqs, output.num_free_blocks
            );
        });
        let (mut tokens, mut finished) = (String::new(), String::new());
        if step.processed.is_some() {
            tokens.extend(engine.outputs().tokens.iter().map(|tokens| name(tokens.id)));
            let ends = engine.outputs().finished.iter();
            finished = ends.map(|end| format!("{} {:?}", name(end.id), end.reason)).collect::<Vec<_>>().join(", ");
        }
        writeln!(table, "{}", format!("{iteration:<5} {row}  {tokens:<7} {finished}").trim_end()).expect("a string");
    }
    table
}

#[test]
fn decodes_and_prefill_chunks_share_one_budget() {
    insta::assert_snapshot!(run("a: prompt=6 output=3\nb: prompt=5 output=1", &config()), @"
    iter  pass                  preempted  running waiting free  tokens  finished
    0     a6 b2                            2       0       7     a
    1     a1 b3                            2       0       6     ab      b Length
    2     a1                               1       0       8     a       a Length
    3     empty                            0       0       10
    ");
}

#[test]
fn a_prompt_of_whole_cached_blocks_recomputes_its_last_block() {
    let drawing = "a: prompt=8 output=1 text=s\nb: prompt=8 output=1 text=s join=1\nc: prompt=9 output=1 text=s join=2";
    insta::assert_snapshot!(run(drawing, &config()), @"
    iter  pass                  preempted  running waiting free  tokens  finished
    0     a8                               1       0       8     a       a Length
    1     b4@4                             1       0       8     b       b Length
    2     c1@8                             1       0       7     c       c Length
    3     empty                            0       0       10
    ");
}

#[test]
fn blocks_can_be_found_in_the_pass_that_computes_them() {
    let config = EngineConfig { max_num_scheduled_tokens: 16, max_num_batched_tokens: 16, ..config() };
    insta::assert_snapshot!(run("a: prompt=9 output=1 text=s\nb: prompt=9 output=1 text=s", &config), @"
    iter  pass                  preempted  running waiting free  tokens  finished
    0     a9 b1@8                          2       0       6     ab      a Length, b Length
    1     empty                            0       0       10
    ");
}

#[test]
fn the_last_admitted_is_preempted_and_nobody_is_admitted_in_that_pass() {
    let config =
        EngineConfig { num_gpu_blocks: 6, max_num_scheduled_tokens: 16, max_num_batched_tokens: 16, ..config() };
    let drawing = "a: prompt=7 output=6\nb: prompt=7 output=6\nc: prompt=1 output=1 join=2";
    insta::assert_snapshot!(run(drawing, &config), @"
    iter  pass                  preempted  running waiting free  tokens  finished
    0     a7 b7                            2       0       1     ab
    1     a1 b1                            2       0       1     ab
    2     a1                    b          1       2       2     a
    3     a1                               1       2       2     a
    4     a1                               1       2       2     a
    5     a1                               1       2       2     a       a Length
    6     b1@8 c1                          2       0       1     bc      c Length
    7     b1                               1       0       2     b
    8     b1                               1       0       2     b
    9     b1                               1       0       2     b       b Length
    10    empty                            0       0       5
    ");
}

#[test]
fn the_least_urgent_is_preempted_under_priority_even_if_scheduled_already() {
    let config = EngineConfig {
        num_gpu_blocks: 6,
        max_num_scheduled_tokens: 16,
        max_num_batched_tokens: 16,
        policy: SchedulingPolicy::Priority,
        ..config()
    };
    let drawing = "a: prompt=7 output=6 priority=5\nb: prompt=7 output=6 priority=1 join=1";
    insta::assert_snapshot!(run(drawing, &config), @"
    iter  pass                  preempted  running waiting free  tokens  finished
    0     a7                               1       0       3     a
    1     a1 b7                            2       0       1     ab
    2     a1 b1                            2       0       0     ab
    3     b1                    a          1       1       2     b
    4     b1                               1       1       2     b
    5     b1                               1       1       2     b
    6     b1                               1       1       2     b       b Length
    7     a2@8                             1       0       2     a
    8     a1                               1       0       2     a
    9     a1                               1       0       2     a       a Length
    10    empty                            0       0       5
    ");
}

#[test]
fn the_head_of_the_queue_blocks_those_behind_it() {
    let config = EngineConfig { num_gpu_blocks: 6, ..config() };
    let drawing = "a: prompt=7 output=2\nb: prompt=16 output=1\nc: prompt=1 output=1";
    insta::assert_snapshot!(run(drawing, &config), @"
    iter  pass                  preempted  running waiting free  tokens  finished
    0     a7                               1       2       3     a
    1     a1                               1       2       3     a       a Length
    2     b8                               1       1       3
    3     b8                               1       1       1     b       b Length
    4     c1                               1       0       4     c       c Length
    5     empty                            0       0       5
    ");
}

#[test]
fn without_chunked_prefill_a_prompt_waits_for_a_pass_with_room() {
    let config = EngineConfig { enable_chunked_prefill: false, ..config() };
    insta::assert_snapshot!(run("a: prompt=5 output=2\nb: prompt=8 output=1", &config), @"
    iter  pass                  preempted  running waiting free  tokens  finished
    0     a5                               1       1       8     a
    1     a1                               1       1       8     a       a Length
    2     b8                               1       0       8     b       b Length
    3     empty                            0       0       10
    ");
}

#[test]
fn the_long_prefill_cap_is_lifted_for_a_request_alone() {
    let config = EngineConfig { long_prefill_token_threshold: 3, ..config() };
    insta::assert_snapshot!(run("a: prompt=8 output=1\nb: prompt=8 output=1 join=2\nc: prompt=4 output=1 join=2", &config), @"
    iter  pass                  preempted  running waiting free  tokens  finished
    0     a8                               1       0       8     a       a Length
    1     empty                            0       0       10
    2     b3 c3                            2       0       8
    3     b3 c1                            2       0       7     c       c Length
    4     b2                               1       0       8     b       b Length
    5     empty                            0       0       10
    ");
}

#[test]
fn the_watermark_holds_blocks_back_while_anything_runs() {
    let config = EngineConfig { num_gpu_blocks: 6, watermark_blocks: 2, ..config() };
    insta::assert_snapshot!(run("a: prompt=8 output=2\nb: prompt=5 output=1", &config), @"
    iter  pass                  preempted  running waiting free  tokens  finished
    0     a8                               1       1       3     a
    1     a1                               1       1       2     a       a Length
    2     b5                               1       0       3     b       b Length
    3     empty                            0       0       5
    ");
}

#[test]
fn a_sequence_ends_at_max_model_len() {
    insta::assert_snapshot!(run("a: prompt=17 output=9", &config()), @"
    iter  pass                  preempted  running waiting free  tokens  finished
    0     a8                               1       0       8
    1     a8                               1       0       6
    2     a1                               1       0       5     a
    3     a1                               1       0       5     a
    4     a1                               1       0       5     a       a Length
    5     empty                            0       0       10
    ");
}

#[test]
fn asynchronous_length_stops_cost_no_token_but_hold_the_slot_one_pass_longer() {
    let config = EngineConfig { async_scheduling: true, max_num_active_seqs: 1, ..config() };
    insta::assert_snapshot!(run("a: prompt=6 output=3\nb: prompt=2 output=1", &config), @"
    iter  pass                  preempted  running waiting free  tokens  finished
    0     a6                               1       1       8
    1     a1                               1       1       8     a
    2     a1                               1       1       8     a
    3     empty                            1       1       8     a       a Length
    4     b2                               1       0       9
    5     empty                            1       0       9     b       b Length
    6     empty                            0       0       10
    7     -                     -          -       -       -
    ");
}

#[test]
fn asynchronous_end_of_sequence_is_noticed_one_pass_late() {
    let config = EngineConfig { async_scheduling: true, ..config() };
    insta::assert_snapshot!(run("a: prompt=6 output=9 eos=2", &config), @"
    iter  pass                  preempted  running waiting free  tokens  finished
    0     a6                               1       0       8
    1     a1                               1       0       8     a
    2     a1                               1       0       8     a       a Stop
    3     empty                            0       0       10
    4     -                     -          -       -       -
    ");
}

#[test]
fn pipeline_stages_split_the_running_list() {
    let config = EngineConfig { pipeline_parallel_size: 2, ..config() };
    insta::assert_snapshot!(run("a: prompt=8 output=3\nb: prompt=8 output=3", &config), @"
    iter  pass                  preempted  running waiting free  tokens  finished
    0     a8                               1       1       8
    1     b8                               2       0       6     a
    2     a1                               2       0       5     b
    3     b1                               2       0       4     a
    4     a1                               2       0       4     b
    5     b1                               2       0       4     a       a Length
    6     empty                            1       0       7     b       b Length
    7     empty                            0       0       10
    8     -                     -          -       -       -
    ");
}
