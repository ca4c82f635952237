//! Times in tables: dates, or numbers in a unit.

use super::super::date_time::parse_date_time;
use super::super::error::WorkloadError;
use super::columns::{Role, without_unit};
use super::rows::{Cell, Row};
use crate::math;

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// s.
    Seconds,
    /// ms.
    Milliseconds,
    /// µs.
    Microseconds,
    /// ns.
    Nanoseconds,
}

impl TimeUnit {
    /// Their names in `--time-unit`.
    pub const NAMES: &'static [&'static str] = &["s", "ms", "us", "ns"];

    /// The unit of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let units = [Self::Seconds, Self::Milliseconds, Self::Microseconds, Self::Nanoseconds];
        Self::NAMES.iter().zip(units).find(|(known, _)| **known == name).map(|(_, unit)| unit)
    }

    /// Its name in a sentence.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
            Self::Microseconds => "microseconds",
            Self::Nanoseconds => "nanoseconds",
        }
    }

    /// Nanoseconds in one.
    const fn nanoseconds(self) -> u64 {
        match self {
            Self::Seconds => 1_000_000_000,
            Self::Milliseconds => 1_000_000,
            Self::Microseconds => 1_000,
            Self::Nanoseconds => 1,
        }
    }
}

/// How the times of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// As dates.
    Dates,
    /// As numbers.
    Numbers(TimeUnit),
}

impl Clock {
    /// How `row` has its time: as `said`, or else as the column's name and the first value show. Numbers that count from
    /// 1970 in some unit are recognised by their size; others are seconds.
    pub(super) fn of(row: &Row<'_>, said: Option<TimeUnit>) -> Self {
        let cell = row.cell(Role::Time);
        if cell.and_then(Cell::as_text).and_then(parse_date_time).is_some() {
            return Self::Dates;
        }
        let named = row.columns.name(Role::Time).and_then(|name| without_unit(name).1);
        let of_size = || match cell.and_then(Cell::number).unwrap_or(0.0) {
            1e17.. => TimeUnit::Nanoseconds,
            1e14.. => TimeUnit::Microseconds,
            1e11.. => TimeUnit::Milliseconds,
            _ => TimeUnit::Seconds,
        };
        Self::Numbers(said.or(named).unwrap_or_else(of_size))
    }

    /// Its name in a sentence.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Dates => "dates",
            Self::Numbers(unit) => unit.words(),
        }
    }

    /// The row's time in nanoseconds, from a zero of the column's own.
    pub(super) fn time(self, row: &Row<'_>) -> Result<i128, WorkloadError> {
        let cell = row.cell(Role::Time);
        let time = match self {
            Self::Dates => {
                cell.and_then(Cell::as_text).and_then(parse_date_time).map(|time| i128::from(time.as_nanos()))
            }
            Self::Numbers(unit) => cell.and_then(|cell| nanoseconds(cell, unit)),
        };
        time.ok_or_else(|| {
            row.error(
                Role::Time,
                match self {
                    Self::Dates => "a date and time, as those before it, such as 2023-11-16 18:15:46.68",
                    Self::Numbers(_) => "a number, or in all rows a date and time such as 2023-11-16 18:15:46.68",
                },
            )
        })
    }
}

/// A span of time under `role`, in the unit that its name ends in, or in `other`; zero where nothing stands.
pub(super) fn span(row: &Row<'_>, role: Role, other: Option<TimeUnit>) -> Result<u64, WorkloadError> {
    /// As [`super::super::arrival::MAX_SEND_SECONDS`].
    const MOST: u64 = 1_000_000_000_000_000_000;
    let Some(cell) = row.cell(role) else { return Ok(0) };
    let unit = row.columns.name(role).and_then(|name| without_unit(name).1).or(other).unwrap_or(TimeUnit::Seconds);
    let span = nanoseconds(cell, unit).and_then(|span| u64::try_from(span).ok()).filter(|&span| span <= MOST);
    span.ok_or_else(|| row.error(role, "a time from 0 to 1e9 seconds"))
}

/// The nanoseconds nearest to a number of units; `None` if it is no number or further away than ten thousand years.
fn nanoseconds(cell: Cell<'_>, unit: TimeUnit) -> Option<i128> {
    const MOST: i128 = 320_000_000_000_000_000_000;
    let in_range = |time: &i128| (-MOST..=MOST).contains(time);
    if let Some(whole) = cell.whole() {
        return whole.checked_mul(i128::from(unit.nanoseconds())).filter(in_range);
    }
    let number = cell.number()?;
    // A whole part by itself: today's date in nanoseconds has no room in a float.
    let whole = math::floor(number.abs());
    let part = math::round_to_u64((number.abs() - whole) * math::u64_to_f64(unit.nanoseconds()));
    let whole = if whole < 1e19 { i128::from(math::f64_to_u64(whole)) } else { return None };
    let time = whole.checked_mul(i128::from(unit.nanoseconds()))?.checked_add(i128::from(part)).filter(in_range)?;
    Some(if number < 0.0 { -time } else { time })
}
