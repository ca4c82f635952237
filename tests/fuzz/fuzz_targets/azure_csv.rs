//! Traces of the Azure Public Dataset.
#![no_main]

mod accepted;

use libfuzzer_sys::fuzz_target;
use sim_core::time::SimTime;
use sim_core::workload::dataset::Dataset;
use sim_core::workload::trace::{RecordedTrace, recognise};

fuzz_target!(|csv: &[u8]| {
    let _ = recognise(csv);
    match RecordedTrace::from_azure_csv(csv) {
        Ok(trace) => {
            assert!(trace.requests.first().is_none_or(|first| first.send_time == SimTime::ZERO));
            assert!(trace.requests.is_sorted_by_key(|request| request.send_time));
            accepted::check(&Dataset::Recorded(trace));
        }
        Err(refused) => accepted::check_error(&refused),
    }
});
