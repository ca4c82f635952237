//! Rows of a CSV file by column name.

use alloc::vec;
use alloc::vec::Vec;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::error::WorkloadError;
use crate::request_set::RequestSet;

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
    let mut records = Records::new(csv, b',');
    let Some((line, header)) = records.next()? else {
        return Err(WorkloadError::NoRequests);
    };
    let mut positions = [0; N];
    for (position, column) in positions.iter_mut().zip(columns) {
        let Some(found) = header.iter().position(|field| field.trim() == column) else {
            let message = alloc::format!(
                "the header names no column {column}; it must name {}, separated by commas",
                columns.join(", ")
            );
            return Err(WorkloadError::Syntax { line, message });
        };
        *position = found;
    }
    let mut num_rows = 0;
    while let Some((line, fields)) = records.next()? {
        num_rows += 1;
        if num_rows > RequestSet::MAX_REQUESTS {
            let limit = u64::from(RequestSet::MAX_REQUESTS);
            return Err(WorkloadError::TooLarge { what: "rows in the file", value: u64::from(num_rows), limit });
        }
        let wanted = positions.map(|position| fields.get(position).copied().unwrap_or(""));
        each(&Row { line, columns: &columns, fields: &wanted })?;
    }
    Ok(())
}

/// A file's records, one at a time.
pub(super) struct Records<'a> {
    reader: Reader,
    rest: &'a [u8],
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl<'a> Records<'a> {
    /// The records of `csv`, whose fields `delimiter` parts.
    pub(super) fn new(csv: &'a [u8], delimiter: u8) -> Self {
        Self {
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            rest: csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv),
            text: vec![0; MAX_ROW_BYTES],
            ends: vec![0; MAX_COLUMNS],
        }
    }

    /// The next record that is not blank, and the line on which it begins.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Vec<&str>)>, WorkloadError> {
        // What is left of the line break before, the second byte of two, and blank lines are still to be passed over.
        let breaks = self.rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let line = breaks.filter(|byte| **byte == b'\n').fold(self.reader.line(), |line, _| line + 1);
        let (mut num_bytes, mut num_fields) = (0, 0);
        let syntax = |message: &str| Err(WorkloadError::Syntax { line, message: message.into() });
        // All input is at hand: where it ends within a record, reading on with nothing more ends the record.
        let result = loop {
            let (text, ends) = (&mut self.text[num_bytes..], &mut self.ends[num_fields..]);
            let (result, read, written, ended) = self.reader.read_record(self.rest, text, ends);
            self.rest = &self.rest[read..];
            num_bytes += written;
            num_fields += ended;
            if result != ReadRecordResult::InputEmpty {
                break result;
            }
        };
        match result {
            ReadRecordResult::OutputFull => return syntax("the row has more than 65536 bytes (is a quote left open?)"),
            ReadRecordResult::OutputEndsFull => return syntax("the row has more than 256 columns"),
            ReadRecordResult::End => return Ok(None),
            ReadRecordResult::Record | ReadRecordResult::InputEmpty => {}
        }
        let Ok(text) = core::str::from_utf8(&self.text[..num_bytes]) else {
            return syntax("the row is not UTF-8");
        };
        let mut start = 0;
        let fields = self.ends[..num_fields].iter().map(|&end| {
            let field = text.get(start..end).unwrap_or("");
            start = end;
            field
        });
        Ok(Some((line, fields.collect())))
    }
}
