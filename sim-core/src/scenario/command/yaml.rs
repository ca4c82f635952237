//! A small reader of YAML and JSON: as much as compose files, manifests and values files are written with.
//!
//! Read are documents, maps and lists in block and flow form, plain, quoted, folded (`>`) and literal (`|`) texts over
//! several lines, and comments. Anchors and tags are passed over. Not read are aliases (they stay as text), keys that
//! are more than a word, and lines of templates (`{{ … }}`), which are no YAML before they are filled in: these are
//! refused with their line. Whatever is no list or map is a text here; numbers and booleans are not told apart.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::yaml_flow;

/// Deepest nesting.
pub(super) const MAX_DEPTH: usize = 40;

/// What stands at a place of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Empty,
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Node {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Why a text is none that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct YamlFault {
    /// From 1.
    pub(super) line: usize,
    pub(super) why: &'static str,
}

/// A line without the spaces around it.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    number: usize,
    indent: usize,
    text: &'a str,
}

struct Reader<'a> {
    lines: Vec<Line<'a>>,
    at: usize,
    depth: usize,
}

/// The documents of a text.
///
/// # Errors
/// See [`YamlFault`].
pub(super) fn read(text: &str) -> Result<Vec<Node>, YamlFault> {
    let lines = (1..).zip(text.lines()).map(|(number, line)| {
        let text = line.trim_start_matches(' ');
        Line { number, indent: line.len() - text.len(), text: text.trim_end() }
    });
    let mut reader = Reader { lines: lines.collect(), at: 0, depth: 0 };
    let mut documents = Vec::new();
    while let Some(line) = reader.skip_blank() {
        if is_mark(line) {
            reader.at += 1;
            continue;
        }
        documents.push(reader.block(0)?);
        if let Some(line) = reader.peek()? {
            return Err(line.fault("it is indented as no line above it"));
        }
    }
    Ok(documents)
}

/// Whether a text may be meant as YAML or JSON: whether its first line is one of a map or a list.
pub(super) fn is_likely(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(line) = lines.find(|line| *line != "---") else {
        return false;
    };
    // A section of an INI file, such as a unit of systemd.
    let section = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
    if section
        .is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || ":-_ .".contains(c)))
    {
        return false;
    }
    let is_word = |key: &str| key.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c)) && !key.is_empty();
    line.starts_with(['[', '{', '"'])
        || key_of(line.strip_prefix("- ").unwrap_or(line)).is_some_and(|(key, _)| is_word(&key))
        || line.starts_with("- -")
        || line.starts_with("- \"-")
}

impl Line<'_> {
    const fn fault(&self, why: &'static str) -> YamlFault {
        YamlFault { line: self.number, why }
    }

    fn is_item(&self) -> bool {
        self.text == "-" || self.text.starts_with("- ")
    }
}

fn is_mark(line: Line<'_>) -> bool {
    line.indent == 0 && (line.text == "---" || line.text == "..." || line.text.starts_with("--- #"))
}

impl<'a> Reader<'a> {
    /// The next line that says something.
    fn skip_blank(&mut self) -> Option<Line<'a>> {
        while let Some(line) = self.lines.get(self.at) {
            if !line.text.is_empty() && !line.text.starts_with('#') {
                return Some(*line);
            }
            self.at += 1;
        }
        None
    }

    /// The next line of this document.
    fn peek(&mut self) -> Result<Option<Line<'a>>, YamlFault> {
        let Some(line) = self.skip_blank().filter(|line| !is_mark(*line)) else {
            return Ok(None);
        };
        if line.text.starts_with('\t') {
            return Err(line.fault("it is indented with tabs, which YAML does not allow"));
        }
        if line.text.starts_with("{{") {
            return Err(line.fault("this is a template; paste what it becomes (for a chart, helm template prints it)"));
        }
        Ok(Some(line))
    }

    /// What begins on the next line, if that is indented by `indent` at least.
    fn block(&mut self, indent: usize) -> Result<Node, YamlFault> {
        let Some(line) = self.peek()?.filter(|line| line.indent >= indent) else {
            return Ok(Node::Empty);
        };
        if self.depth >= MAX_DEPTH {
            return Err(line.fault("it is nested too deeply"));
        }
        self.depth += 1;
        let node = if line.is_item() {
            self.list(line.indent)
        } else if key_of(line.text).is_some() {
            self.map(line.indent)
        } else {
            // What goes on is indented more than what it belongs to, not than its own first line.
            self.value(line, line.text, indent.saturating_sub(1), indent == 0)
        };
        self.depth -= 1;
        node
    }

    fn list(&mut self, indent: usize) -> Result<Node, YamlFault> {
        let mut items = Vec::new();
        while let Some(line) = self.peek()?.filter(|line| line.indent == indent && line.is_item()) {
            let inner = line.text.get(1..).unwrap_or_default().trim_start();
            if inner.is_empty() || inner.starts_with('#') {
                self.at += 1;
            } else if let Some(place) = self.lines.get_mut(self.at) {
                // The item is a block of its own that begins on this line.
                *place = Line { indent: indent + line.text.len() - inner.len(), text: inner, ..line };
            }
            items.push(self.block(indent + 1)?);
        }
        Ok(Node::List(items))
    }

    fn map(&mut self, indent: usize) -> Result<Node, YamlFault> {
        let mut entries = Vec::new();
        while let Some(line) = self.peek()?.filter(|line| line.indent == indent && !line.is_item()) {
            let Some((key, rest)) = key_of(line.text) else {
                return Err(line.fault("there is no key with a colon"));
            };
            let value = self.value(line, rest, indent, false)?;
            entries.push((key, value));
        }
        Ok(Node::Map(entries))
    }

    /// The value whose first line is `line`, from `rest` on. `indent` is that of what it belongs to.
    fn value(&mut self, line: Line<'a>, rest: &'a str, indent: usize, is_root: bool) -> Result<Node, YamlFault> {
        self.at += 1;
        let mut rest = rest.trim();
        while rest.starts_with(['&', '!']) {
            rest = rest.split_once(' ').map_or("", |(_, rest)| rest.trim_start());
        }
        match rest.as_bytes().first() {
            None | Some(b'#') => {
                let is_list_below = self.peek()?.is_some_and(|next| next.indent == indent && next.is_item());
                if is_list_below { self.list(indent) } else { self.block(indent + 1) }
            }
            Some(b'|' | b'>') => Ok(Node::Text(self.block_text(rest, indent))),
            Some(b'[' | b'{' | b'"' | b'\'') => self.flow(line, rest),
            Some(_) => self.plain(rest, indent, is_root),
        }
    }

    /// The text below a `|` or `>`.
    fn block_text(&mut self, header: &str, indent: usize) -> String {
        let joint = if header.starts_with('>') { ' ' } else { '\n' };
        let mut text = String::new();
        let mut first_indent = None;
        while let Some(line) = self.lines.get(self.at).filter(|line| line.text.is_empty() || line.indent > indent) {
            self.at += 1;
            if !line.text.is_empty() {
                first_indent.get_or_insert(line.indent);
                text.push_str(line.text);
            }
            text.push(joint);
        }
        text.trim_end().to_string()
    }

    /// A text without quotation marks, over several lines if those below are indented more.
    fn plain(&mut self, rest: &str, indent: usize, is_root: bool) -> Result<Node, YamlFault> {
        let mut text = without_comment(rest).to_string();
        while let Some(line) = self.peek()?.filter(|line| line.indent > indent || is_root) {
            if key_of(line.text).is_some() {
                return Err(line.fault("a key stands where a text goes on; is it indented too far?"));
            }
            self.at += 1;
            text.push(' ');
            text.push_str(without_comment(line.text));
        }
        Ok(Node::Text(text))
    }

    /// A value in brackets or quotation marks, which may end on a later line.
    fn flow(&mut self, line: Line<'a>, rest: &'a str) -> Result<Node, YamlFault> {
        let mut whole = rest.to_string();
        let mut end = yaml_flow::End::default();
        while !end.is_reached(&whole) {
            let Some(next) = self.lines.get(self.at) else {
                return Err(line.fault("a bracket or quotation mark is not closed"));
            };
            self.at += 1;
            whole.push('\n');
            whole.push_str(next.text);
        }
        yaml_flow::read(&whole).map_err(|why| line.fault(why))
    }
}

/// The text before a comment.
fn without_comment(text: &str) -> &str {
    text.split_once(" #").map_or(text, |(text, _)| text).trim_end()
}

/// The key a line begins with, and what follows the colon.
fn key_of(text: &str) -> Option<(String, &str)> {
    if text.starts_with(['[', '{', '#', '|', '>']) {
        return None;
    }
    if let Some(mark @ ('"' | '\'')) = text.chars().next() {
        let (key, rest) = text.get(1..)?.split_once(mark)?;
        let rest = rest.trim_start().strip_prefix(':')?;
        return (rest.is_empty() || rest.starts_with([' ', '\t'])).then(|| (key.to_string(), rest));
    }
    let text = without_comment(text);
    let (key, rest) = match text.split_once(": ") {
        Some(parts) => parts,
        None => (text.strip_suffix(':')?, ""),
    };
    Some((key.trim_end().to_string(), rest))
}
