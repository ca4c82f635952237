//! The rows of a table as requests that are still to be built.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use serde_json::Value;

use super::super::error::WorkloadError;
use super::columns::{ColumnNames, Columns, Role};
use super::rows::{Cell, Row};
use super::times::{Clock, TimeUnit, span};
use crate::math;
use crate::request_set::RequestSet;

/// Most whole numbers in all lists of hashes and tokens together: 1 GiB.
const MAX_LISTED: usize = 1 << 26;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Nanoseconds from a zero of the table's own; 0 without times.
    pub(super) time: i128,
    pub(super) prompt: u32,
    pub(super) output: u32,
    pub(super) priority: i32,
    /// What it goes on from.
    pub(super) before: Before,
    /// Its number among ids, where others can refer to it.
    pub(super) id: Option<u32>,
    /// Nanoseconds from the answer before.
    pub(super) delay: u64,
    /// Nanoseconds from its answer to the next.
    pub(super) pause: u64,
    /// Whether it is a turn within a session's row, without a time of its own.
    pub(super) is_nested: bool,
    pub(super) text: Text,
}

/// What a request goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing.
    Nothing,
    /// The last request of this session.
    Session(u32),
    /// The request of this id, if there is one.
    Request(u32),
}

/// What is known of the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    /// Its length alone.
    Private,
    /// Hashes of its chunks, of [`Entries::lists`].
    Hashes(Range<usize>),
    /// Its tokens, of [`Entries::lists`].
    Tokens(Range<usize>),
    /// That it begins with this many tokens of this beginning.
    Prefix(u32, u32),
}

/// Numbers for texts, in the order in which they come.
#[derive(Debug, Default)]
struct Numbers(BTreeMap<String, u32>);

impl Numbers {
    fn number(&mut self, text: &str) -> u32 {
        let next = math::usize_to_u32(self.0.len());
        match self.0.get(text) {
            Some(&number) => number,
            None => *self.0.entry(text.to_owned()).or_insert(next),
        }
    }
}

/// The requests of a table so far.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) list: Vec<Entry>,
    pub(super) num_skipped: u32,
    /// How times are written; `None` where there are none.
    pub(super) clock: Option<Clock>,
    said_unit: Option<TimeUnit>,
    lists: Vec<i128>,
    sessions: Numbers,
    ids: Numbers,
    prefixes: Numbers,
    num_nested_sessions: u32,
    nested_columns: Option<Columns>,
}

impl Entries {
    /// None yet; numbers are times in `said_unit`, if that is given.
    pub(super) fn new(said_unit: Option<TimeUnit>) -> Self {
        Self {
            list: Vec::new(),
            num_skipped: 0,
            clock: None,
            said_unit,
            lists: Vec::new(),
            sessions: Numbers::default(),
            ids: Numbers::default(),
            prefixes: Numbers::default(),
            num_nested_sessions: 0,
            nested_columns: None,
        }
    }

    /// All hashes and tokens.
    pub(super) fn lists(&self) -> &[i128] {
        &self.lists
    }

    /// Takes a row.
    pub(super) fn take(&mut self, row: &Row<'_>, said: &ColumnNames) -> Result<(), WorkloadError> {
        let time = self.time(row)?;
        let Some(turns) = row.cell(Role::Turns) else { return self.take_one(row, time, None) };
        let Cell::Json(Value::Array(turns)) = turns else {
            return Err(row.error(Role::Turns, "a list of objects, one for each turn"));
        };
        let session = u32::MAX - self.num_nested_sessions;
        self.num_nested_sessions += 1;
        for turn in turns {
            let Value::Object(turn) = turn else {
                return Err(row.error(Role::Turns, "a list of objects, one for each turn"));
            };
            let columns = match self.nested_columns.take() {
                Some(columns) => columns,
                None => {
                    let present: Vec<&str> = turn.keys().map(String::as_str).collect();
                    let columns = Columns::find(&present, &said.of_turns(&present), row.line)?;
                    columns.check(&present, row.line)?;
                    columns
                }
            };
            let taken = self.take_one(&Row::of_object(row.line, &columns, turn), time, Some(session));
            self.nested_columns = Some(columns);
            taken?;
        }
        Ok(())
    }

    fn time(&mut self, row: &Row<'_>) -> Result<i128, WorkloadError> {
        if row.columns.name(Role::Time).is_none() {
            return Ok(0);
        }
        let clock = *self.clock.get_or_insert_with(|| Clock::of(row, self.said_unit));
        clock.time(row)
    }

    /// Takes a request; `nested` is the session in whose row it stands.
    fn take_one(&mut self, row: &Row<'_>, time: i128, nested: Option<u32>) -> Result<(), WorkloadError> {
        let text = self.text(row)?;
        let stated = match (row.length(Role::Prompt)?, row.length(Role::Suffix)?, &text) {
            (Some(prompt), _, _) => prompt,
            (None, Some(suffix), Text::Prefix(_, len)) => suffix.saturating_add(*len),
            (None, Some(suffix), _) => suffix,
            (None, None, Text::Tokens(range)) => math::usize_to_u32(range.len()),
            (None, None, _) => return Err(row.error(Role::Prompt, "a whole number of tokens, from 0 to 67108864")),
        };
        let Some(output) = row.length(Role::Output)? else {
            return Err(row.error(Role::Output, "a whole number of tokens, from 0 to 67108864"));
        };
        if stated == 0 || output == 0 {
            self.num_skipped += 1;
            return Ok(());
        }
        let priority = match row.cell(Role::Priority) {
            None => 0,
            Some(cell) => match cell.whole().and_then(|priority| i32::try_from(priority).ok()) {
                Some(priority) => priority,
                None => return Err(row.error(Role::Priority, "a whole number from -2147483648 to 2147483647")),
            },
        };
        if self.list.len() >= math::u32_to_usize(RequestSet::MAX_REQUESTS) {
            let limit = u64::from(RequestSet::MAX_REQUESTS);
            return Err(WorkloadError::TooLarge { what: "requests in the file", value: limit + 1, limit });
        }
        let entry = Entry {
            time,
            prompt: stated,
            output,
            priority,
            before: self.before(row, nested),
            id: row.cell(Role::Id).map(|id| self.ids.number(&id.to_text())),
            delay: span(row, Role::Delay, self.said_unit)?,
            pause: span(row, Role::Pause, self.said_unit)?,
            is_nested: nested.is_some(),
            text,
        };
        self.list.push(entry);
        Ok(())
    }

    fn before(&mut self, row: &Row<'_>, nested: Option<u32>) -> Before {
        if let Some(session) = nested {
            return Before::Session(session);
        }
        if row.columns.name(Role::Id).is_some() && row.columns.name(Role::Parent).is_some() {
            // Bailian's roots have -1, which nobody is called.
            return match row.cell(Role::Parent) {
                Some(parent) => Before::Request(self.ids.number(&parent.to_text())),
                None => Before::Nothing,
            };
        }
        match row.cell(Role::Session) {
            Some(session) => Before::Session(self.sessions.number(&session.to_text())),
            None => Before::Nothing,
        }
    }

    fn text(&mut self, row: &Row<'_>) -> Result<Text, WorkloadError> {
        for role in [Role::Hashes, Role::Tokens] {
            let list = row.list(role)?;
            if list.is_empty() {
                continue;
            }
            let start = self.lists.len();
            if start + list.len() > MAX_LISTED {
                let value = math::usize_to_u64(start + list.len());
                let what = "hashes and tokens in all rows together";
                return Err(WorkloadError::TooLarge { what, value, limit: math::usize_to_u64(MAX_LISTED) });
            }
            self.lists.extend(list);
            let range = start..self.lists.len();
            return Ok(if role == Role::Hashes { Text::Hashes(range) } else { Text::Tokens(range) });
        }
        let Some(prefix) = row.cell(Role::Prefix) else { return Ok(Text::Private) };
        match row.length(Role::PrefixLen)? {
            Some(len) => Ok(Text::Prefix(self.prefixes.number(&prefix.to_text()), len)),
            None => Err(row.error(Role::PrefixLen, "a whole number of tokens, from 0 to 67108864")),
        }
    }
}
