//! Tokens without a tokenizer: pieces of text of about four characters, told apart by a hash of what they say.

use super::filler::Filler;

/// Most letters of a piece.
const MAX_LETTERS: usize = 6;
/// Most digits.
const MAX_DIGITS: usize = 3;
/// Most blanks of a piece that is only blanks.
const MAX_BLANKS: usize = 8;
/// Numbers of pieces are below this: exact in any reader's JSON.
const NUMBERS: u64 = 1 << 48;

/// The pieces of a text: a word's letters with the blank before it, digits, blanks, and each other character alone.
/// Equal texts have equal pieces, and a piece ends where a blank begins, so texts that are put together keep theirs.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, behind) = rest.split_at_checked(length(rest)?)?;
        rest = behind;
        Some(piece)
    })
}

/// Bytes of the first piece; `None` of an empty text.
fn length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let first = *bytes.first()?;
    let count = |from: usize, most: usize, is: fn(&u8) -> bool| {
        bytes.iter().skip(from).take(most).take_while(|byte| is(byte)).count()
    };
    let is_blank = |byte: &u8| byte.is_ascii_whitespace();
    let lead = usize::from(first == b' ');
    let letters = count(lead, MAX_LETTERS, u8::is_ascii_alphabetic);
    let digits = count(lead, MAX_DIGITS, u8::is_ascii_digit);
    Some(match (letters, digits) {
        (0, 0) if is_blank(&first) => {
            // The last of several blanks belongs to the word behind them.
            let blanks = count(0, MAX_BLANKS, is_blank);
            let is_before_word = bytes.get(blanks).is_some_and(u8::is_ascii_alphanumeric);
            if blanks > 1 && is_before_word && bytes[blanks - 1] == b' ' { blanks - 1 } else { blanks }
        }
        (0, 0) => text.chars().next().map_or(1, char::len_utf8),
        (letters, digits) => lead + letters.max(digits),
    })
}

/// The number of a piece's token.
pub(crate) fn number(piece: &str, filler: &Filler) -> u64 {
    match filler.words().binary_search_by(|word| word.as_str().cmp(piece)) {
        Ok(word) => Filler::number(word),
        Err(_) => hash(piece.as_bytes()) % NUMBERS,
    }
}

/// FNV-1a: short, and the same everywhere.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        assert_eq!(split(text).collect::<Vec<_>>(), expect);
        assert_eq!(split(text).collect::<String>(), text);
    }

    #[test]
    fn pieces_are_words_and_parts_of_long_ones() {
        check("", &[]);
        check("Hello, world", &["Hello", ",", " world"]);
        check("tokenization 12345", &["tokeni", "zation", " 123", "45"]);
        check("a\n\n  b", &["a", "\n\n ", " b"]);
        check("  ", &["  "]);
        check("né 漢字", &["n", "é", " ", "漢", "字"]);
        check(" - x", &[" ", "-", " x"]);
    }

    #[test]
    fn the_filler_is_one_piece_a_word_and_found_again() {
        let filler = Filler::new(Vec::new());
        let mut text = "What?".to_owned();
        filler.write(&mut text, 40, (0, 100));
        let numbers: Vec<u64> = split(&text).skip(2).map(|piece| number(piece, &filler)).collect();
        assert_eq!(numbers, (40..140).map(Filler::number).collect::<Vec<_>>());
        assert_ne!(number("abc", &filler), number("abd", &filler));
    }

    #[test]
    fn english_prose_has_about_four_characters_a_piece() {
        let text = include_str!("../../../LICENSE");
        let per_piece = text.chars().count() as f64 / split(text).count() as f64;
        assert!((3.8..4.6).contains(&per_piece), "{per_piece}");
    }
}
