//! The rows of a table, from CSV or JSON lines, by the roles of their columns.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::super::csv::Records;
use super::super::error::WorkloadError;
use super::super::trace::lines;
use super::columns::{ColumnNames, Columns, Role};
use crate::request_set::RequestSet;

/// What stands in a row under a role.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell<'a> {
    /// Of a CSV, trimmed.
    Text(&'a str),
    /// Of JSON lines.
    Json(&'a Value),
}

impl<'a> Cell<'a> {
    /// The text, if it is one.
    pub(super) fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Json(value) => value.as_str().map(str::trim),
        }
    }

    /// It as text, a JSON text without its quotes.
    pub(super) fn to_text(self) -> Cow<'a, str> {
        match (self.as_text(), self) {
            (Some(text), _) | (None, Self::Text(text)) => Cow::Borrowed(text),
            (None, Self::Json(value)) => Cow::Owned(value.to_string()),
        }
    }

    /// The whole number that it is; pandas writes `472.0`.
    pub(super) fn whole(self) -> Option<i128> {
        let text = match self {
            Self::Json(Value::Number(number)) => Cow::Owned(number.to_string()),
            Self::Json(Value::String(_)) | Self::Text(_) => self.to_text(),
            Self::Json(_) => return None,
        };
        text.strip_suffix(".0").unwrap_or(&text).parse().ok()
    }

    /// The finite number that it is.
    pub(super) fn number(self) -> Option<f64> {
        let number = match self {
            Self::Json(Value::Number(number)) => number.as_f64(),
            Self::Json(Value::String(_)) | Self::Text(_) => self.to_text().parse().ok(),
            Self::Json(_) => None,
        };
        number.filter(|number| number.is_finite())
    }

    /// The list of whole numbers that it is: a JSON list, also as the text of a field, or numbers with spaces or
    /// semicolons between them.
    pub(super) fn list(self) -> Option<Vec<i128>> {
        match self {
            Self::Json(Value::Array(values)) => values.iter().map(|value| Cell::Json(value).whole()).collect(),
            _ => {
                let text = self.as_text()?;
                let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
                let parts = inside.split([',', ';', ' ']).map(str::trim).filter(|part| !part.is_empty());
                parts.map(|part| part.parse().ok()).collect()
            }
        }
    }
}

/// One row.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// Line of the file, from 1.
    pub(super) line: u64,
    pub(super) columns: &'a Columns,
    /// By [`Role::index`].
    cells: [Option<Cell<'a>>; Role::ALL.len()],
}

impl<'a> Row<'a> {
    /// A row in an object, such as one of a session's turns.
    pub(super) fn of_object(line: u64, columns: &'a Columns, object: &'a Map<String, Value>) -> Self {
        let cell = |role| columns.name(role).and_then(|name| object.get(name)).map(Cell::Json);
        Self { line, columns, cells: Role::ALL.map(cell) }
    }

    /// What stands under `role`, if anything does.
    pub(super) fn cell(&self, role: Role) -> Option<Cell<'a>> {
        self.cells[role.index()].filter(|cell| match cell {
            Cell::Text(text) => !text.is_empty(),
            Cell::Json(value) => !value.is_null(),
        })
    }

    /// The error that what stands under `role` is not what it must be.
    pub(super) fn error(&self, role: Role, need: &'static str) -> WorkloadError {
        let value = match self.cell(role) {
            None => "absent".to_string(),
            Some(Cell::Text(text)) => text.to_string(),
            Some(Cell::Json(value)) => value.to_string(),
        };
        WorkloadError::row(self.line, self.columns.name(role).unwrap_or(role.name()), value, need)
    }

    /// The number of tokens under `role`, if there is one.
    pub(super) fn length(&self, role: Role) -> Result<Option<u32>, WorkloadError> {
        let Some(cell) = self.cell(role) else { return Ok(None) };
        let length = cell.whole().and_then(|length| u32::try_from(length).ok());
        match length.filter(|&length| length <= RequestSet::MAX_SEQUENCE_TOKENS) {
            Some(length) => Ok(Some(length)),
            None => Err(self.error(role, "a whole number of tokens, from 0 to 67108864")),
        }
    }

    /// The list of whole numbers under `role`; empty where there is none.
    pub(super) fn list(&self, role: Role) -> Result<Vec<i128>, WorkloadError> {
        let Some(cell) = self.cell(role) else { return Ok(Vec::new()) };
        cell.list().ok_or_else(|| self.error(role, "a list of whole numbers"))
    }
}

/// Reads `file`, calling `each` for every row in the order of the file.
pub(super) fn read(
    file: &[u8],
    said: &ColumnNames,
    mut each: impl FnMut(&Row<'_>) -> Result<(), WorkloadError>,
) -> Result<(), WorkloadError> {
    let mut num_rows = 0;
    let mut counted = |row: &Row<'_>| {
        num_rows += 1;
        if num_rows > RequestSet::MAX_REQUESTS {
            let limit = u64::from(RequestSet::MAX_REQUESTS);
            return Err(WorkloadError::TooLarge { what: "rows in the file", value: u64::from(num_rows), limit });
        }
        each(row)
    };
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    if is_json(file) { read_json(file, said, &mut counted) } else { read_csv(file, said, &mut counted) }
}

/// The columns of `file` if these say by their names how long prompts and outputs are.
pub(super) fn known_columns(beginning: &[u8]) -> Option<Columns> {
    let said = ColumnNames::default();
    let beginning = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning);
    let columns = if is_json(beginning) {
        let (line, text) = lines(beginning).next()?;
        Columns::find(&borrowed(&keys(line, text).ok()?), &said, line)
    } else {
        let mut records = Records::new(beginning, delimiter(beginning));
        let (line, header) = records.next().ok()??;
        Columns::find(&header, &said, line)
    };
    columns.ok().filter(Columns::are_enough)
}

fn is_json(file: &[u8]) -> bool {
    matches!(file.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// What stands between the fields of a CSV: a comma, or what its header has more of.
fn delimiter(file: &[u8]) -> u8 {
    let header = file.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let count = |delimiter: u8| header.iter().filter(|&&byte| byte == delimiter).count();
    [b';', b'\t'].into_iter().fold(b',', |best, other| if count(other) > count(best) { other } else { best })
}

fn read_csv(
    file: &[u8],
    said: &ColumnNames,
    each: &mut dyn FnMut(&Row<'_>) -> Result<(), WorkloadError>,
) -> Result<(), WorkloadError> {
    let mut records = Records::new(file, delimiter(file));
    let Some((line, header)) = records.next()? else { return Err(WorkloadError::NoRequests) };
    let columns = Columns::find(&header, said, line)?;
    columns.check(&header, line)?;
    let place = |role| header.iter().position(|field| Some(field.trim()) == columns.name(role));
    let places = Role::ALL.map(place);
    while let Some((line, fields)) = records.next()? {
        let cells = places.map(|place| fields.get(place?).map(|field| Cell::Text(field.trim())));
        each(&Row { line, columns: &columns, cells })?;
    }
    Ok(())
}

fn read_json(
    file: &[u8],
    said: &ColumnNames,
    each: &mut dyn FnMut(&Row<'_>) -> Result<(), WorkloadError>,
) -> Result<(), WorkloadError> {
    if file.trim_ascii_start().starts_with(b"[") {
        let message =
            "this is a JSON list; a table is read from JSON lines, one object on each (jq -c '.[]' FILE writes them)";
        return Err(WorkloadError::Syntax { line: 1, message: message.to_string() });
    }
    let mut found: Option<Columns> = None;
    for (line, text) in lines(file) {
        let columns = match &found {
            Some(columns) => columns,
            None => {
                let keys = keys(line, text)?;
                let columns = Columns::find(&borrowed(&keys), said, line)?;
                columns.check(&borrowed(&keys), line)?;
                found.insert(columns)
            }
        };
        let values = object(line, text, ObjectReader(columns))?;
        let cells = core::array::from_fn(|place| values[place].as_ref().map(Cell::Json));
        each(&Row { line, columns, cells })?;
    }
    Ok(())
}

fn borrowed(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

/// The keys of the object in `text`.
fn keys(line: u64, text: &[u8]) -> Result<Vec<String>, WorkloadError> {
    object(line, text, KeyReader)
}

fn object<'de, T: DeserializeSeed<'de>>(line: u64, text: &'de [u8], reader: T) -> Result<T::Value, WorkloadError> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    reader
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| WorkloadError::json(line, &error))
}

struct KeyReader;

impl<'de> DeserializeSeed<'de> for KeyReader {
    type Value = Vec<String>;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for KeyReader {
    type Value = Vec<String>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        /// More than any table has.
        const MAX_KEYS: usize = 256;
        let mut keys = Vec::new();
        while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            if keys.len() < MAX_KEYS {
                keys.push(key);
            }
        }
        Ok(keys)
    }
}

/// Reads the values of the columns that have a role, by [`Role::index`].
struct ObjectReader<'a>(&'a Columns);

impl<'de> DeserializeSeed<'de> for ObjectReader<'_> {
    type Value = [Option<Value>; Role::ALL.len()];
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectReader<'_> {
    type Value = [Option<Value>; Role::ALL.len()];
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        #[derive(serde::Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
        let mut values = [const { None }; Role::ALL.len()];
        while let Some(Key(key)) = map.next_key()? {
            match Role::ALL.into_iter().find(|&role| self.0.name(role) == Some(key.trim())) {
                Some(role) => values[role.index()] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(values)
    }
}
