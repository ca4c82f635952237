//! What the JSON parser says, in the words of JSON instead of Rust's.

use alloc::borrow::Cow;
use alloc::format;

/// A message of `serde` or `serde_json` (without its line and column) for somebody who wrote the file.
pub(crate) fn for_people(message: &str) -> Cow<'_, str> {
    let wrong = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    if let Some((got, wanted)) = wrong.and_then(|wrong| wrong.rsplit_once(", expected ")) {
        return format!("found {}; it must be {}", value(got), kind(wanted)).into();
    }
    match message {
        "expected value" => "no JSON value begins here (NaN and Infinity are none)".into(),
        "EOF while parsing a value" => "the text ends where a value must stand".into(),
        "recursion limit exceeded" => "nested too deeply; the limit is 127 levels".into(),
        "trailing characters" => "more text follows the end of the JSON value".into(),
        _ => match message.strip_prefix("EOF while parsing ") {
            Some(part) => format!("the text ends within {part}").into(),
            None => message.into(),
        },
    }
}

/// A value as the parser names it.
fn value(got: &str) -> Cow<'_, str> {
    match got {
        "map" => "an object".into(),
        "sequence" => "an array".into(),
        _ => match got.strip_prefix("floating point ").or_else(|| got.strip_prefix("integer ")) {
            Some(number) => format!("number {number}").into(),
            None => shortened(got),
        },
    }
}

/// The beginning of a value that is too long for a sentence.
fn shortened(got: &str) -> Cow<'_, str> {
    const MAX_CHARS: usize = 60;
    match got.char_indices().nth(MAX_CHARS).and_then(|(end, _)| got.get(..end)) {
        Some(beginning) => format!("{beginning}…").into(),
        None => got.into(),
    }
}

/// A type as the parser names it.
fn kind(wanted: &str) -> &str {
    match wanted {
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number of at least 0",
        "f64" => "a number",
        "a map" => "an object",
        "a sequence" => "an array",
        "a boolean" => "true or false",
        _ if wanted.starts_with("struct ") => "an object",
        _ => wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, expect: &str) {
        assert_eq!(for_people(message), expect);
    }

    #[test]
    fn rust_types_become_those_of_json() {
        check("invalid type: map, expected a sequence", "found an object; it must be an array");
        check(
            "invalid type: floating point `1.5`, expected u32",
            "found number `1.5`; it must be a whole number from 0 to 4294967295",
        );
        check("invalid type: null, expected struct Host", "found null; it must be an object");
    }

    #[test]
    fn the_users_own_words_stay() {
        check(
            "invalid type: string \"map, expected u32\", expected f64",
            "found string \"map, expected u32\"; it must be a number",
        );
        check("unknown field `sequence`", "unknown field `sequence`");
    }

    #[test]
    fn long_values_are_told_by_their_beginning() {
        let long = "ü".repeat(500);
        let told = format!("found string \"{}…; it must be a number", "ü".repeat(52));
        check(&format!("invalid type: string \"{long}\", expected f64"), &told);
    }
}
