//! A parquet table, read column by column under limits.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};

use super::footer;
use super::guard::guarded;

/// Most rows of a table; the longest of aiconfigurator-core 0.12.0 has 250,000.
const MAX_ROWS: usize = 2_000_000;
/// Most bytes that the columns of a table may say they unpack to.
const MAX_UNPACKED_BYTES: i64 = 256 << 20;
/// Most bytes of one page.
const MAX_PAGE_BYTES: u64 = 64 << 20;
/// Most columns of a table.
const MAX_COLUMNS: usize = 200;
/// Most different texts in a table: versions, kernels, number formats.
const MAX_TEXTS: usize = 10_000;

/// The columns that are read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    /// Texts.
    pub(crate) texts: &'static [&'static str],
    /// Whole numbers from 0 to 2³² − 1.
    pub(crate) counts: &'static [&'static str],
    /// Whole numbers that older tables lack: 0 there.
    pub(crate) newer_counts: &'static [&'static str],
}

/// The columns of a table. `latency` is always among them.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    num_rows: usize,
    /// Every text once.
    texts: Vec<String>,
    /// Indices into `texts`.
    text_columns: BTreeMap<&'static str, Vec<u32>>,
    count_columns: BTreeMap<&'static str, Vec<u32>>,
    latencies: Vec<f64>,
}

impl Columns {
    /// Reads `wanted`, `kernel_source` and `latency` from a parquet file; `name` is for messages.
    ///
    /// # Errors
    /// If it is no parquet file, above a limit, lacks a column, or a value is none that the column may have.
    pub(crate) fn read(bytes: &[u8], name: &str, wanted: &Wanted) -> Result<Self> {
        let read = guarded(|| Self::read_unguarded(bytes, wanted));
        read.unwrap_or_else(|| Err(anyhow!("is no parquet file that can be read"))).with_context(|| name.to_owned())
    }

    fn read_unguarded(bytes: &[u8], wanted: &Wanted) -> Result<Self> {
        footer::check(bytes)?;
        let file = SerializedFileReader::new(Bytes::copy_from_slice(bytes)).context("is no parquet file")?;
        check_limits(&file)?;
        for column in file.metadata().row_groups().iter().flat_map(|group| group.columns()) {
            let (start, length) = (column.data_page_offset(), column.compressed_size());
            let start = column.dictionary_page_offset().unwrap_or(start).min(start);
            let chunk = usize::try_from(start).ok().zip(usize::try_from(length).ok());
            let chunk = chunk.and_then(|(start, length)| bytes.get(start..start.checked_add(length)?));
            footer::check_pages(chunk.context("has a column beyond its end")?, MAX_PAGE_BYTES, MAX_ROWS as u64)?;
        }
        let names: Vec<String> = file
            .metadata()
            .file_metadata()
            .schema_descr()
            .columns()
            .iter()
            .map(|column| column.path().string())
            .collect();
        let mut columns = Self::default();
        for group in 0..file.num_row_groups() {
            let group = file.get_row_group(group)?;
            columns.add_group(group.as_ref(), &names, wanted)?;
        }
        Ok(columns)
    }

    fn add_group(&mut self, group: &dyn RowGroupReader, names: &[String], wanted: &Wanted) -> Result<()> {
        let num_rows = usize::try_from(group.metadata().num_rows()).context("has a negative number of rows")?;
        self.num_rows += num_rows;
        let index = |name: &str| names.iter().position(|column| column == name);
        let reader = |name: &str| -> Result<ColumnReader> {
            let index = index(name).with_context(|| format!("has no column {name}"))?;
            ensure!(
                group.metadata().column(index).column_descr().max_rep_level() == 0,
                "column {name} has lists; a value is expected in each row"
            );
            Ok(group.get_column_reader(index)?)
        };
        for &name in wanted.texts.iter().chain(&["kernel_source"]) {
            let texts = self.intern(reader(name)?, num_rows).with_context(|| format!("column {name}"))?;
            self.text_columns.entry(name).or_default().extend(texts);
        }
        for &name in wanted.counts.iter().chain(wanted.newer_counts) {
            let is_absent = wanted.newer_counts.contains(&name) && index(name).is_none();
            let counts = if is_absent {
                vec![0; num_rows]
            } else {
                counts(reader(name)?, num_rows).with_context(|| format!("column {name}"))?
            };
            self.count_columns.entry(name).or_default().extend(counts);
        }
        self.latencies.extend(latencies(reader("latency")?, num_rows).context("column latency")?);
        Ok(())
    }

    /// Numbers for texts.
    fn intern(&mut self, reader: ColumnReader, num_rows: usize) -> Result<Vec<u32>> {
        let ColumnReader::ByteArrayColumnReader(reader) = reader else {
            bail!("holds no texts");
        };
        let mut known: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        for (text, number) in self.texts.iter().zip(0..) {
            known.insert(text.as_bytes().to_vec(), number);
        }
        let mut numbers = Vec::with_capacity(num_rows);
        for value in all(reader, num_rows)? {
            if let Some(&number) = known.get(value.data()) {
                numbers.push(number);
                continue;
            }
            let text = std::str::from_utf8(value.data()).context("holds a text that is not UTF-8")?;
            ensure!(self.texts.len() < MAX_TEXTS, "holds more than {MAX_TEXTS} different texts");
            let number = u32::try_from(self.texts.len())?;
            self.texts.push(text.to_owned());
            known.insert(value.data().to_vec(), number);
            numbers.push(number);
        }
        Ok(numbers)
    }

    pub(crate) fn num_rows(&self) -> usize {
        self.num_rows
    }

    /// A text of a row; empty if the column was not read.
    pub(crate) fn text(&self, column: &str, row: usize) -> &str {
        let number = self.text_columns.get(column).and_then(|column| column.get(row));
        number.and_then(|&number| self.texts.get(usize::try_from(number).ok()?)).map_or("", String::as_str)
    }

    /// A count of a row; 0 if the column was not read.
    pub(crate) fn count(&self, column: &str, row: usize) -> u32 {
        self.count_columns.get(column).and_then(|column| column.get(row)).copied().unwrap_or(0)
    }

    /// The time of a row, in microseconds.
    pub(crate) fn time_us(&self, row: usize) -> f64 {
        self.latencies.get(row).map_or(0.0, |milliseconds| milliseconds * 1e3)
    }
}

fn check_limits(file: &SerializedFileReader<Bytes>) -> Result<()> {
    let metadata = file.metadata();
    let num_columns = metadata.file_metadata().schema_descr().num_columns();
    ensure!(num_columns <= MAX_COLUMNS, "has {num_columns} columns; the limit is {MAX_COLUMNS}");
    let (mut num_rows, mut num_bytes) = (0_i64, 0_i64);
    for group in metadata.row_groups() {
        num_rows = num_rows.saturating_add(group.num_rows().max(0));
        for column in group.columns() {
            num_bytes = num_bytes.saturating_add(column.uncompressed_size().max(0));
        }
    }
    ensure!(
        usize::try_from(num_rows).is_ok_and(|rows| rows <= MAX_ROWS),
        "has {num_rows} rows; the limit is {MAX_ROWS}"
    );
    ensure!(num_bytes <= MAX_UNPACKED_BYTES, "unpacks to {num_bytes} bytes; the limit is {MAX_UNPACKED_BYTES}");
    Ok(())
}

/// The values of a column, one in each row.
fn all<T: DataType>(mut reader: ColumnReaderImpl<T>, num_rows: usize) -> Result<Vec<T::T>> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    while values.len() < num_rows {
        levels.clear();
        let wanted = num_rows - values.len();
        let (num_records, num_values, _) = reader.read_records(wanted, Some(&mut levels), None, &mut values)?;
        ensure!(num_records == num_values, "has empty cells");
        ensure!(num_records > 0, "ends after {} of {num_rows} rows", values.len());
    }
    Ok(values)
}

fn counts(reader: ColumnReader, num_rows: usize) -> Result<Vec<u32>> {
    let wide: Vec<i64> = match reader {
        ColumnReader::Int64ColumnReader(reader) => all(reader, num_rows)?,
        ColumnReader::Int32ColumnReader(reader) => all(reader, num_rows)?.into_iter().map(i64::from).collect(),
        _ => bail!("holds no whole numbers"),
    };
    let narrow = |(row, value): (usize, i64)| {
        u32::try_from(value).with_context(|| format!("row {row}: {value} must be from 0 to {}", u32::MAX))
    };
    wide.into_iter().enumerate().map(narrow).collect()
}

/// Milliseconds, above 0 and below 1000 s.
fn latencies(reader: ColumnReader, num_rows: usize) -> Result<Vec<f64>> {
    let values: Vec<f64> = match reader {
        ColumnReader::DoubleColumnReader(reader) => all(reader, num_rows)?,
        ColumnReader::FloatColumnReader(reader) => all(reader, num_rows)?.into_iter().map(f64::from).collect(),
        _ => bail!("holds no numbers"),
    };
    for (row, &value) in values.iter().enumerate() {
        ensure!(value > 0.0 && value < 1e6, "row {row}: {value:?} ms must be above 0 and below 1000000");
    }
    Ok(values)
}
