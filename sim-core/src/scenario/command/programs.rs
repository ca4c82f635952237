//! Which programs a text calls, whatever kind of text it is.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::calls::Call;
use super::left_over::{self, LeftOver};
use super::pages::{self, Piece};
use super::{CommandError, Program, calls, containers, dockerfile, shell, variables, yaml};

/// How deep scripts may be nested (`sh -c "sh -c …"`).
const MAX_SCRIPTS: usize = 4;

/// What is called, and what stands beside it.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) calls: Vec<(Program, Vec<String>)>,
    pub(super) left_over: Vec<LeftOver>,
}

impl Found {
    fn append(&mut self, mut other: Self) {
        self.calls.append(&mut other.calls);
        for left in other.left_over {
            self.leave_over(left);
        }
    }

    fn leave_over(&mut self, left: LeftOver) {
        if !self.left_over.contains(&left) {
            self.left_over.push(left);
        }
    }

    /// What there is, if anything is called.
    fn or(self, otherwise: CommandError) -> Result<Self, CommandError> {
        if !self.calls.is_empty() {
            return Ok(self);
        }
        let is_variable = |left: &LeftOver| variables::assignment(&left.text).is_some();
        match self.left_over.into_iter().find(|left| !is_variable(left)) {
            Some(what) if otherwise == CommandError::NoCommand => Err(CommandError::NotRead { what }),
            _ => Err(otherwise),
        }
    }
}

/// What is called in a text; never nothing.
pub(super) fn find(text: &str) -> Result<Found, CommandError> {
    let mut found = match pages::pieces(text) {
        Some(pieces) => of_pieces(pieces),
        None => of_text(text),
    };
    let in_other_words = || left_over::in_other_words(text).filter(|_| text.contains("vllm") || text.contains("vLLM"));
    match &mut found {
        Ok(found) => in_other_words().into_iter().for_each(|left| found.leave_over(left)),
        Err(CommandError::NoCommand | CommandError::NoArguments) => {
            if let Some(what) = in_other_words() {
                return Err(CommandError::NotRead { what });
            }
        }
        Err(_) => {}
    }
    found
}

/// Of a page, each block is a text of its own. A fault in one counts if nothing is called in the others.
fn of_pieces(pieces: Vec<Piece>) -> Result<Found, CommandError> {
    let mut found = Found::default();
    let mut fault = CommandError::NoCommand;
    for piece in pieces {
        let read = match piece {
            Piece::Block(text) => of_text(&text),
            Piece::Prose(text) => {
                of_script(&text, &BTreeMap::new(), 0).and_then(|found| found.or(CommandError::NoCommand))
            }
        };
        match read {
            Ok(more) => found.append(more),
            Err(CommandError::NotRead { what }) => found.leave_over(what),
            Err(CommandError::NoCommand) => {}
            Err(other) => fault = other,
        }
    }
    found.or(fault)
}

fn of_text(text: &str) -> Result<Found, CommandError> {
    if let Some((call, set)) = dockerfile::call(text) {
        let mut found = Found::default();
        if let Some(call) = call {
            found.append(of_call(call, &set, 0)?);
        }
        set.iter().filter_map(|(name, value)| LeftOver::variable(name, value)).for_each(|left| found.leave_over(left));
        return found.or(CommandError::NoCommand);
    }
    let script = |text: &str| of_script(text, &BTreeMap::new(), 0).and_then(|found| found.or(CommandError::NoCommand));
    let documents = if yaml::is_likely(text) { of_documents(text) } else { Err(CommandError::NoCommand) };
    match documents {
        Ok(found) => Ok(found),
        // Commands in a file of YAML are indented; a script's are not all.
        Err(CommandError::NoCommand) => script(text),
        Err(fault) => script(&without_indented(text)).or(Err(fault)),
    }
}

/// The lines of a text that are not indented, and those that go on from one.
fn without_indented(text: &str) -> String {
    let mut out = String::new();
    let mut goes_on = false;
    for line in text.lines() {
        let is_taken = goes_on || !line.starts_with([' ', '\t']);
        if is_taken {
            out.push_str(line);
            out.push('\n');
        }
        goes_on = is_taken && pages::does_go_on(line);
    }
    out
}

fn of_documents(text: &str) -> Result<Found, CommandError> {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let names_vllm = text.to_ascii_lowercase().contains("vllm");
    let documents = match yaml::read(text) {
        Ok(documents) => documents,
        Err(fault) if has(&["image", "command", "args", "Args", "vllmConfig", "entrypoint"]) => {
            return Err(CommandError::Yaml { line: fault.line, why: fault.why });
        }
        Err(_) => return Err(CommandError::NoCommand),
    };
    let mut found = Found::default();
    for start in documents.iter().flat_map(containers::starts_in) {
        let of_this = of_call(start.call, &start.variables, 0)?;
        let is_called = !of_this.calls.is_empty();
        found.append(of_this);
        let set = start.variables.iter().filter(|_| is_called);
        set.filter_map(|(name, value)| LeftOver::variable(name, value)).for_each(|left| found.leave_over(left));
    }
    let argument = || documents.iter().find_map(containers::argument_in);
    if found.calls.is_empty()
        && let Some(argument) = argument()
    {
        found.leave_over(LeftOver::configuration(&argument));
        return found.or(CommandError::NoCommand);
    }
    found.or(if names_vllm { CommandError::NoArguments } else { CommandError::NoCommand })
}

/// What a script calls; `variables` are set around it.
fn of_script(text: &str, variables: &BTreeMap<String, String>, depth: usize) -> Result<Found, CommandError> {
    let text = pages::without_prompts(text);
    let text = if variables.is_empty() { text } else { variables::filled(&text, variables) };
    let script = shell::script(&text, |words| calls::of_line(words).is_some());
    let script = script.map_err(|open| CommandError::Quotes { line: open.line })?;
    let mut found = Found::default();
    for words in &script.commands {
        let call = calls::of_line(words);
        let is_behind = call.is_none() && !found.calls.is_empty();
        LeftOver::of_command(words, is_behind).into_iter().for_each(|left| found.leave_over(left));
        if let Some(call) = call {
            found.append(of_call(call, &script.variables, depth)?);
        }
    }
    let set = script.variables.iter().filter(|_| !found.calls.is_empty());
    let set: Vec<LeftOver> = set.filter_map(|(name, value)| LeftOver::variable(name, value)).collect();
    set.into_iter().for_each(|left| found.leave_over(left));
    Ok(found)
}

fn of_call(call: Call, variables: &BTreeMap<String, String>, depth: usize) -> Result<Found, CommandError> {
    match call {
        Call::Program(program, arguments) => {
            Ok(Found { calls: alloc::vec![(program, arguments)], left_over: Vec::new() })
        }
        Call::Script(_) if depth >= MAX_SCRIPTS => Ok(Found::default()),
        Call::Script(script) => of_script(&script, variables, depth + 1),
    }
}
