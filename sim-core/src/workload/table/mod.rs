//! Requests in any table, a CSV or JSON lines, whose columns are known by name or said: `--dataset-name table`. Reports
//! and traces of programs that have requests deep inside are read as such tables.
//!
//! Not vLLM's. Sources of the formats whose columns are known: see [`Role`].

mod columns;
mod documents;
mod entries;
pub(crate) mod json_keys;
mod prompts;
mod rows;
mod times;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

pub use columns::{ColumnNames, Role};
pub use times::TimeUnit;

use super::dataset::{Sample, SampleOptions};
use super::error::WorkloadError;
use super::trace::{MAX_TRACE_BYTES, check_size};
use super::{After, arrival};
use crate::math;
use crate::request::RequestId;
use crate::request_set::RequestSet;
use crate::time::{SimDuration, SimTime};
use columns::Columns;
use entries::{Before, Entries, Entry};
use prompts::{Prompts, hash_size};
use rows::{Row, read};

/// A table of requests.
#[derive(Debug, Clone)]
pub struct Table<'a> {
    /// The file.
    pub file: &'a [u8],
    /// How it is read.
    pub options: TableOptions,
}

/// How a [`Table`] is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableOptions {
    /// Which column is what, where its name does not say it.
    pub columns: ColumnNames,
    /// The unit of times that are numbers, where neither the column's name nor the numbers say it.
    pub time_unit: Option<TimeUnit>,
    /// Tokens that one hash stands for; `None` for what fits all prompts.
    pub chunk_hash_size: Option<u32>,
    /// When a request is sent that goes on from another's answer.
    pub session_replay: SessionReplay,
}

/// When a request is sent that goes on from another's answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SessionReplay {
    /// At its own time, but not before that answer and the recorded pause after it.
    #[default]
    Closed,
    /// At its own time, whether that answer is there or not.
    Open,
}

impl SessionReplay {
    /// Their names in `--session-replay`.
    pub const NAMES: &'static [&'static str] = &["closed", "open"];
}

/// Whether the names of a file's columns say how long prompts and outputs are.
pub(super) fn is_table(beginning: &[u8]) -> bool {
    documents::kind(beginning).is_some() || rows::known_columns(beginning).is_some()
}

impl Table<'_> {
    /// Reads the requests, in order of their times. A request that goes on from another has that one's prompt and answer
    /// at its beginning: see [`prompts`].
    pub(super) fn sample(&self, options: &SampleOptions) -> Result<Sample, WorkloadError> {
        check_size(self.file, MAX_TRACE_BYTES)?;
        let num_prompts = options.num_prompts()?.map_or(usize::MAX, math::u32_to_usize);
        let mut entries = Entries::new(self.options.time_unit);
        let mut columns = None;
        let mut each = |row: &Row<'_>| {
            columns.get_or_insert_with(|| row.columns.clone());
            entries.take(row, &self.options.columns)
        };
        let file = self.file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(self.file);
        match documents::kind(file) {
            Some(kind) => documents::read(file, kind, &self.options.columns, &mut each)?,
            None => read(file, &self.options.columns, &mut each)?,
        }
        let mut list = core::mem::take(&mut entries.list);
        if entries.clock.is_some() {
            list.sort_by_key(|entry| entry.time);
        }
        list.truncate(num_prompts);
        let hash_size = match self.options.chunk_hash_size {
            Some(size) if (1..=RequestSet::MAX_SEQUENCE_TOKENS).contains(&size) => size,
            Some(size) => {
                return Err(WorkloadError::option("timed_trace_chunk_hash_size", size, "from 1 to 67108864"));
            }
            None => hash_size(&list)?,
        };
        let mut built = Built { num_restarts: 0, after: Vec::with_capacity(list.len()) };
        let mut prompts = Prompts::new(hash_size);
        built.push_all(&list, &entries, &mut prompts, self.options.session_replay)?;
        let mut sample = prompts.builder.finish(options.seed)?;
        if entries.clock.is_some() {
            sample.send_times = Some(send_times(&list)?);
        }
        sample.num_skipped = entries.num_skipped;
        sample.notes = self.notes(columns.as_ref(), &entries, hash_size, &built);
        if built.after.iter().any(Option::is_some) {
            sample.after = built.after;
        }
        Ok(sample)
    }

    /// What was taken for what: to be checked by whoever knows.
    fn notes(&self, columns: Option<&Columns>, entries: &Entries, hash_size: u32, built: &Built) -> Vec<String> {
        let mut parts = Vec::new();
        for role in Role::ALL {
            let Some(name) = columns.and_then(|columns| columns.name(role)) else { continue };
            let how = match (role, entries.clock) {
                (Role::Time, Some(clock)) => alloc::format!(" ({})", clock.words()),
                (Role::Hashes, _) => alloc::format!(" ({hash_size} tokens each)"),
                _ => String::new(),
            };
            let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            parts.push(alloc::format!("{} from {name}{how}", role.name()));
        }
        let mut notes = alloc::vec![alloc::format!("the dataset's columns: {}", parts.join(", "))];
        if entries.clock.is_none() {
            notes.push("the dataset has no times: --request-rate says when requests are sent".into());
        }
        let num_after = built.after.iter().filter(|after| after.is_some()).count();
        if num_after > 0 {
            notes.push(alloc::format!(
                "{num_after} of {} requests are sent after the answer that they go on from",
                built.after.len()
            ));
        }
        if built.num_restarts > 0 {
            notes.push(alloc::format!(
                "{} turns have a shorter prompt than the turn before and are taken to share nothing with it",
                built.num_restarts
            ));
        }
        notes
    }
}

/// What comes of the entries, beside their prompts.
struct Built {
    num_restarts: u32,
    after: Vec<Option<After>>,
}

impl Built {
    fn push_all(
        &mut self,
        list: &[Entry],
        entries: &Entries,
        prompts: &mut Prompts,
        replay: SessionReplay,
    ) -> Result<(), WorkloadError> {
        let mut last_of_session = BTreeMap::new();
        let mut of_id = BTreeMap::new();
        for (number, entry) in (0..).zip(list) {
            let before = match entry.before {
                Before::Nothing => None,
                Before::Session(session) => last_of_session.insert(session, number),
                Before::Request(id) => of_id.get(&id).copied(),
            };
            if let Some(id) = entry.id {
                of_id.insert(id, number);
            }
            let is_restart = prompts.push(entry, entries.lists(), before.map(RequestId))?;
            self.num_restarts += u32::from(is_restart);
            let waits = replay == SessionReplay::Closed || entry.is_nested;
            self.after.push(before.filter(|_| waits).map(|before| {
                let pause = list.get(math::u32_to_usize(before)).map_or(0, |before| before.pause);
                After { request: RequestId(before), delay: SimDuration::from_nanos(entry.delay.saturating_add(pause)) }
            }));
        }
        Ok(())
    }
}

/// The times of `list`, which are in order, after the first.
fn send_times(list: &[Entry]) -> Result<Vec<SimTime>, WorkloadError> {
    let first = list.first().map_or(0, |entry| entry.time);
    let time = |(index, entry): (usize, &Entry)| {
        let nanos = u64::try_from(entry.time - first).unwrap_or(u64::MAX);
        let time = SimTime::from_nanos(nanos);
        let seconds = time.as_secs_f64();
        if seconds > arrival::MAX_SEND_SECONDS { Err(WorkloadError::SendTime { index, seconds }) } else { Ok(time) }
    };
    list.iter().enumerate().map(time).collect()
}
