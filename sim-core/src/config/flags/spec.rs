//! What vLLM's parser knows of one flag: its names, how many words it takes, and how each is read.

use alloc::string::{String, ToString};
use core::fmt;

use super::FlagError;
use super::values::{self, ValueKind};

/// How many words after a flag are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// None: a switch.
    Nothing,
    /// One.
    One,
    /// One, or none where the next word is a flag.
    OneOrNothing,
    /// As many as follow, at least one.
    Several,
    /// As many as follow.
    Any,
}

/// A flag as it is added to vLLM's parser.
#[derive(Debug, Clone, Copy)]
pub struct FlagSpec<'a> {
    /// Its first name, with dashes.
    pub name: &'a str,
    /// Its other names, with dashes; none that turns it off.
    pub also: &'a [&'a str],
    /// How many words it takes.
    pub takes: Takes,
    /// Whether `--no-` in front turns it off and, since 0.33, `disable` for `enable` and the reverse.
    pub can_be_off: bool,
    /// How a word is read.
    pub kind: ValueKind,
    /// The words that it may be; empty if any.
    pub choices: &'a [&'a str],
    /// Whether `None` and an empty word stand for none.
    pub or_none: bool,
    /// Whether every occurrence counts, not the last alone.
    pub repeats: bool,
    /// Values with which it changes nothing, vLLM's default first; of flags that are refused or that a profile has decided.
    pub harmless: &'a [&'a str],
}

/// One name of a flag, in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form<'a> {
    head: &'static str,
    tail: &'a str,
    /// Whether it turns a switch off.
    pub is_off: bool,
}

impl Form<'_> {
    /// Whether a flag is written so.
    #[must_use]
    pub fn is(&self, written: &str) -> bool {
        written.strip_prefix(self.head) == Some(self.tail)
    }

    /// Whether `written` is its beginning.
    #[must_use]
    pub fn begins_with(&self, written: &str) -> bool {
        match written.strip_prefix(self.head) {
            Some(rest) => self.tail.starts_with(rest),
            None => self.head.starts_with(written),
        }
    }
}

impl fmt::Display for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.head)?;
        f.write_str(self.tail)
    }
}

impl<'a> FlagSpec<'a> {
    /// A flag with one word of any text.
    #[must_use]
    pub const fn text(name: &'a str) -> Self {
        Self {
            name,
            also: &[],
            takes: Takes::One,
            can_be_off: false,
            kind: ValueKind::Text,
            choices: &[],
            or_none: false,
            repeats: false,
            harmless: &[],
        }
    }

    /// A flag without a value.
    #[must_use]
    pub const fn plain(name: &'a str) -> Self {
        Self { takes: Takes::Nothing, ..Self::text(name) }
    }

    /// A flag without a value that can be turned off.
    #[must_use]
    pub const fn switch(name: &'a str) -> Self {
        Self { can_be_off: true, ..Self::plain(name) }
    }

    /// The same with other names.
    #[must_use]
    pub const fn also(self, also: &'a [&'a str]) -> Self {
        Self { also, ..self }
    }

    /// The same with several words, at least one.
    #[must_use]
    pub const fn several(self) -> Self {
        Self { takes: Takes::Several, ..self }
    }

    /// The same with any number of words.
    #[must_use]
    pub const fn any_number(self) -> Self {
        Self { takes: Takes::Any, ..self }
    }

    /// The same with one word or none.
    #[must_use]
    pub const fn or_nothing(self) -> Self {
        Self { takes: Takes::OneOrNothing, ..self }
    }

    /// The same with another kind of value.
    #[must_use]
    pub const fn read_as(self, kind: ValueKind) -> Self {
        Self { kind, ..self }
    }

    /// The same, one of these words.
    #[must_use]
    pub const fn of(self, choices: &'a [&'a str]) -> Self {
        Self { choices, ..self }
    }

    /// The same, with `None` for none.
    #[must_use]
    pub const fn or_none(self) -> Self {
        Self { or_none: true, ..self }
    }

    /// The same, with values that change nothing.
    #[must_use]
    pub const fn harmless(self, harmless: &'a [&'a str]) -> Self {
        Self { harmless, ..self }
    }

    /// The same, each occurrence of which counts.
    #[must_use]
    pub const fn repeated(self) -> Self {
        Self { repeats: true, ..self }
    }

    /// Every way to write it in full.
    pub fn forms(&self) -> impl Iterator<Item = Form<'a>> {
        let form = |head, tail, is_off| Form { head, tail, is_off };
        let long = self.name.strip_prefix("--").filter(|_| self.can_be_off);
        let swapped = long.and_then(|long| {
            let swap = |from, to| Some(form(to, long.strip_prefix(from)?, true));
            swap("enable-", "--disable-").or_else(|| swap("disable-", "--enable-"))
        });
        let off = [long.map(|long| form("--no-", long, true)), swapped];
        let on = core::iter::once(self.name).chain(self.also.iter().copied()).map(move |name| form("", name, false));
        on.chain(off.into_iter().flatten())
    }

    /// Whether these words are a value of it.
    ///
    /// # Errors
    /// [`FlagError::Value`] and [`FlagError::Choice`], for the first word that is none.
    pub fn check(&self, words: &[String]) -> Result<(), FlagError> {
        for word in words.iter().filter(|word| !(self.or_none && values::is_none(word))) {
            self.kind.check(word).map_err(|expected| FlagError::value(self.name, word, expected))?;
            let is_choice = |choice: &&str| self.kind.is_same(choice, word);
            if !self.choices.is_empty() && !self.choices.iter().any(is_choice) {
                let choices = self.choices.iter().map(ToString::to_string).collect();
                return Err(FlagError::Choice { flag: self.name.to_string(), value: word.clone(), choices });
            }
        }
        Ok(())
    }

    /// Whether a value changes nothing; of a switch `true` and `false`.
    #[must_use]
    pub fn is_harmless(&self, value: &str) -> bool {
        self.is_not_given(value) || self.harmless.iter().any(|harmless| self.kind.is_same(harmless, value))
    }

    /// Whether a value that changes nothing is vLLM's default.
    #[must_use]
    pub fn is_default(&self, value: &str) -> bool {
        self.is_not_given(value) || self.harmless.first().is_some_and(|default| self.kind.is_same(default, value))
    }

    /// Whether a value says that the flag is as if it were not given.
    #[must_use]
    pub fn is_not_given(&self, value: &str) -> bool {
        self.or_none && self.harmless.is_empty() && values::is_none(value)
    }
}
