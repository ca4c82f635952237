//! Rows of a CSV file by column name.

use alloc::vec;
use alloc::vec::Vec;

use csv_core::{ReadRecordResult, Reader};

use super::error::WorkloadError;
use crate::request::RequestSet;

/// Most bytes of a row.
const MAX_ROW_BYTES: usize = 1 << 16;
/// Most columns of a file.
const MAX_COLUMNS: usize = 256;

/// The wanted fields of a row, in the order in which they were asked for.
#[derive(Debug)]
pub(super) struct Row<'a> {
    line: u64,
    columns: &'a [&'static str],
    pub(super) fields: &'a [&'a str],
}

impl Row<'_> {
    /// The error that field `column` is not what it must be.
    pub(super) fn error(&self, column: usize, need: &'static str) -> WorkloadError {
        WorkloadError::row(self.line, self.columns[column], self.fields[column], need)
    }
}

/// Calls `each` for every row after the header with the fields of the named columns.
pub(super) fn read_csv<const N: usize>(
    csv: &[u8],
    columns: [&'static str; N],
    mut each: impl FnMut(&Row<'_>) -> Result<(), WorkloadError>,
) -> Result<(), WorkloadError> {
    let mut rest = csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv);
    let mut reader = Reader::new();
    let mut text = vec![0; MAX_ROW_BYTES];
    let mut ends = vec![0; MAX_COLUMNS];
    let mut positions: Option<[usize; N]> = None;
    let mut num_rows = 0;
    loop {
        let line = reader.line();
        let syntax = |message: &str| WorkloadError::Syntax { line, message: message.into() };
        // The whole input is at hand, so a record never waits for more of it: an empty rest ends the last one.
        let (mut num_bytes, mut num_fields) = (0, 0);
        let result = loop {
            let (result, read, written, ended) =
                reader.read_record(rest, &mut text[num_bytes..], &mut ends[num_fields..]);
            rest = &rest[read..];
            num_bytes += written;
            num_fields += ended;
            if result != ReadRecordResult::InputEmpty {
                break result;
            }
        };
        match result {
            ReadRecordResult::OutputFull => {
                return Err(syntax("the row has more than 65536 bytes"));
            }
            ReadRecordResult::OutputEndsFull => {
                return Err(syntax("the row has more than 256 columns"));
            }
            ReadRecordResult::End => break,
            ReadRecordResult::Record | ReadRecordResult::InputEmpty => {}
        }
        let Ok(text) = core::str::from_utf8(&text[..num_bytes]) else {
            return Err(syntax("the row is not UTF-8"));
        };
        let fields = split(text, &ends[..num_fields]);
        let Some(positions) = positions else {
            let mut found = [0; N];
            for (position, column) in found.iter_mut().zip(columns) {
                let Some(at) = fields.iter().position(|field| field.trim() == column) else {
                    return Err(syntax(&alloc::format!("the header names no column {column}")));
                };
                *position = at;
            }
            positions = Some(found);
            continue;
        };
        num_rows += 1;
        if num_rows > RequestSet::MAX_REQUESTS {
            let limit = u64::from(RequestSet::MAX_REQUESTS);
            return Err(WorkloadError::TooLarge { what: "rows", value: u64::from(num_rows), limit });
        }
        let wanted = positions.map(|position| fields.get(position).copied().unwrap_or(""));
        each(&Row { line, columns: &columns, fields: &wanted })?;
    }
    if positions.is_none() { Err(WorkloadError::NoRequests) } else { Ok(()) }
}

fn split<'a>(text: &'a str, ends: &[usize]) -> Vec<&'a str> {
    let mut start = 0;
    ends.iter()
        .map(|&end| {
            let field = text.get(start..end).unwrap_or("");
            start = end;
            field
        })
        .collect()
}
