//! BurstGPT's files, read with their times and as `--dataset-name burstgpt` reads them.
#![no_main]

mod accepted;

use libfuzzer_sys::fuzz_target;
use sim_core::workload::dataset::Dataset;
use sim_core::workload::trace::{BurstGpt, RecordedTrace};

fuzz_target!(|csv: &[u8]| {
    let all = RecordedTrace::from_burstgpt_csv(csv, None);
    let of_one_model = RecordedTrace::from_burstgpt_csv(csv, Some("GPT-4"));
    if let (Ok(all), Ok(of_one_model)) = (&all, &of_one_model) {
        assert!(of_one_model.requests.len() <= all.requests.len(), "one model has more rows than all");
    }
    for trace in [all, of_one_model] {
        match trace {
            Ok(trace) => accepted::check(&Dataset::Recorded(trace)),
            Err(refused) => accepted::check_error(&refused),
        }
    }
    match BurstGpt::from_csv(csv) {
        Ok(lengths) => accepted::check(&Dataset::BurstGpt(lengths)),
        Err(refused) => accepted::check_error(&refused),
    }
});
