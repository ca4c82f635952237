//! Pages that have commands in them: Markdown with fenced blocks, quoted and copied from terminals.

use alloc::string::String;
use alloc::vec::Vec;

/// A part of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// What stands between two fences: a file or a script of its own.
    Block(String),
    /// What stands around them.
    Prose(String),
}

/// A page with fences in its pieces; `None` if it has none.
pub(super) fn pieces(text: &str) -> Option<Vec<Piece>> {
    let fence = |line: &str| {
        let line = line.trim_start_matches([' ', '\t', '>']);
        let mark = ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark))?;
        // Code within a line has its end on the same one.
        (!line.get(mark.len()..)?.contains('`')).then_some(mark)
    };
    text.lines().find_map(fence)?;
    let mut pieces = Vec::new();
    let mut open = None;
    let mut piece = String::new();
    for line in text.lines() {
        let is_fence = fence(line).is_some_and(|mark| open.is_none_or(|open| open == mark));
        if is_fence {
            let piece = core::mem::take(&mut piece);
            pieces.push(if open.is_some() { Piece::Block(unindented(&piece)) } else { Piece::Prose(piece) });
            open = if open.is_some() { None } else { fence(line) };
        } else {
            piece.push_str(line);
            piece.push('\n');
        }
    }
    pieces.push(if open.is_some() { Piece::Block(unindented(&piece)) } else { Piece::Prose(piece) });
    Some(pieces)
}

/// A block without the indentation that all its lines share, such as one in a list has.
fn unindented(block: &str) -> String {
    let lines = || block.lines().filter(|line| !line.trim().is_empty());
    let shared = lines().map(|line| line.len() - line.trim_start_matches(' ').len()).min().unwrap_or(0);
    let mut text = String::with_capacity(block.len());
    for line in block.lines() {
        text.push_str(line.get(shared..).unwrap_or_default());
        text.push('\n');
    }
    text
}

/// The text without what a terminal or a mail puts in front of its lines (`> `, `PS C:\> `, `In [1]: `, `!`), where a
/// shell would take it for something else, and without the marks of a line that is code as a whole.
pub(super) fn without_prompts(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut goes_on = false;
    for line in text.lines() {
        let bare = without_prompt(line, goes_on);
        goes_on = does_go_on(line);
        out.push_str(bare);
        out.push('\n');
    }
    out
}

/// Whether the next line belongs to this one.
pub(super) fn does_go_on(line: &str) -> bool {
    line.trim_end().ends_with(['\\', '`', '^'])
}

fn without_prompt(line: &str, goes_on: bool) -> &str {
    let text = line.trim();
    let is_command = |rest: &str| rest.contains("vllm") || rest.contains("profiler");
    let quoted = text.trim_start_matches(['>', ' ']);
    if text.starts_with('>') && (goes_on || is_command(quoted)) {
        return quoted;
    }
    let shell = text.strip_prefix("PS ").unwrap_or(text);
    let is_drive = matches!(shell.as_bytes(), [b'A'..=b'Z' | b'a'..=b'z', b':', b'\\' | b'/' | b'>', ..]);
    if let Some((_, rest)) = shell.split_once('>').filter(|(_, rest)| is_drive && is_command(rest)) {
        return rest.trim_start();
    }
    if let Some((_, rest)) = text.split_once("]: ").filter(|(cell, _)| cell.starts_with("In [")) {
        return rest.trim_start_matches('!');
    }
    if let Some(rest) = text.strip_prefix('!').filter(|rest| is_command(rest) && !rest.starts_with(' ')) {
        return rest;
    }
    let item = text.trim_start_matches(['-', '*', '+', ' ']);
    let code = item.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
    code.filter(|code| !code.contains('`') && !code.is_empty()).unwrap_or(line)
}
