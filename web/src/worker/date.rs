//! Dates, without a calendar of the browser: these are Gregorian, of the clock on the wall.

use sim_core::time::SimTime;

const MICROS_PER_DAY: u64 = 86_400_000_000;
/// Days of 400 years, after which the calendar repeats.
const DAYS_PER_ERA: u64 = 146_097;
/// From 1 March of the year 0, where an era begins, to 1 January 1970.
const DAYS_BEFORE_1970: u64 = 719_468;

/// The date and time `after` the moment `began_ms`, in milliseconds since 1970, as Python's `isoformat()` writes it.
pub(crate) fn iso_date(began_ms: u64, after: SimTime) -> String {
    let micros = began_ms.saturating_mul(1000).saturating_add(after.as_nanos() / 1000);
    let (day, time) = (micros / MICROS_PER_DAY, micros % MICROS_PER_DAY);
    let (year, month, day) = civil(day);
    let (seconds, fraction) = (time / 1_000_000, time % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}")
}

/// Year, month and day of a number of days since 1970. Years are counted from March, so that the leap day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_BEFORE_1970;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    // Without the leap days of the 4, 100 and 400 years.
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // March to July have 153 days, and so have August to December.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (0, month + 3) } else { (1, month - 9) };
    (400 * era + year_of_era + year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(began_ms: u64, after_ns: u64, expect: &str) {
        assert_eq!(iso_date(began_ms, SimTime::from_nanos(after_ns)), expect, "{began_ms} ms and {after_ns} ns");
    }

    /// Expected: Python's `datetime.fromtimestamp(…, UTC).isoformat(timespec="microseconds")`.
    #[test]
    fn dates_are_those_of_the_calendar() {
        check(0, 0, "1970-01-01T00:00:00.000000");
        check(951_782_400_000, 0, "2000-02-29T00:00:00.000000");
        check(1_709_251_199_999, 1_000_000, "2024-03-01T00:00:00.000000");
        check(1_767_225_599_123, 456_999, "2025-12-31T23:59:59.123456");
        check(4_107_542_400_000, 0, "2100-03-01T00:00:00.000000");
        check(1_795_528_230_000, 90_061_000_000_000, "2026-11-25T14:51:31.000000");
    }
}
