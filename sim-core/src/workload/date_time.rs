//! Dates and times as traces write them.

use crate::time::{SimDuration, SimTime};

/// `2023-11-16 18:15:46.6805900`, also with `T`, with fewer decimals or none, and with an offset from UTC; as
/// time since the day before 1970; only differences mean something.
pub(super) fn parse_date_time(text: &str) -> Option<SimTime> {
    let text = text.trim();
    let (date, time) = text.split_once([' ', 'T'])?;
    let mut date = date.splitn(3, '-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, offset_minutes) = split_offset(time)?;
    let mut clock = clock.splitn(3, ':');
    let (hour, minute, second) = (digits(clock.next()?)?, digits(clock.next()?)?, clock.next()?);
    let (second, decimals) = second.split_once('.').unwrap_or((second, "0"));
    let second = digits(second)?;
    let in_range = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range || decimals.len() > 9 {
        return None;
    }
    let nanos = digits(decimals)? * 10_u64.pow(9 - u32::try_from(decimals.len()).ok()?);
    // Years begin in March, so that the leap day is the last: Neri and Schneider's arithmetic.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    let minutes = (days * 24 + hour) * 60 + minute;
    // An offset can reach into the day before the first: counting from that one keeps the number positive.
    let minutes = (minutes + MINUTES_PER_DAY).checked_add_signed(-offset_minutes)?;
    let seconds = (minutes * 60 + second).checked_sub(DAYS_BEFORE_1970 * MINUTES_PER_DAY * 60)?;
    Some(SimTime::from_nanos(seconds.checked_mul(1_000_000_000)?) + SimDuration::from_nanos(nanos))
}

/// Days of the count above on the first of January 1970: 64 bits of nanoseconds do not reach back to the year 0.
const DAYS_BEFORE_1970: u64 = 719_469;

const MINUTES_PER_DAY: u64 = 24 * 60;

/// Splits `18:15:46+02:00` into the clock and the offset in minutes.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let Some(at) = time.find(['+', '-']) else {
        return Some((time, 0));
    };
    let (clock, offset) = time.split_at(at);
    let (hours, minutes) = offset[1..].split_once(':')?;
    let minutes = digits(hours)? * 60 + digits(minutes)?;
    if minutes >= MINUTES_PER_DAY {
        return None;
    }
    let minutes = i64::try_from(minutes).ok()?;
    Some((clock, if offset.starts_with('-') { -minutes } else { minutes }))
}

/// A number of at most nine digits and nothing else.
fn digits(text: &str) -> Option<u64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let is_short = (1..=9).contains(&text.len());
    is_short.then(|| text.bytes().try_fold(0, |number, byte| Some(10 * number + digit(byte)?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nanoseconds from the first to the second.
    #[track_caller]
    fn check(first: &str, second: &str, expect: u64) {
        let span = parse_date_time(second).unwrap() - parse_date_time(first).unwrap();
        assert_eq!(span.as_nanos(), expect);
    }

    #[test]
    fn differences_are_exact() {
        const DAY: u64 = 86_400 * 1_000_000_000;
        check("2023-11-16 18:15:46.6805900", "2023-11-16 18:15:50.9951690", 4_314_579_000);
        check("2023-11-16T00:00:00", "2023-11-16 00:00:00.000000001", 1);
        check("2023-02-28 12:00:00", "2023-03-01 12:00:00", DAY);
        check("2024-02-28 12:00:00", "2024-03-01 12:00:00", 2 * DAY);
        check("2100-02-28 12:00:00", "2100-03-01 12:00:00", DAY);
        check("1970-01-01 00:00:00", "2024-05-10 00:00:00", 19_853 * DAY);
        check("2024-05-10 00:00:00.009930+00:00", "2024-05-10 02:00:00.009930Z", 2 * 3_600_000_000_000);
        check("2024-05-10 02:00:00+02:00", "2024-05-10 00:00:00-01:30", 5_400_000_000_000);
    }

    #[test]
    fn what_is_no_date_and_time_is_none() {
        for text in [
            "",
            "0",
            "1700158546.68",
            "2023-11-16",
            "2023-13-16 00:00:00",
            "2023-00-16 00:00:00",
            "2023-11-32 00:00:00",
            "2023-11-16 24:00:00",
            "2023-11-16 00:00",
            "2023-11-16 00:00:00.",
            "2023-11-16 00:00:00.0123456789",
            "2023-11-16 00:00:-1",
            "2023-11-16 00:00:00+99:00",
            "2023-11-16 00:00:00+\u{e9}",
            "9999-12-31 00:00:00",
            "1969-12-30 00:00:00",
            "99999999999999999999-01-01 00:00:00",
        ] {
            assert_eq!(parse_date_time(text), None, "{text}");
        }
    }
}
