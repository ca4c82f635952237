//! The file's own figures, held against the workload that is to be simulated.

use super::RepeatError;
use crate::math;
use crate::metrics::json_measured::MeasuredResult;
use crate::request_set::RequestSet;
use crate::time::SimTime;

/// A number that must be whole and at most `most`; `None` if it is absent.
fn whole(result: &MeasuredResult, key: &'static str, most: f64) -> Result<Option<u64>, RepeatError> {
    match result.numbers.get(key) {
        None => match result.texts.get(key) {
            None => Ok(None),
            Some(text) => {
                let value = alloc::format!("{:?}", text.chars().take(40).collect::<alloc::string::String>());
                Err(RepeatError::Number { key, value, need: "a whole number" })
            }
        },
        Some(&number) if (0.0..=most).contains(&number) && math::floor(number).to_bits() == number.to_bits() => {
            Ok(Some(math::round_to_u64(number)))
        }
        Some(&number) => Err(RepeatError::Number {
            key,
            value: alloc::format!("{number:?}"),
            need: "a whole number, and not so large",
        }),
    }
}

/// A number of tokens.
pub(super) fn total(result: &MeasuredResult, key: &'static str) -> Result<Option<u64>, RepeatError> {
    whole(result, key, 9e15)
}

/// How many requests the run had.
///
/// # Errors
/// If some of them failed, or none were answered.
pub(super) fn num_requests(result: &MeasuredResult) -> Result<u64, RepeatError> {
    const NEED: &str = "a whole number from 1 to 1000000";
    let most = math::usize_to_f64(MeasuredResult::MAX_REQUESTS);
    let counted = |key: &'static str| match whole(result, key, most)? {
        Some(count) if count > 0 => Ok(count),
        count => {
            let value = count.map_or("absent".into(), |count| alloc::format!("{count}"));
            Err(RepeatError::Number { key, value, need: NEED })
        }
    };
    let (completed, num_prompts) = (counted("completed")?, counted("num_prompts")?);
    let counts_failures = result.numbers.contains_key("failed");
    // Without that key `failed` is what is missing.
    if counts_failures && result.failed > 0 {
        return Err(RepeatError::Failed { failed: result.failed });
    }
    // A dataset may have fewer entries than were asked for.
    if completed != num_prompts && (!counts_failures || completed > num_prompts) {
        return Err(RepeatError::Incomplete { completed, num_prompts });
    }
    Ok(completed)
}

/// Number and totals of the requests; `requests` are the measured ones.
pub(super) fn totals(result: &MeasuredResult, requests: &RequestSet) -> Result<(), RepeatError> {
    let (mut count, mut prompt, mut output) = (0, 0, 0);
    for (prompt_len, output_len) in made(requests) {
        (count, prompt, output) = (count + 1, prompt + u64::from(prompt_len), output + u64::from(output_len));
    }
    let sums = [
        ("completed", Some(result.completed), count),
        ("total_input_tokens", total(result, "total_input_tokens")?, prompt),
        ("total_output_tokens", total(result, "total_output_tokens")?, output),
    ];
    for (key, stated, made) in sums {
        if let Some(stated) = stated.filter(|&stated| stated != made) {
            return Err(RepeatError::Total { key, stated, made });
        }
    }
    Ok(())
}

/// The length of each request, where the file lists them.
pub(super) fn lengths(result: &MeasuredResult, requests: &RequestSet) -> Result<(), RepeatError> {
    let stated = result.lists.lengths().unwrap_or_default();
    match stated.into_iter().zip(made(requests)).enumerate().find(|(_, (stated, made))| stated != made) {
        Some((request, (stated, made))) => Err(RepeatError::Lengths { request, stated, made }),
        None => Ok(()),
    }
}

/// Prompt and output tokens of each request.
fn made(requests: &RequestSet) -> impl Iterator<Item = (u32, u32)> {
    requests.as_slice().iter().map(|request| (request.num_prompt_tokens, request.num_output_tokens))
}

/// Whether requests that were to be sent at these times can have been answered by the end of the file's run. A run ends
/// with its last answer, so where the file has latencies, with the waits before them, their ends are known to the
/// moment; else no request can have been sent after the end. A client is late by some share of its time.
pub(super) fn times(result: &MeasuredResult, send_times: &[SimTime], has_limit: bool) -> Result<(), RepeatError> {
    const SLACK_SECONDS: f64 = 0.5;
    const SLACK_SHARE: f64 = 0.03;
    let Some(&duration) = result.numbers.get("duration") else { return Ok(()) };
    let slack = SLACK_SECONDS + SLACK_SHARE * duration;
    let last_send = send_times.last().copied().unwrap_or_default().as_secs_f64();
    if last_send > duration + slack {
        return Err(RepeatError::Times { end: last_send, duration });
    }
    let (Some(latencies), queues) = (&result.lists.latencies, &result.lists.queue_times) else { return Ok(()) };
    if latencies.len() != send_times.len() || (has_limit && queues.is_none()) {
        return Ok(());
    }
    let queue = |request: usize| queues.as_ref().and_then(|queues| queues.get(request)).copied().unwrap_or(0.0);
    let ends = send_times.iter().zip(latencies).enumerate();
    let ends = ends.map(|(request, (send, latency))| send.as_secs_f64() + queue(request) + latency);
    let end = ends.fold(0.0, math::max);
    let distance = math::max(end - duration, duration - end);
    if distance > slack { Err(RepeatError::Times { end, duration }) } else { Ok(()) }
}
