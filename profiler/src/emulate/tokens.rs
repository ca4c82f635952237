//! Text becomes tokens: with the model's tokenizer, or piece by piece without one.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, anyhow};
use sim_core::request::TokenRun;
use tokenizers::Tokenizer;

use super::filler::Filler;
use super::pieces;

/// Most words of a filler that is looked up in a tokenizer.
const MAX_WORDS: usize = 1024;
/// Numbers of what a chat template puts between messages begin here, above the filler's.
const TEMPLATE: u64 = 1 << 53;

/// Counts tokens, and has the words of answers.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) filler: Filler,
    tokenizer: Option<Own>,
}

/// The model's tokenizer, and which of its tokens are words of the filler.
#[derive(Debug)]
struct Own {
    tokenizer: Tokenizer,
    words: BTreeMap<u32, usize>,
    /// The words' tokens, in the filler's order.
    ids: Vec<u32>,
}

/// A sequence of tokens, as the engine takes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) runs: Vec<TokenRun>,
    pub(crate) num_tokens: u32,
    hash: u64,
}

impl Sequence {
    /// Appends a token.
    pub(crate) fn push(&mut self, number: u64) {
        self.num_tokens = self.num_tokens.saturating_add(1);
        self.hash = (self.hash ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        match self.runs.last_mut() {
            Some(run) if run.start + u64::from(run.len) == number => run.len += 1,
            _ => self.runs.push(TokenRun { start: number, len: 1 }),
        }
    }

    /// A number that equal sequences share.
    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }
}

/// A part of a prompt.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part<'a> {
    /// Text, and whether special tokens are added as the tokenizer has them.
    Text(&'a str, bool),
    /// One token of a chat template.
    Template(&'a str),
}

impl Tokens {
    /// Pieces of text.
    pub(crate) fn pieces() -> Self {
        Self { filler: Filler::new(Vec::new()), tokenizer: None }
    }

    /// The tokens of a `tokenizer.json`.
    ///
    /// # Errors
    /// If it is none, or has no words that answers could be made of.
    pub(crate) fn of_file(path: &Path) -> Result<Self> {
        let mut tokenizer = Tokenizer::from_file(path)
            .map_err(|error| anyhow!("--tokenizer {}: not a tokenizer.json: {error}", path.display()))?;
        let whole = tokenizer.with_truncation(None).map(|tokenizer| tokenizer.with_padding(None));
        whole.map_err(|error| anyhow!("--tokenizer {}: {error}", path.display()))?;
        let words = filler_words(&tokenizer)
            .ok_or_else(|| anyhow!("--tokenizer {}: no words of one token each in it", path.display()))?;
        let ids: Vec<u32> = words.iter().map(|(id, _)| *id).collect();
        let places = ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let filler = Filler::new(words.into_iter().map(|(_, word)| word).collect());
        Ok(Self { filler, tokenizer: Some(Own { tokenizer, words: places, ids }) })
    }

    /// How tokens are counted, for people.
    pub(crate) const fn described(&self) -> &'static str {
        match self.tokenizer {
            Some(_) => "with the tokenizer given",
            None => "as pieces of about four characters (no --tokenizer)",
        }
    }

    /// Whether counting takes long enough to be done beside everything else.
    pub(crate) const fn is_slow(&self) -> bool {
        self.tokenizer.is_some()
    }

    /// The ids of a text's tokens, as `/tokenize` tells them.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub(crate) fn ids(&self, text: &str, adds_special_tokens: bool) -> Result<Vec<u64>, String> {
        match &self.tokenizer {
            None => Ok(pieces::split(text).map(|piece| pieces::number(piece, &self.filler)).collect()),
            Some(own) => {
                let encoding = own.tokenizer.encode(text, adds_special_tokens).map_err(|error| error.to_string())?;
                Ok(encoding.get_ids().iter().map(|id| u64::from(*id)).collect())
            }
        }
    }

    /// The sequence of a prompt's parts.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub(crate) fn sequence(&self, parts: &[Part<'_>]) -> Result<Sequence, String> {
        let mut sequence = Sequence::default();
        for part in parts {
            match *part {
                Part::Template(name) => sequence.push(TEMPLATE | (pieces::hash(name.as_bytes()) >> 16)),
                Part::Text(text, adds_special_tokens) => {
                    let ids = self.ids(text, adds_special_tokens)?;
                    ids.into_iter().for_each(|id| sequence.push(self.number(id)));
                }
            }
        }
        Ok(sequence)
    }

    /// The sequence of a prompt that came as ids.
    pub(crate) fn sequence_of_ids(&self, ids: impl Iterator<Item = u64>) -> Sequence {
        let mut sequence = Sequence::default();
        ids.for_each(|id| sequence.push(self.number(id)));
        sequence
    }

    /// The id under which others are told of a token: the tokenizer's. Of pieces and of what stands for a chat template the
    /// number's last 32 bits, as ids have no more.
    pub(crate) fn published_id(&self, number: u64) -> u32 {
        let last = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or(0);
        let own = self.tokenizer.as_ref().filter(|_| number < TEMPLATE);
        let word = own.and_then(|own| own.ids.get(Filler::word(number)?));
        word.copied().unwrap_or_else(|| last(number))
    }

    /// The number of a token: its id, but words of the filler are numbered one after the other.
    fn number(&self, id: u64) -> u64 {
        let word = self.tokenizer.as_ref().and_then(|own| own.words.get(&u32::try_from(id).ok()?));
        word.map_or(id, |word| Filler::number(*word))
    }
}

/// Words of a tokenizer that stay one token each when they follow each other; `None` if there is none.
fn filler_words(tokenizer: &Tokenizer) -> Option<Vec<(u32, String)>> {
    let mut vocabulary: Vec<(String, u32)> = tokenizer.get_vocab(false).into_iter().collect();
    vocabulary.sort_by_key(|(_, id)| *id);
    let mut words = Vec::new();
    for (token, id) in vocabulary {
        // What byte-level and SentencePiece tokenizers write for a blank.
        let word = token.trim_start_matches(['\u{120}', '\u{2581}']);
        if !word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) || word.len() < 2 {
            continue;
        }
        let word = format!(" {word}");
        let twice = tokenizer.encode([word.as_str(), word.as_str()].concat(), false);
        if twice.is_ok_and(|encoding| encoding.get_ids() == [id, id]) {
            words.push((id, word));
        }
        if words.len() == MAX_WORDS {
            break;
        }
    }
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(parts: &[Part<'_>]) -> Sequence {
        Tokens::pieces().sequence(parts).expect("pieces")
    }

    #[test]
    fn equal_prefixes_are_equal_tokens() {
        let short = sequence(&[Part::Template("user"), Part::Text("What is this?", true)]);
        let long = sequence(&[Part::Template("user"), Part::Text("What is this?", true), Part::Text(" bab", false)]);
        assert_eq!(short.num_tokens, 5);
        assert_eq!(long.num_tokens, 6);
        assert_eq!(long.runs[..short.runs.len()], short.runs[..]);
        assert_ne!(short.hash(), long.hash());
        assert_ne!(short, sequence(&[Part::Template("system"), Part::Text("What is this?", true)]));
    }

    #[test]
    fn ids_that_follow_each_other_are_one_run() {
        let sequence = Tokens::pieces().sequence_of_ids([5, 6, 7, 9].into_iter());
        let runs: Vec<(u64, u32)> = sequence.runs.iter().map(|run| (run.start, run.len)).collect();
        assert_eq!((runs, sequence.num_tokens), (vec![(5, 3), (9, 1)], 4));
    }
}
