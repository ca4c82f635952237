//! Requests that wait for answers: each is sent when it may be and not before, and finds what its session left in the cache.

use proptest::prelude::*;
use sim_core::metrics::digest::digest;
use sim_core::metrics::recorder::Recording;
use sim_core::request::RequestId;
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::scenario::{Prepared, Scenario, prepare};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{SimulationError, SimulationOptions, simulate};
use sim_core::time::{SimDuration, SimTime};
use sim_core::workload::{After, Traffic, Workload};

use crate::draws::draws;
use crate::profile_fixture::h100;
use crate::properties::{Case, case};

fn prepared(flags: &[(&str, &str)]) -> Result<Prepared, String> {
    let given = flags.iter().map(|&(flag, value)| (flag, Some(value)));
    let scenario = Scenario::from_flags(given).map_err(|error| error.to_string())?;
    prepare(&scenario, &h100(), None, None).map_err(|error| error.to_string())
}

fn run(flags: &[(&str, &str)]) -> (Workload, SimulationResult) {
    let Prepared { workload, engine, step_time, .. } = prepared(flags).expect("a possible run");
    let result = simulate(&workload, &engine.config, &step_time, SimulationOptions::default()).expect("a run");
    (workload, result)
}

/// When each request was sent, and when its last token came.
fn spans(recording: &Recording) -> Vec<(SimTime, SimTime)> {
    let instants = recording.requests.iter().map(|request| recording.instants(request).expect("it finished"));
    instants.map(|instants| (instants.send, instants.last_delivery)).collect()
}

/// What a request waits for: how far before it the other stands, and how long after that one's answer it is sent.
fn waits() -> impl Strategy<Value = Vec<(usize, u64)>> {
    prop::collection::vec((0_usize..6, 0_u64..5_000), 25)
}

/// The workload of `case`, in which some requests wait for others.
fn answered(case: &Case, waits: &[(usize, u64)]) -> Workload {
    let mut workload = case.workload();
    let Traffic::Timed { send_times, max_concurrency } = &workload.traffic else { panic!("a script") };
    let after = |index: usize| {
        let (back, delay_us) = waits[index];
        let request = RequestId(u32::try_from(index.checked_sub(back).filter(|_| back > 0)?).expect("few"));
        Some(After { request, delay: SimDuration::from_nanos(1_000 * delay_us) })
    };
    let after = (0..send_times.len()).map(after).collect();
    workload.traffic = Traffic::Answered { not_before: send_times.clone(), after, max_concurrency: *max_concurrency };
    workload.requests.set_come_in_any_order();
    workload
}

/// The requests of `workload` with these send times, in their order, and the old number of each.
fn timed(workload: &Workload, send_times: &[SimTime]) -> (Workload, Vec<usize>) {
    let mut order: Vec<usize> = (0..send_times.len()).collect();
    order.sort_by_key(|&index| (send_times[index], index));
    let mut requests = RequestSet::new();
    for (place, &index) in (0..).zip(&order) {
        let request = &workload.requests.as_slice()[index];
        let (mut prompt, mut output, mut rest) = (vec![], vec![], request.num_prompt_tokens);
        for run in workload.requests.runs(request) {
            let len = run.len.min(rest);
            prompt.push(sim_core::request::TokenRun { start: run.start, len });
            output.push(sim_core::request::TokenRun { start: run.start + u64::from(len), len: run.len - len });
            rest -= len;
        }
        output.retain(|run| run.len > 0);
        prompt.retain(|run| run.len > 0);
        let in_line = workload.requests.in_line(RequestId(u32::try_from(index).expect("few")));
        let new = NewRequest {
            prompt: &prompt,
            output: &output,
            max_tokens: request.max_tokens,
            stops: request.stops,
            priority: in_line.priority,
            arrival_order: place,
            id_rank: u32::try_from(place).expect("few"),
            cache_salt: in_line.cache_salt,
        };
        requests.push(&new).expect("it was taken before");
    }
    let send_times = order.iter().map(|&index| send_times[index]).collect();
    let traffic = Traffic::Timed { send_times, max_concurrency: None };
    (Workload { requests, traffic, earlier: Vec::new() }, order)
}

proptest! {
    #![proptest_config(draws(200))]

    #[test]
    fn a_request_is_sent_when_its_answer_has_come_and_its_time(case in case(), waits in waits()) {
        let workload = answered(&case, &waits);
        let (config, step_time) = (case.config.clone(), case.step_time());
        let result = simulate(&workload, &config, &step_time, SimulationOptions::default());
        let Ok(result) = result else { return Ok(()) };
        prop_assume!(result.recording.requests.iter().all(|request| request.is_finished));
        let spans = spans(&result.recording);
        let Traffic::Answered { not_before, after, max_concurrency } = &workload.traffic else { panic!("not this") };
        for (index, (send, _)) in spans.iter().enumerate() {
            let answer = after[index].map(|after| spans[after.request.index()].1 + after.delay);
            let earliest = answer.unwrap_or_default().max(not_before[index]);
            prop_assert!(*send >= earliest, "request {} is sent at {} instead of {}", index, send, earliest);
            prop_assert!(*send == earliest || max_concurrency.is_some(), "request {} is late: {} {}", index, send, earliest);
        }
        let again = simulate(&workload, &config, &step_time, SimulationOptions::default()).expect("it ran");
        prop_assert_eq!(digest(&again.recording), digest(&result.recording));
    }

    /// The oracle: a client that knows beforehand when every answer will come.
    #[test]
    fn a_run_of_answers_is_the_run_of_the_times_that_it_came_to(case in case(), waits in waits()) {
        let mut workload = answered(&case, &waits);
        if let Traffic::Answered { max_concurrency, .. } = &mut workload.traffic {
            *max_concurrency = None;
        }
        let (config, step_time) = (case.config.clone(), case.step_time());
        let Ok(result) = simulate(&workload, &config, &step_time, SimulationOptions::default()) else { return Ok(()) };
        prop_assume!(result.recording.requests.iter().all(|request| request.is_finished));
        let spans_of_answers = spans(&result.recording);
        let send_times: Vec<SimTime> = spans_of_answers.iter().map(|span| span.0).collect();
        let (oracle, order) = timed(&workload, &send_times);
        let expect = simulate(&oracle, &config, &step_time, SimulationOptions::default()).expect("the same requests");
        for (span, &index) in spans(&expect.recording).iter().zip(&order) {
            prop_assert_eq!(*span, spans_of_answers[index], "request {}", index);
        }
        prop_assert_eq!(expect.end_time, result.end_time);
    }
}

#[test]
fn whoever_waits_for_a_later_request_is_refused() {
    let Prepared { mut workload, engine, step_time, .. } = prepared(&[("num-prompts", "3")]).expect("a possible run");
    for (after, request) in [(vec![None, None, Some(2)], 2), (vec![Some(1), None, None], 0), (vec![None, None], 2)] {
        let after = after.into_iter().map(|request: Option<u32>| {
            request.map(|request| After { request: RequestId(request), delay: SimDuration::ZERO })
        });
        workload.traffic =
            Traffic::Answered { not_before: vec![SimTime::ZERO; 3], after: after.collect(), max_concurrency: None };
        let refused = simulate(&workload, &engine.config, &step_time, SimulationOptions::default()).map(|_| ());
        assert_eq!(refused, Err(SimulationError::WaitsForLater { request }));
    }
}

const SESSIONS: [(&str, &str); 7] = [
    ("dataset-name", "sessions"),
    ("num-sessions", "12"),
    ("num-users", "3"),
    ("session-turns", "2..5"),
    ("session-input-len", "20..90"),
    ("session-output-len", "lognormal:40:0.5"),
    ("system-prompt-len", "100"),
];

/// What the plain arithmetic of blocks finds of `tokens` that were computed before a prompt of this length.
fn whole_blocks(tokens: u32, prompt: u32) -> u32 {
    tokens.min(prompt - 1) / 16 * 16
}

#[test]
fn a_turn_finds_what_the_turn_before_left_and_no_more() {
    let flags = [&SESSIONS[..], &[("tool-calls", "0..2"), ("session-prefix-len", "0..70")]].concat();
    let (workload, result) = run(&flags);
    let Traffic::Answered { after, .. } = &workload.traffic else { panic!("sessions wait") };
    let requests = workload.requests.as_slice();
    let mut num_turns = 0;
    for (index, recorded) in result.recording.requests.iter().enumerate() {
        let prompt = requests[index].num_prompt_tokens;
        let before = index.checked_sub(1).filter(|&before| {
            after[index].is_some_and(|after| after.request.index() == before)
                && prompt > requests[before].num_prompt_tokens
        });
        let Some(before) = before else {
            // The first turn of a session: the system prompt at most, and what blocks have besides is its own.
            assert!(recorded.num_cached_tokens <= 96, "request {index}: {}", recorded.num_cached_tokens);
            continue;
        };
        // An answer's last token is never computed.
        let computed = requests[before].num_prompt_tokens + requests[before].num_output_tokens - 1;
        assert_eq!(recorded.num_cached_tokens, whole_blocks(computed, prompt), "request {index}");
        num_turns += 1;
    }
    assert!(num_turns > 20, "{num_turns} turns follow others");
    let firsts = result.recording.requests.iter().filter(|request| request.num_cached_tokens == 96).count();
    assert!(firsts >= 9, "later sessions find the system prompt: {firsts}");
}

#[test]
fn a_user_asks_one_thing_at_a_time_and_one_session_after_another() {
    let (workload, result) = run(&SESSIONS);
    let Traffic::Answered { after, not_before, .. } = &workload.traffic else { panic!("sessions wait") };
    let spans = spans(&result.recording);
    let starts: Vec<usize> = (0..after.len()).filter(|&index| after[index].is_none()).collect();
    assert_eq!(starts.len(), 3, "one for each user");
    assert!(starts.iter().all(|&start| spans[start].0 == not_before[start]), "a user begins after a while");
    let mut events: Vec<(SimTime, i32)> = spans.iter().flat_map(|span| [(span.0, 1), (span.1, -1)]).collect();
    events.sort_unstable();
    let mut under_way = 0;
    let most = events.iter().map(|(_, step)| {
        under_way += step;
        under_way
    });
    assert!(most.max().is_some_and(|most| (2..=3).contains(&most)), "three users have at most three requests");
    assert_eq!(result.recording.requests.len(), workload.requests.len());
}

#[test]
fn what_is_said_stays_when_something_else_changes() {
    let lengths = |flags: &[(&str, &str)]| -> Vec<(u32, u32)> {
        let workload = prepared(&[&SESSIONS[..], flags].concat()).expect("a possible run").workload;
        let lengths = workload.requests.as_slice().iter();
        lengths.map(|request| (request.num_prompt_tokens, request.num_output_tokens)).collect()
    };
    let base = lengths(&[]);
    assert_eq!(base, lengths(&[("num-users", "7"), ("think-time", "0.5"), ("max-concurrency", "2")]));
    assert_ne!(base, lengths(&[("seed", "1")]));
    let longer = lengths(&[("system-prompt-len", "164")]);
    assert!(base.iter().zip(&longer).all(|(a, b)| (a.0 + 64, a.1) == *b), "{base:?} {longer:?}");
}

#[test]
fn without_users_sessions_begin_at_the_request_rate() {
    let flags = [&SESSIONS[..2], &[("request-rate", "2"), ("session-turns", "3")]].concat();
    let (workload, result) = run(&flags);
    let Traffic::Answered { after, .. } = &workload.traffic else { panic!("sessions wait") };
    let spans = spans(&result.recording);
    let starts: Vec<SimTime> = (0..after.len()).filter(|&i| after[i].is_none()).map(|i| spans[i].0).collect();
    assert_eq!((starts.len(), after.len()), (12, 36));
    assert!(starts.is_sorted(), "{starts:?}");
    assert_eq!(starts.last().map(|time| time.as_secs_f64()), Some(6.0), "as vLLM's traffic has it: n / rate");
}

#[track_caller]
fn check_refused(flags: &[(&str, &str)], expect: &str) {
    let refused = prepared(flags).map(|_| ()).expect_err("refused");
    assert!(refused.contains(expect), "{flags:?} says {refused:?} without {expect:?}");
}

#[test]
fn sessions_that_cannot_be_are_refused() {
    let sessions = ("dataset-name", "sessions");
    check_refused(&[sessions, ("num-sessions", "0")], "num_sessions is 0; it must be from 1 to 10000000");
    check_refused(&[sessions, ("num-users", "0")], "num_users is 0; it must be at least 1, or absent");
    check_refused(&[sessions, ("num-users", "2"), ("request-rate", "1")], "--dataset-name sessions has its own times");
    check_refused(&[sessions, ("num-prompts", "5")], "--num-prompts does nothing with --dataset-name sessions");
    check_refused(&[("think-time", "5")], "--think-time does nothing with --dataset-name random; it is for sessions");
    check_refused(&[sessions, ("think-time", "soon")], "think_time is soon; it must be a number, LOW..HIGH");
    check_refused(&[sessions, ("num-users", "many")], "--num-users");
    check_refused(&[sessions, ("session-turns", "1000"), ("max-model-len", "4096")], "request ");
    check_refused(&[sessions, ("num-earlier-runs", "1")], "num_earlier_runs is 1; it must be 0 where requests wait");
    check_refused(&[sessions, ("session-input-len", "1e9")], "67108864");
}
