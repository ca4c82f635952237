//! What must hold for every workload that is accepted, whatever file it came from.

use sim_core::request_set::RequestSet;
use sim_core::workload::arrival::{MAX_SEND_SECONDS, TrafficOptions};
use sim_core::workload::dataset::{Dataset, SampleOptions, build};
use sim_core::workload::{Traffic, Workload, WorkloadError};

/// Builds the workload of all entries and checks it, or the error's text.
pub fn check(dataset: &Dataset<'_>) {
    let options = SampleOptions { num_prompts: None, ..SampleOptions::default() };
    match build(dataset, &options, &TrafficOptions::default()) {
        Ok(workload) => check_workload(&workload),
        Err(refused) => check_error(&refused),
    }
}

/// An error says something, and not all of a large file.
pub fn check_error(refused: &WorkloadError) {
    let text = refused.to_string();
    assert!(!text.is_empty() && text.len() < 2_000, "{} bytes: {text}", text.len());
}

fn check_workload(workload: &Workload) {
    assert!(!workload.requests.is_empty());
    for request in workload.requests.as_slice() {
        let runs = workload.requests.runs(request);
        assert!(runs.iter().all(|run| run.len > 0), "an empty run is stored");
        let num_tokens: u64 = runs.iter().map(|run| u64::from(run.len)).sum();
        assert_eq!(num_tokens, u64::from(request.num_prompt_tokens) + u64::from(request.num_output_tokens));
        assert!(request.num_prompt_tokens >= 1 && request.num_output_tokens >= 1);
        assert!(num_tokens <= u64::from(RequestSet::MAX_SEQUENCE_TOKENS));
    }
    let send_times = match &workload.traffic {
        Traffic::Timed { send_times, max_concurrency: None } => {
            assert!(send_times.is_sorted(), "a client cannot go back in time");
            send_times
        }
        Traffic::Answered { not_before, after, max_concurrency: None } => {
            assert_eq!(after.len(), workload.requests.len());
            for (index, after) in after.iter().enumerate() {
                assert!(after.is_none_or(|after| after.request.index() < index), "{index} waits for a later request");
            }
            not_before
        }
        _ => panic!("files give times, and no limit was asked for"),
    };
    assert_eq!(send_times.len(), workload.requests.len());
    assert!(send_times.iter().all(|time| time.as_secs_f64() <= MAX_SEND_SECONDS));
}
