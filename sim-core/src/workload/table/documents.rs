//! Requests that stand in one large JSON value instead of a line each: GuideLLM's reports, and traces of OpenTelemetry as
//! vLLM sends them.
//!
//! Sources: GuideLLM's `schemas/request_stats.py` (since 0.4: `request_start_time`; before: `start_time`), OpenTelemetry's
//! `trace.proto` in its JSON mapping, and the attributes of vLLM's `tracing/utils.py`, whose span of a request begins when
//! that came (`v1/engine/output_processor.py`, `do_tracing`).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::{Map, Value};

use super::super::error::WorkloadError;
use super::columns::{ColumnNames, Columns, Role};
use super::json_keys::leading_keys;
use super::rows::Row;
use crate::request_set::RequestSet;

/// A kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Document {
    /// `guidellm benchmark`'s report.
    GuideLlm,
    /// Spans as OTLP in JSON: one value, or one on each line, as the collector's file exporter writes them.
    Spans,
}

/// What stands for every element of a list in a path.
const EACH: &str = "[]";
/// Where a report has its requests; those that were not answered have no length.
const REQUESTS: [&str; 5] = ["benchmarks", EACH, "requests", "successful", EACH];
/// Where spans are.
const SPANS: [&str; 6] = ["resourceSpans", EACH, "scopeSpans", EACH, "spans", EACH];
/// What a span is called that is a request to an engine of vLLM. Where there are such, spans of its clients, which count
/// the same tokens, are none.
const OF_ENGINE: &str = "llm_request";
/// Names of a span's time and tokens, here and in the semantic conventions since.
const TIME: &str = "startTimeUnixNano";
const PROMPT: [&str; 2] = ["gen_ai.usage.prompt_tokens", "gen_ai.usage.input_tokens"];
const OUTPUT: [&str; 2] = ["gen_ai.usage.completion_tokens", "gen_ai.usage.output_tokens"];

type Each<'a> = &'a mut dyn FnMut(&Row<'_>) -> Result<(), WorkloadError>;

/// Which kind `beginning` is of, if it is one.
pub(super) fn kind(beginning: &[u8]) -> Option<Document> {
    if !beginning.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let keys = leading_keys(beginning);
    match (keys.contains(&SPANS[0].as_bytes()), keys.contains(&REQUESTS[0].as_bytes())) {
        (true, _) => Some(Document::Spans),
        (_, true) => Some(Document::GuideLlm),
        _ => None,
    }
}

/// Reads the requests of `file`, calling `each` for every one: those of a report in its order, those of a trace in the
/// order of their spans.
pub(super) fn read(file: &[u8], kind: Document, said: &ColumnNames, each: Each<'_>) -> Result<(), WorkloadError> {
    match kind {
        Document::GuideLlm => read_report(file, said, each),
        Document::Spans if *said == ColumnNames::default() => read_spans(file, each),
        Document::Spans => {
            Err(WorkloadError::option("columns", "given", "absent: spans have attributes, which are known by name"))
        }
    }
}

fn read_report(file: &[u8], said: &ColumnNames, each: Each<'_>) -> Result<(), WorkloadError> {
    let mut found: Option<Columns> = None;
    walk(file, &REQUESTS, &mut |request| {
        let columns = match &found {
            Some(columns) => columns,
            None => {
                let keys: Vec<&str> = request.keys().map(String::as_str).collect();
                let columns = Columns::find(&keys, said, 1)?;
                columns.check(&keys, 1)?;
                found.insert(columns)
            }
        };
        each(&Row::of_object(1, columns, &request))
    })?;
    let message = "the report has no request that was answered under benchmarks, requests, successful";
    found.map(|_| ()).ok_or_else(|| WorkloadError::Syntax { line: 1, message: message.into() })
}

fn read_spans(file: &[u8], each: Each<'_>) -> Result<(), WorkloadError> {
    let names = alloc::format!("time={TIME},prompt={},output={}", PROMPT[0], OUTPUT[0]);
    let columns = Columns::find(&[TIME, PROMPT[0], OUTPUT[0]], &ColumnNames::parse(&names)?, 1)?;
    let mut requests: Vec<(bool, Map<String, Value>)> = Vec::new();
    walk(file, &SPANS, &mut |span| {
        let Some(request) = of_span(&span) else { return Ok(()) };
        let row = Row::of_object(1, &columns, &request);
        row.length(Role::Prompt)?;
        row.length(Role::Output)?;
        if row.cell(Role::Time).and_then(|time| time.whole()).is_none() {
            return Err(row.error(Role::Time, "a whole number of nanoseconds since 1970"));
        }
        let limit = u64::from(RequestSet::MAX_REQUESTS);
        if requests.len() as u64 >= limit {
            return Err(WorkloadError::TooLarge { what: "spans of requests in the file", value: limit + 1, limit });
        }
        requests.push((span.get("name").and_then(Value::as_str) == Some(OF_ENGINE), request));
        Ok(())
    })?;
    if requests.is_empty() {
        let message = alloc::format!(
            "no span has {} and {} among its attributes: vLLM sends them with --otlp-traces-endpoint",
            PROMPT[0],
            OUTPUT[0]
        );
        return Err(WorkloadError::Syntax { line: 1, message });
    }
    let has_engine = requests.iter().any(|(is_engine, _)| *is_engine);
    let mut requests = requests.iter().filter(|(is_engine, _)| *is_engine == has_engine);
    requests.try_for_each(|(_, request)| each(&Row::of_object(1, &columns, request)))
}

/// Time and tokens of a span under the names of [`TIME`], [`PROMPT`] and [`OUTPUT`]; `None` if it counts no tokens.
fn of_span(span: &Map<String, Value>) -> Option<Map<String, Value>> {
    let attributes = span.get("attributes")?.as_array()?;
    let value = |names: [&str; 2]| {
        let is_named =
            |attribute: &&Value| attribute.get("key").and_then(Value::as_str).is_some_and(|key| names.contains(&key));
        // An object with one entry, whose name is the value's type.
        attributes.iter().find(is_named)?.get("value")?.as_object()?.values().next().cloned()
    };
    let (prompt, output) = (value(PROMPT)?, value(OUTPUT)?);
    let time = span.get(TIME).cloned().unwrap_or_default();
    Some(
        [(TIME, time), (PROMPT[0], prompt), (OUTPUT[0], output)]
            .map(|(name, value)| (name.into(), value))
            .into_iter()
            .collect(),
    )
}

/// Calls `each` with every object at `path` of the JSON values in `file`. What is read is held one object at a time.
fn walk(
    file: &[u8],
    path: &[&'static str],
    each: &mut dyn FnMut(Map<String, Value>) -> Result<(), WorkloadError>,
) -> Result<(), WorkloadError> {
    let mut refused = None;
    let mut deserializer = serde_json::Deserializer::from_slice(file);
    loop {
        let walk = Walk { path, each: &mut *each, refused: &mut refused };
        if let Err(error) = walk.deserialize(&mut deserializer) {
            return Err(match refused {
                Some(refused) => at_line(refused, error.line()),
                None => WorkloadError::json(1, &error),
            });
        }
        if deserializer.end().is_ok() {
            return Ok(());
        }
    }
}

/// The error with the line on which its object ends.
fn at_line(mut error: WorkloadError, at: usize) -> WorkloadError {
    if let WorkloadError::Row { line, .. } | WorkloadError::Syntax { line, .. } = &mut error {
        *line = u64::try_from(at).unwrap_or(u64::MAX);
    }
    error
}

struct Walk<'a, 'b> {
    path: &'a [&'static str],
    each: &'a mut (dyn FnMut(Map<String, Value>) -> Result<(), WorkloadError> + 'b),
    refused: &'a mut Option<WorkloadError>,
}

impl Walk<'_, '_> {
    fn deeper(&mut self) -> Walk<'_, '_> {
        Walk { path: self.path.get(1..).unwrap_or_default(), each: &mut *self.each, refused: &mut *self.refused }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if !self.path.is_empty() {
            return deserializer.deserialize_any(self);
        }
        let object = Map::deserialize(deserializer)?;
        (self.each)(object).map_err(|error| {
            *self.refused = Some(error);
            D::Error::custom("refused")
        })
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.first() {
            Some(&EACH) => f.write_str("a list"),
            Some(key) => write!(f, "an object with \"{key}\""),
            None => f.write_str("an object"),
        }
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        if self.path.first() != Some(&EACH) {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        while list.next_element_seed(self.deeper())?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let Some(&key) = self.path.first().filter(|key| **key != EACH) else {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        };
        while let Some(name) = map.next_key::<String>()? {
            if name == key {
                map.next_value_seed(self.deeper())?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}
