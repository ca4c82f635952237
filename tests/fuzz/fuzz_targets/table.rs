//! Any CSV or JSON lines of requests, with columns by name and as said.
#![no_main]

mod accepted;

use libfuzzer_sys::fuzz_target;
use sim_core::workload::dataset::Dataset;
use sim_core::workload::table::{ColumnNames, SessionReplay, Table, TableOptions, TimeUnit};

fuzz_target!(|input: (&str, &[u8])| {
    let (columns, file) = input;
    let columns = match ColumnNames::parse(columns) {
        Ok(columns) => columns,
        Err(refused) => {
            accepted::check_error(&refused);
            ColumnNames::default()
        }
    };
    let open = TableOptions {
        columns,
        time_unit: Some(TimeUnit::Milliseconds),
        chunk_hash_size: Some(16),
        session_replay: SessionReplay::Open,
    };
    for options in [TableOptions::default(), open] {
        accepted::check(&Dataset::Table(Table { file, options }));
    }
});
