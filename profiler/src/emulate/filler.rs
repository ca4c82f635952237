//! The text that answers are made of: words of one token each, over and over.
//!
//! An answer begins at a word that its prompt decides, so that the same prompt has the same answer, and prompts that
//! quote an answer find its tokens in the prefix cache.

use sim_core::request::TokenRun;

/// Numbers of the filler's tokens begin here, above those of all others.
const FIRST_NUMBER: u64 = 1 << 52;

const CONSONANTS: &[u8] = b"bcdfghjklmnprstvwz";
const VOWELS: &[u8] = b"aeiou";

/// The words, in order.
#[derive(Debug)]
pub(crate) struct Filler {
    words: Vec<String>,
}

impl Filler {
    /// Of words that are one token each and need no escape in JSON; at least one.
    pub(crate) fn new(words: Vec<String>) -> Self {
        Self { words: if words.is_empty() { made_up() } else { words } }
    }

    /// The number of a word's token.
    pub(crate) fn number(word: usize) -> u64 {
        FIRST_NUMBER + word as u64
    }

    /// The word with the token `number`, if it is a word's.
    pub(crate) fn word(number: u64) -> Option<usize> {
        number.checked_sub(FIRST_NUMBER).and_then(|word| usize::try_from(word).ok())
    }

    /// The words.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// The tokens of an answer of `num_tokens` that begins at word `first`.
    pub(crate) fn runs(&self, first: usize, num_tokens: u32) -> Vec<TokenRun> {
        let count = self.words.len();
        let (mut word, mut left) = (first % count, num_tokens);
        let mut runs = Vec::new();
        while left > 0 {
            let len = left.min(u32::try_from(count - word).unwrap_or(left));
            runs.push(TokenRun { start: Self::number(word), len });
            left -= len;
            word = 0;
        }
        runs
    }

    /// Appends the text of tokens `from..to` of that answer.
    pub(crate) fn write(&self, text: &mut String, first: usize, (from, to): (u32, u32)) {
        for token in from..to {
            text.push_str(&self.words[(first + token as usize) % self.words.len()]);
        }
    }
}

/// Short words that `pieces.rs` takes as one token each.
fn made_up() -> Vec<String> {
    let mut words = Vec::new();
    for &first in CONSONANTS {
        for &vowel in VOWELS {
            for &last in CONSONANTS {
                words.push([' ', char::from(first), char::from(vowel), char::from(last)].iter().collect());
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_text_are_of_the_same_words() {
        let filler = Filler::new(vec![" a".to_owned(), " b".to_owned(), " c".to_owned()]);
        let runs: Vec<(u64, u32)> = filler.runs(4, 6).iter().map(|run| (run.start - FIRST_NUMBER, run.len)).collect();
        assert_eq!(runs, [(1, 2), (0, 3), (0, 1)]);
        let mut text = String::new();
        filler.write(&mut text, 4, (0, 2));
        filler.write(&mut text, 4, (2, 6));
        assert_eq!(text, " b c a b c a");
        assert!(filler.runs(0, 0).is_empty());
        assert_eq!(Filler::new(Vec::new()).words().len(), 18 * 5 * 18);
    }
}
