//! A script as the commands in it, each as its words: as much of a shell's grammar as commands are pasted with.
//!
//! Read are quotation marks, comments, the separators `;`, `&`, `&&`, `|`, `||`, lines that go on on the next one (with
//! a backslash, PowerShell's backtick or cmd's caret at their end), redirections, and variables that the text itself
//! sets (see `variables.rs`). Not read are loops, functions and substituted commands: a word that depends on them stays
//! as it is, and is then named.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::variables::{self, Reference, Stored, Variables};

/// A quotation mark is not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenQuote {
    /// Its line, from 1.
    pub(super) line: usize,
}

/// Whether a text is a script or one command's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Script,
    /// No shell reads it: only quotation marks mean something.
    Words,
}

/// What a script has in it.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Its commands, each as its words.
    pub(super) commands: Vec<Vec<String>>,
    /// The variables that it sets, as they are in the end.
    pub(super) variables: BTreeMap<String, String>,
}

/// Reads a script.
///
/// # Errors
/// If a quotation mark is left open in a command for which `is_called` holds; elsewhere it is an apostrophe.
pub(super) fn script(text: &str, is_called: impl Fn(&[String]) -> bool) -> Result<Script, OpenQuote> {
    let mut reader = Reader::new(text, Kind::Script);
    reader.read(&is_called)?;
    Ok(Script { commands: reader.done, variables: reader.variables.into_texts() })
}

/// The words of a text that no shell reads, such as a compose file's `command:`.
///
/// # Errors
/// If a quotation mark is left open.
pub(super) fn words(text: &str) -> Result<Vec<String>, OpenQuote> {
    let mut reader = Reader::new(text, Kind::Words);
    reader.read(&|_| true)?;
    Ok(reader.done.into_iter().flatten().collect())
}

struct Reader<'a> {
    kind: Kind,
    rest: &'a str,
    line: usize,
    /// The command so far.
    command: Vec<String>,
    /// The word so far, if one has begun.
    word: Option<String>,
    /// The character taken last.
    last: char,
    /// The next word is where something is redirected to.
    is_target: bool,
    variables: Variables,
    /// The array whose words are being read, and whether they go behind those it has.
    array: Option<(String, bool)>,
    done: Vec<Vec<String>>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, kind: Kind) -> Self {
        Self {
            kind,
            rest: text,
            line: 1,
            command: Vec::new(),
            word: None,
            last: ' ',
            is_target: false,
            variables: Variables::default(),
            array: None,
            done: Vec::new(),
        }
    }

    fn read(&mut self, is_called: &impl Fn(&[String]) -> bool) -> Result<(), OpenQuote> {
        while let Some(c) = self.next() {
            match c {
                '\\' | '^' if self.goes_on() => self.end_word(),
                // Not at the end of a word: three of them fence a text.
                '`' if self.word.is_none() && self.goes_on() => {}
                '`' if self.kind == Kind::Script && self.substituted() => {}
                '\\' => {
                    if let Some(next) = self.next() {
                        self.push(next);
                    }
                }
                '\'' | '"' if !self.is_apostrophe(c) => self.quoted(c, is_called)?,
                '\n' if self.kind == Kind::Script && self.array.is_none() => self.end_command(),
                c if c.is_whitespace() => self.end_word(),
                _ if self.kind == Kind::Words => self.push(c),
                '#' if self.word.is_none() => {
                    let end = self.rest.find('\n').unwrap_or(self.rest.len());
                    self.skip(end);
                }
                '<' if placeholder(self.rest).is_some() => self.take_placeholder(),
                '>' | '<' => self.redirect(),
                '&' if self.rest.starts_with('>') => self.end_word(),
                '(' if self.begins_array() => {}
                ')' if self.array.is_some() => self.end_array(),
                ';' | '|' | '&' | ')' => self.end_command(),
                '(' if self.word.is_none() => self.end_command(),
                '$' => self.variable(variables::at_dollar, false),
                '%' => self.variable(variables::at_percent, false),
                '{' if self.rest.starts_with('{') => self.variable(variables::at_braces, false),
                c => self.push(c),
            }
        }
        self.end_command();
        Ok(())
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = self.rest.get(c.len_utf8()..).unwrap_or_default();
        self.line += usize::from(c == '\n');
        self.last = c;
        Some(c)
    }

    fn skip(&mut self, num_bytes: usize) {
        self.line += self.rest.get(..num_bytes).unwrap_or_default().matches('\n').count();
        self.rest = self.rest.get(num_bytes..).unwrap_or_default();
    }

    /// Passes over the end of the line if there is nothing before it. Spaces or a comment before it are an error in a
    /// shell, but come with texts that were copied.
    fn goes_on(&mut self) -> bool {
        let mut after = self.rest.trim_start_matches([' ', '\t', '\r']);
        if after.len() < self.rest.len() && after.starts_with('#') {
            after = after.trim_start_matches(|c| c != '\n');
        }
        let Some(next_line) = after.strip_prefix('\n') else {
            return false;
        };
        self.skip(self.rest.len() - next_line.len());
        true
    }

    /// Whether a mark stands within a word of letters, as in "don't".
    fn is_apostrophe(&self, mark: char) -> bool {
        let before = self.word.as_deref().and_then(|word| word.chars().next_back());
        mark == '\''
            && before.is_some_and(char::is_alphabetic)
            && self.rest.starts_with(char::is_alphabetic)
            && self.kind == Kind::Script
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn push_str(&mut self, text: &str) {
        self.word.get_or_insert_default().push_str(text);
    }

    fn quoted(&mut self, mark: char, is_called: &impl Fn(&[String]) -> bool) -> Result<(), OpenQuote> {
        let line = self.line;
        let is_closed = match mark {
            '"' => closing(self.rest).is_some(),
            _ => self.rest.contains(mark),
        };
        if !is_closed {
            let next = self.rest.split_whitespace().next().unwrap_or_default().to_string();
            if is_called(&[self.command.as_slice(), &[next]].concat()) {
                return Err(OpenQuote { line });
            }
            self.push(mark);
            return Ok(());
        }
        self.push_str("");
        while let Some(c) = self.next() {
            match c {
                c if c == mark => break,
                '\\' if mark == '"' => match self.next() {
                    Some('\n') | None => {}
                    Some(c @ ('"' | '\\' | '$' | '`')) => self.push(c),
                    Some(c) => {
                        self.push('\\');
                        self.push(c);
                    }
                },
                '$' if mark == '"' && self.kind == Kind::Script => self.variable(variables::at_dollar, true),
                '%' if mark == '"' && self.kind == Kind::Script => self.variable(variables::at_percent, true),
                c => self.push(c),
            }
        }
        Ok(())
    }

    /// Takes a variable, whose first character is taken already: its value or default, or else the text as it is.
    fn variable(&mut self, at: for<'t> fn(&'t str) -> Option<Reference<'t>>, is_quoted: bool) {
        let Some(reference) = at(self.rest) else {
            return self.push(self.last);
        };
        match self.variables.value(reference) {
            None => {
                let written = self.rest.get(..reference.num_bytes).unwrap_or_default();
                self.push(self.last);
                self.push_str(written);
            }
            Some(Stored::Array(words)) => self.push_words(words.iter().map(String::as_str)),
            // A shell takes a value apart at its spaces unless it is quoted.
            Some(Stored::Text(value)) if !is_quoted => self.push_words(value.split_whitespace()),
            Some(Stored::Text(value)) => self.push_str(&value),
        }
        self.skip(reference.num_bytes);
    }

    /// Takes words, the first of which goes on the word so far.
    fn push_words<'t>(&mut self, words: impl Iterator<Item = &'t str>) {
        for (place, word) in words.enumerate() {
            if place > 0 {
                self.end_word();
            }
            self.push_str(word);
        }
    }

    /// Whether a `(` begins the words of an array: `NAME=(…)`.
    fn begins_array(&mut self) -> bool {
        let word = self.word.as_deref().and_then(|word| word.strip_suffix('='));
        let Some(name) = word.filter(|_| self.array.is_none()) else { return false };
        let (name, is_more) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
        if !variables::is_name(name) {
            return false;
        }
        self.array = Some((name.to_string(), is_more));
        self.word = None;
        self.end_command();
        true
    }

    fn end_array(&mut self) {
        self.end_word();
        let words = core::mem::take(&mut self.command);
        let Some((name, is_more)) = self.array.take() else { return };
        self.variables.set_array(name, is_more, words);
    }

    /// Takes a command between backticks, on one line, as a word.
    fn substituted(&mut self) -> bool {
        let line = self.rest.lines().next().unwrap_or_default();
        let Some((inside, _)) = line.split_once('`').filter(|(inside, _)| !inside.is_empty()) else {
            return false;
        };
        let (word, num_bytes) = (alloc::format!("$({inside})"), inside.len() + 1);
        self.push_str(&word);
        self.skip(num_bytes);
        true
    }

    /// Takes `<what is to be filled in>` as a word; no redirection is written so.
    fn take_placeholder(&mut self) {
        let inside = placeholder(self.rest).unwrap_or_default();
        self.push_str(&alloc::format!("<{inside}>"));
        self.skip(inside.len() + 1);
    }

    fn redirect(&mut self) {
        // The number in front names what is redirected.
        if self.word.as_deref().is_some_and(|word| word.chars().all(|c| c.is_ascii_digit())) {
            self.word = None;
        }
        self.end_word();
        let target = self.rest.trim_start_matches(['>', '<', '&', '|']);
        self.skip(self.rest.len() - target.len());
        self.is_target = true;
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take()
            && !core::mem::take(&mut self.is_target)
        {
            self.command.push(word);
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.is_target = false;
        let command = core::mem::take(&mut self.command);
        if self.kind == Kind::Words || !self.variables.take(&command) {
            self.done.push(command);
        }
    }
}

/// What stands between `<` and `>` if it is to be filled in.
fn placeholder(rest: &str) -> Option<&str> {
    let (inside, _) = rest.split_once('>')?;
    let is_inside = |c: char| c.is_ascii_alphanumeric() || "-_./ ".contains(c);
    let is_words = inside.starts_with(|c: char| c.is_ascii_alphabetic()) && !inside.ends_with(' ');
    (is_words && inside.chars().all(is_inside)).then_some(inside)
}

/// Where a text in `"` ends.
fn closing(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })
}
