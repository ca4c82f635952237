//! A table as Parquet, group of rows by group of rows.

use std::io::Write;
use std::mem;
use std::sync::Arc;

use anyhow::Result;
use parquet::basic::{Compression, LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use super::table::{Cell, Column, Kind};

/// Rows of a group: some ten megabytes.
const ROWS_PER_GROUP: usize = 1 << 16;

/// A file that is being written.
pub(crate) struct ParquetFile<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    kinds: Vec<Kind>,
    rows: Vec<Vec<Option<Cell>>>,
}

impl<W: Write + Send> ParquetFile<W> {
    /// A file with these columns, which says of which plan it is.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn new(out: W, columns: &[Column], plan: &str) -> Result<Self> {
        let fields = columns.iter().map(field).collect::<Result<_>>()?;
        let schema = Type::group_type_builder("sweep").with_fields(fields).build()?;
        let said = [("plan", plan), ("program", concat!("VllmSimulator ", env!("CARGO_PKG_VERSION")))];
        let said = said.map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(said.to_vec()))
            .build();
        let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
        Ok(Self { writer, kinds: columns.iter().map(|column| column.kind).collect(), rows: vec![] })
    }

    /// Adds rows. Groups have equally many, however rows come.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(crate) fn write(&mut self, rows: Vec<Vec<Option<Cell>>>) -> Result<()> {
        for row in rows {
            self.rows.push(row);
            if self.rows.len() == ROWS_PER_GROUP {
                self.write_group()?;
            }
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn close(mut self) -> Result<()> {
        self.write_group()?;
        self.writer.finish()?;
        Ok(self.writer.inner_mut().flush()?)
    }

    fn write_group(&mut self) -> Result<()> {
        let rows = mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for (place, kind) in self.kinds.iter().enumerate() {
            let Some(column) = group.next_column()? else { break };
            let cells = rows.iter().map(|row| row.get(place).and_then(Option::as_ref));
            match kind {
                Kind::Whole => write::<Int64Type>(
                    column,
                    cells.map(|cell| match cell {
                        Some(Cell::Whole(number)) => Some(*number),
                        _ => None,
                    }),
                )?,
                Kind::Number => write::<DoubleType>(
                    column,
                    cells.map(|cell| match cell {
                        Some(Cell::Number(number)) => Some(*number),
                        _ => None,
                    }),
                )?,
                Kind::Switch => write::<BoolType>(
                    column,
                    cells.map(|cell| match cell {
                        Some(Cell::Switch(is_on)) => Some(*is_on),
                        _ => None,
                    }),
                )?,
                Kind::Text => write::<ByteArrayType>(
                    column,
                    cells.map(|cell| match cell {
                        Some(Cell::Text(text)) => Some(ByteArray::from(text.as_str())),
                        _ => None,
                    }),
                )?,
            }
        }
        group.close()?;
        Ok(())
    }
}

/// Writes the cells of a column, empty ones left out and marked by their level.
fn write<T: DataType>(mut column: SerializedColumnWriter<'_>, cells: impl Iterator<Item = Option<T::T>>) -> Result<()> {
    let (mut values, mut levels) = (vec![], vec![]);
    for cell in cells {
        levels.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    column.typed::<T>().write_batch(&values, Some(&levels), None)?;
    Ok(column.close()?)
}

fn field(column: &Column) -> Result<TypePtr> {
    let (physical, logical) = match column.kind {
        Kind::Whole => (PhysicalType::INT64, None),
        Kind::Number => (PhysicalType::DOUBLE, None),
        Kind::Switch => (PhysicalType::BOOLEAN, None),
        Kind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let field = Type::primitive_type_builder(&column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()?;
    Ok(Arc::new(field))
}
