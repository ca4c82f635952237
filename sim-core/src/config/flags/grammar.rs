//! How vLLM's parser reads a command line: which words are flags, which of several one may be short for, and how many
//! words belong to each. That is Python's argparse behind `FlexibleArgumentParser`; where it would end at the first
//! fault, this goes on.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::dotted::spelled_out;
use super::removed::removed;
use super::spec::{FlagSpec, Form, Takes};
use super::{FlagError, truth};

/// A flag that was given.
#[derive(Debug, Clone)]
pub struct Given<'a> {
    /// Which.
    pub spec: &'a FlagSpec<'a>,
    /// The name it was given by, in full.
    pub form: Form<'a>,
    /// Its words. Of a switch none, or `true` or `false`, which older versions took.
    pub words: Vec<String>,
}

impl Given<'_> {
    /// The value as one text; of a switch `true` or `false`, as it came out; `None` if it may have none and has none.
    #[must_use]
    pub fn value(&self) -> Option<String> {
        if self.spec.takes == Takes::Nothing {
            let is_true = self.words.first().is_none_or(|word| truth(word) == Some(true));
            return Some((is_true != self.form.is_off).to_string());
        }
        (!self.words.is_empty()).then(|| self.words.join(" "))
    }
}

/// A part of a command line.
#[derive(Debug, Clone)]
pub enum Argument<'a> {
    /// A flag with its words.
    Flag(Given<'a>),
    /// A word that belongs to no flag; `--` is one.
    Word(String),
    /// A flag that no table has, with the words that seem to be its own.
    Unknown {
        /// As written, without its value.
        flag: String,
        /// Its words.
        words: Vec<String>,
    },
    /// A flag that cannot be taken, with the reason.
    Wrong(FlagError),
}

/// What a word is.
enum Class<'a> {
    Word,
    Flag(&'a FlagSpec<'a>, Form<'a>, Option<String>),
    Unknown,
    Ambiguous(Vec<String>),
}

/// Reads the words behind a program's name. `specs` are its flags, those first that win where two have the same name;
/// `num_positional` is the number of words that it takes without a flag.
#[must_use]
pub fn read<'a>(words: &[String], specs: &'a [FlagSpec<'a>], num_positional: usize) -> Vec<Argument<'a>> {
    let (words, faults) = spelled_out(words);
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let (words, behind) = words.split_at_checked(end).unwrap_or((&words, &[]));
    let classes: Vec<Class<'a>> = words.iter().map(|word| class(word, specs)).collect();
    let mut arguments: Vec<Argument<'a>> = faults.into_iter().map(Argument::Wrong).collect();
    let mut num_words = 0;
    let mut at = 0;
    while let (Some(word), Some(class)) = (words.get(at), classes.get(at)) {
        at += 1;
        if matches!(class, Class::Word) {
            num_words += 1;
            arguments.push(Argument::Word(word.clone()));
            continue;
        }
        let rest = classes.get(at..).unwrap_or_default();
        let num_free = rest.iter().take_while(|class| matches!(class, Class::Word)).count();
        let followers = words.get(at..at + num_free).unwrap_or_default();
        let (argument, num_taken) = match class {
            Class::Flag(spec, form, inline) => of_flag(spec, *form, inline.clone(), followers),
            Class::Ambiguous(candidates) => {
                let flag = name_of(word).to_string();
                let error = FlagError::Ambiguous { flag, candidates: candidates.clone() };
                (Argument::Wrong(error), usize::from(!word.contains('=')).min(num_free))
            }
            Class::Word | Class::Unknown => of_unknown(word, followers, num_words < num_positional),
        };
        arguments.push(argument);
        at += num_taken;
    }
    arguments.extend(behind.iter().cloned().map(Argument::Word));
    arguments
}

/// A flag and how many of the words after it are its own.
fn of_flag<'a>(
    spec: &'a FlagSpec<'a>,
    form: Form<'a>,
    inline: Option<String>,
    followers: &[String],
) -> (Argument<'a>, usize) {
    let wrong = |value: &str, expected| Argument::Wrong(FlagError::value(&form.to_string(), value, expected));
    let taken = |words: &[String]| Argument::Flag(Given { spec, form, words: words.to_vec() });
    let has_truth = |word: Option<&String>| usize::from(word.is_some_and(|word| truth(word).is_some()));
    match (spec.takes, inline) {
        (Takes::Nothing, Some(value)) if has_truth(Some(&value)) == 0 => (wrong(&value, "a switch takes no value"), 0),
        (_, Some(value)) => (taken(&[value]), 0),
        (Takes::One | Takes::Several, None) if followers.is_empty() => (wrong("", "a value is needed"), 0),
        (takes, None) => {
            let num_taken = match takes {
                // Older versions took a word after some switches.
                Takes::Nothing => has_truth(followers.first()),
                Takes::One | Takes::OneOrNothing => followers.len().min(1),
                Takes::Several | Takes::Any => followers.len(),
            };
            (taken(followers.get(..num_taken).unwrap_or_default()), num_taken)
        }
    }
}

/// A flag that no table has. How many words were its own is known of those that are gone; of others one, while a word
/// is still looked for.
fn of_unknown<'a>(word: &str, followers: &[String], looks_for_word: bool) -> (Argument<'a>, usize) {
    let (flag, inline) = word.split_once('=').map_or((word, None), |(flag, value)| (flag, Some(value.to_string())));
    let num_taken = match (inline.is_some(), removed(flag)) {
        (true, _) => 0,
        (_, Some((_, has_value))) => followers.len().min(usize::from(has_value)),
        (_, None) if looks_for_word => followers.len().min(1),
        (_, None) => followers.len(),
    };
    let own = followers.get(..num_taken).unwrap_or_default();
    let words = inline.into_iter().chain(own.iter().cloned()).collect();
    (Argument::Unknown { flag: flag.to_string(), words }, num_taken)
}

fn name_of(word: &str) -> &str {
    word.split_once('=').map_or(word, |(name, _)| name)
}

fn class<'a>(word: &str, specs: &'a [FlagSpec<'a>]) -> Class<'a> {
    if !word.starts_with('-') || word.len() == 1 {
        return Class::Word;
    }
    let exactly = |name: &str| specs.iter().find_map(|spec| Some((spec, spec.forms().find(|form| form.is(name))?)));
    if let Some((spec, form)) = exactly(word) {
        return Class::Flag(spec, form, None);
    }
    let (name, inline) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value.to_string())));
    if let Some((spec, form)) = exactly(name) {
        return Class::Flag(spec, form, inline);
    }
    // A name that went keeps its meaning where it begins another.
    if removed(name).is_some() {
        return Class::Unknown;
    }
    let is_long = word.starts_with("--");
    let mut found: Vec<(&'a FlagSpec<'a>, Form<'a>, Option<String>)> = Vec::new();
    let mut names = BTreeSet::new();
    let short = word.char_indices().nth(2).and_then(|(at, _)| word.split_at_checked(at)).filter(|_| !is_long);
    for (spec, form) in specs.iter().flat_map(|spec| spec.forms().map(move |form| (spec, form))) {
        let inline = match short {
            _ if is_long => form.begins_with(name).then(|| inline.clone()),
            Some((letter, rest)) if form.is(letter) => Some(Some(rest.to_string())),
            _ => form.begins_with(word).then_some(None),
        };
        if let Some(inline) = inline.filter(|_| names.insert(form.to_string())) {
            found.push((spec, form, inline));
        }
    }
    match (found.pop(), found.is_empty()) {
        (Some((spec, form, inline)), true) => Class::Flag(spec, form, inline),
        (Some(_), false) => Class::Ambiguous(names.into_iter().collect()),
        (None, _) if is_negative(word) || word.contains(' ') => Class::Word,
        (None, _) => Class::Unknown,
    }
}

/// Whether a word is a number below nought.
fn is_negative(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|number| {
        let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        is_digits(whole) && fraction.map_or(!whole.is_empty(), |rest| !rest.is_empty() && is_digits(rest))
    })
}
