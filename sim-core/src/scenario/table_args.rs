//! How a table of requests is read, of the flags.

use alloc::string::String;

use super::ScenarioError;
use crate::config::flags::FlagError;
use crate::workload::table::{ColumnNames, SessionReplay, TableOptions, TimeUnit};

/// How a table of requests is read; each `None` until given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TableArgs {
    columns: Option<ColumnNames>,
    time_unit: Option<TimeUnit>,
    session_replay: Option<SessionReplay>,
}

impl TableArgs {
    /// Sets the field of flag `name` from its text.
    pub(super) fn set(&mut self, name: &'static str, text: &str) -> Result<(), ScenarioError> {
        match name {
            "columns" => self.columns = Some(ColumnNames::parse(text)?),
            "time-unit" => {
                let unit = TimeUnit::from_name(text);
                self.time_unit = Some(unit.ok_or_else(|| wrong(name, text, "one of s, ms, us, ns"))?);
            }
            _ => {
                self.session_replay = Some(match text {
                    "closed" => SessionReplay::Closed,
                    "open" => SessionReplay::Open,
                    _ => return Err(wrong(name, text, "one of closed, open")),
                });
            }
        }
        Ok(())
    }

    /// The first of these flags that was given, without dashes.
    pub(super) fn given(&self) -> Option<&'static str> {
        let flags = [
            ("columns", self.columns.is_some()),
            ("time-unit", self.time_unit.is_some()),
            ("session-replay", self.session_replay.is_some()),
        ];
        flags.into_iter().find(|(_, is_given)| *is_given).map(|(name, _)| name)
    }

    /// How a table is read whose hashes stand for `chunk_hash_size` tokens.
    pub(super) fn options(&self, chunk_hash_size: Option<u32>) -> TableOptions {
        TableOptions {
            columns: self.columns.clone().unwrap_or_default(),
            time_unit: self.time_unit,
            chunk_hash_size,
            session_replay: self.session_replay.unwrap_or_default(),
        }
    }
}

fn wrong(name: &str, text: &str, expected: &'static str) -> ScenarioError {
    let flag: String = alloc::format!("--{name}");
    FlagError::value(&flag, text, expected).into()
}
