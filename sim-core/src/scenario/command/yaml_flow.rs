//! YAML's lists and maps in brackets, and its texts in quotation marks; JSON is such a text.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::yaml::{MAX_DEPTH, Node};

/// Finds where a value in brackets or quotation marks ends, line by line.
#[derive(Debug, Default)]
pub(super) struct End {
    num_seen: usize,
    depth: usize,
    quote: Option<u8>,
    is_escaped: bool,
    last: u8,
}

impl End {
    /// Whether `text` has the end. The same text, grown, must be given each time.
    pub(super) fn is_reached(&mut self, text: &str) -> bool {
        let new = text.as_bytes().get(self.num_seen..).unwrap_or_default();
        self.num_seen = text.len();
        let mut is_comment = false;
        for &byte in new {
            let is_word_start = matches!(self.last, 0 | b' ' | b'\n' | b',' | b'[' | b'{' | b':' | b'\t');
            match (self.quote, byte) {
                _ if is_comment => is_comment = byte != b'\n',
                (Some(_), _) if self.is_escaped => self.is_escaped = false,
                (Some(b'"'), b'\\') => self.is_escaped = true,
                (Some(quote), _) if byte == quote => self.quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') if is_word_start => self.quote = Some(byte),
                (None, b'#') if is_word_start && self.depth > 0 => is_comment = true,
                (None, b'[' | b'{') => self.depth += 1,
                (None, b']' | b'}') => self.depth = self.depth.saturating_sub(1),
                (None, _) => {}
            }
            self.last = byte;
        }
        self.depth == 0 && self.quote.is_none()
    }
}

/// The value that `text` is.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(text: &str) -> Result<Node, &'static str> {
    let mut reader = Reader { rest: text };
    let node = reader.value(0, false)?;
    reader.skip_blank();
    if reader.rest.is_empty() { Ok(node) } else { Err("something follows a closing bracket or quotation mark") }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip_blank(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            if !self.rest.starts_with('#') {
                return;
            }
            self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = self.rest.get(c.len_utf8()..).unwrap_or_default();
        Some(c)
    }

    fn take(&mut self, c: char) -> bool {
        let after = self.rest.strip_prefix(c);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn value(&mut self, depth: usize, is_key: bool) -> Result<Node, &'static str> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deeply");
        }
        self.skip_blank();
        match self.rest.chars().next() {
            Some('[') => self.list(depth),
            Some('{') => self.map(depth),
            Some('"') => self.double_quoted().map(Node::Text),
            Some('\'') => self.single_quoted().map(Node::Text),
            _ => Ok(Node::Text(self.plain(is_key))),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Node, &'static str> {
        self.next();
        let mut items = Vec::new();
        loop {
            self.skip_blank();
            if self.take(']') {
                return Ok(Node::List(items));
            }
            items.push(self.value(depth + 1, false)?);
            self.skip_blank();
            if !self.take(',') && !self.rest.starts_with(']') {
                return Err("in a list in brackets there must be commas");
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Node, &'static str> {
        self.next();
        let mut entries = Vec::new();
        loop {
            self.skip_blank();
            if self.take('}') {
                return Ok(Node::Map(entries));
            }
            let Node::Text(key) = self.value(depth + 1, true)? else {
                return Err("a key must be a text");
            };
            self.skip_blank();
            let value = if self.take(':') { self.value(depth + 1, false)? } else { Node::Empty };
            entries.push((key, value));
            self.skip_blank();
            if !self.take(',') && !self.rest.starts_with('}') {
                return Err("in a map in braces there must be commas");
            }
        }
    }

    /// A text without quotation marks: up to what ends it.
    fn plain(&mut self, is_key: bool) -> String {
        let mut last = ' ';
        let end = self.rest.char_indices().find(|&(at, c)| {
            let is_end = match c {
                ',' | ']' | '}' | '[' | '{' => true,
                ':' => {
                    is_key
                        && self.rest.get(at + 1..).is_none_or(|rest| rest.is_empty() || rest.starts_with([' ', '\n']))
                }
                '#' => last.is_whitespace(),
                _ => false,
            };
            last = c;
            is_end
        });
        let end = end.map_or(self.rest.len(), |(at, _)| at);
        let (text, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn single_quoted(&mut self) -> Result<String, &'static str> {
        self.next();
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                '\'' if self.take('\'') => text.push('\''),
                '\'' => return Ok(text),
                '\n' => fold(&mut text),
                c => text.push(c),
            }
        }
        Err("a quotation mark is not closed")
    }

    fn double_quoted(&mut self) -> Result<String, &'static str> {
        self.next();
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                '"' => return Ok(text),
                '\n' => fold(&mut text),
                '\\' => match self.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some('\n') | None => {}
                    Some('u') => text.push(self.code_point().ok_or("\\u is not followed by four digits")?),
                    Some(c @ ('"' | '\\' | '/' | ' ')) => text.push(c),
                    Some(_) => return Err("a backslash is followed by what it cannot be"),
                },
                c => text.push(c),
            }
        }
        Err("a quotation mark is not closed")
    }

    fn code_point(&mut self) -> Option<char> {
        let digits = self.rest.get(..4)?.to_string();
        self.rest = self.rest.get(4..)?;
        char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
    }
}

/// The end of a line within quotation marks is a space.
fn fold(text: &mut String) {
    let end = text.trim_end().len();
    text.truncate(end);
    text.push(' ');
}
