//! JSON as Python writes it: with `NaN` and `Infinity`, which published files have.

use alloc::borrow::Cow;
use alloc::vec::Vec;

/// Python's words for numbers that JSON has none for.
const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];

/// The same text with null in the place of those numbers. No length or size is one of them.
pub(crate) fn as_json(text: &[u8]) -> Cow<'_, [u8]> {
    let word_at = |at: usize| WORDS.into_iter().find(|word| text[at..].starts_with(word));
    if !text.windows(3).any(|three| three == b"NaN" || three == b"Inf") {
        return Cow::Borrowed(text);
    }
    let mut json = Vec::with_capacity(text.len());
    let (mut at, mut is_in_text) = (0, false);
    while at < text.len() {
        match text[at] {
            b'\\' if is_in_text => {
                json.extend_from_slice(&text[at..text.len().min(at + 2)]);
                at += 2;
                continue;
            }
            b'"' => is_in_text = !is_in_text,
            _ if is_in_text => {}
            _ => {
                if let Some(word) = word_at(at) {
                    json.extend_from_slice(b"null");
                    at += word.len();
                    continue;
                }
            }
        }
        json.push(text[at]);
        at += 1;
    }
    Cow::Owned(json)
}

#[cfg(test)]
mod tests {
    use super::as_json;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(core::str::from_utf8(&as_json(text.as_bytes())), Ok(expect));
    }

    #[test]
    fn numbers_that_json_has_none_for_become_null_outside_texts_only() {
        check(r#"{"a": [0.0, Infinity], "b": -Infinity, "c": NaN}"#, r#"{"a": [0.0, null], "b": null, "c": null}"#);
        check(r#"{"NaN": "Infinity \" NaN"}"#, r#"{"NaN": "Infinity \" NaN"}"#);
        check(r#""NaN\"#, r#""NaN\"#);
    }
}
