//! Sentences that begin as a command does: "vllm serve hangs when …".

use alloc::string::String;

use super::Program;
use crate::config::flags::{Takes, normalised, spec_of};

/// What follows the program's name in sentences, and never is a model.
#[rustfmt::skip]
const VERBS_AND_LITTLE_WORDS: [&str; 44] = [
    "a", "also", "and", "are", "as", "at", "but", "by", "can", "cannot", "command", "commands", "crashed", "crashes",
    "does", "doesn't", "exits", "fails", "for", "from", "hangs", "has", "if", "in", "is", "isn't", "needs", "of", "on",
    "or", "process", "so", "starts", "supports", "takes", "that", "the", "then", "to", "was", "when", "will", "with",
    "works",
];

/// Strays that a command with flags may have before it is a sentence: they are then named.
const MAX_STRAYS: usize = 1;

/// Whether the words behind a program's name go on a sentence, or are none: then nothing is called.
pub(super) fn is_sentence(program: Program, arguments: &[String]) -> bool {
    let Some(first) = arguments.first() else {
        // To call it so says nothing. Ours has a built-in run.
        return program != Program::Simulate;
    };
    let is_little = |word: &str| VERBS_AND_LITTLE_WORDS.iter().any(|little| word.eq_ignore_ascii_case(little));
    if is_little(first.trim_end_matches([',', '.', ':', ';', '?', '!'])) {
        return true;
    }
    // Asked for help it does nothing else; how it is used is told in brackets.
    if first.starts_with('[') || arguments.iter().any(|word| matches!(word.as_str(), "--help" | "-h" | "--version")) {
        return true;
    }
    let has_flag = arguments.iter().any(|word| word.starts_with('-'));
    let ends_sentence = |word: &String| word.ends_with(['.', '?', '!', ':', ',']) && is_word(word);
    if !has_flag && (arguments.last().is_some_and(ends_sentence) || program == Program::BenchServe) {
        return true;
    }
    // The model, which stands anywhere among flags.
    let num_own = usize::from(program == Program::Serve && (has_flag || is_word(first)));
    let max_strays = if has_flag { MAX_STRAYS } else { 0 };
    num_strays(arguments).saturating_sub(num_own) > max_strays
}

/// Words of letters that are no flag's value.
fn num_strays(arguments: &[String]) -> usize {
    let mut flag: Option<(usize, &str)> = None;
    let mut count = 0;
    for (place, word) in arguments.iter().enumerate() {
        if word.starts_with('-') {
            flag = Some((place, word));
            continue;
        }
        let is_value = flag.is_some_and(|(at, flag)| match spec_of(&normalised(flag)).map(|(spec, _)| spec.takes) {
            Some(Takes::Several | Takes::Any) => true,
            Some(Takes::One | Takes::OneOrNothing) | None => place == at + 1 && !flag.contains('='),
            // Older versions took `True` behind some.
            Some(Takes::Nothing) => false,
        });
        count += usize::from(!is_value && is_word(word));
    }
    count
}

/// Whether something is a word of a sentence, with the marks that end it.
fn is_word(word: &str) -> bool {
    let bare = word.trim_end_matches(['.', ',', ':', ';', '?', '!', ')']);
    !bare.is_empty() && bare.chars().all(|c| c.is_alphabetic() || c == '\'' || c == '’')
}
