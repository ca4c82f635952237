//! The commands of the guide (`profiler/guide/src`) do what stands below them.
//!
//! Every block of ```` ```console ```` is run, its commands one after another in a folder with the files of
//! `profiler/guide/examples`, one folder for each page. What is shown below a command is what it prints, made and not
//! typed: `GUIDE_UPDATE=1 cargo test -p profiler --test guide` writes it, and the difference is to be read. A comment of
//! the form `<!-- … -->` in the line above a block says
//!
//! - `shown: A; B+2`: of the output only the line that has A, and the one that has B with two more; `...` for the rest
//! - `fails`: it is refused, and what is shown is the refusal
//! - `in the project`: it runs in the repository's folder
//! - `elsewhere: WHY`: it cannot be run here; of its commands the subcommands and flags are looked up in the help

#![cfg(feature = "full")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

/// What the comment above a block says of it.
#[derive(Debug, Default, PartialEq)]
struct Manner {
    shown: Option<Vec<(String, usize)>>,
    fails: bool,
    in_project: bool,
    elsewhere: bool,
}

/// A block of commands, as lines of its page.
#[derive(Debug)]
struct Block {
    manner: Manner,
    /// Lines of the page between the fences.
    first: usize,
    end: usize,
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The pages of the guide with their names, in order.
fn pages() -> Vec<(String, String)> {
    let folder = project().join("profiler/guide/src");
    let mut pages: Vec<(String, String)> = fs::read_dir(&folder)
        .expect("the guide")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| name.ends_with(".md"))
        .map(|name| (name.clone(), fs::read_to_string(folder.join(name)).expect("a page")))
        .collect();
    pages.sort();
    pages
}

/// What `comment` (a line) says; none if it is no such comment.
fn manner(comment: &str) -> Manner {
    let mut manner = Manner::default();
    let Some(inner) = comment.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix("-->")) else {
        return manner;
    };
    let inner = inner.trim();
    if let Some(items) = inner.strip_prefix("shown:") {
        let item = |text: &str| match text.rsplit_once('+') {
            Some((line, more)) if more.parse::<usize>().is_ok() => (line.to_owned(), more.parse().expect("a number")),
            _ => (text.to_owned(), 0),
        };
        manner.shown = Some(items.split(';').map(str::trim).filter(|text| !text.is_empty()).map(item).collect());
    } else if inner == "fails" {
        manner.fails = true;
    } else if inner == "in the project" {
        manner.in_project = true;
    } else if inner.strip_prefix("elsewhere: ").is_some_and(|why| !why.is_empty()) {
        manner.elsewhere = true;
    } else {
        panic!("{comment}: says nothing that this test knows");
    }
    manner
}

fn blocks(lines: &[&str]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut place = 0;
    while place < lines.len() {
        if lines[place] == "```console" {
            let end = place + 1 + lines[place + 1..].iter().position(|line| *line == "```").expect("a block ends");
            let above = if place > 0 { lines[place - 1] } else { "" };
            blocks.push(Block { manner: manner(above), first: place + 1, end });
            place = end;
        }
        place += 1;
    }
    blocks
}

/// The commands of a block, each with the lines that it is written in and those that are shown below it.
fn commands<'a>(block: &[&'a str]) -> Vec<(Vec<&'a str>, Vec<&'a str>)> {
    let mut commands: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    let mut goes_on = false;
    for line in block {
        if line.starts_with("$ ") {
            commands.push((vec![*line], Vec::new()));
        } else {
            let (written, shown) = commands.last_mut().expect("a block begins with a command");
            if goes_on { written.push(line) } else { shown.push(line) }
        }
        goes_on = line.ends_with('\\') && (goes_on || line.starts_with("$ "));
    }
    commands
}

/// The words of a command as a shell splits them, which here knows quotes and nothing else.
fn words(written: &[&str]) -> Vec<String> {
    let text: Vec<&str> = written.iter().map(|line| line.trim_end_matches('\\')).collect();
    let text = text.join(" ");
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in text.trim_start_matches("$ ").chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// The lines of `output` that are shown.
fn excerpt(output: &str, items: Option<&[(String, usize)]>) -> Vec<String> {
    let lines: Vec<&str> = output.trim_end().lines().map(str::trim_end).collect();
    let Some(items) = items else {
        return lines.into_iter().map(str::to_owned).collect();
    };
    let mut shown = Vec::new();
    let mut next = 0;
    for (text, more) in items {
        let found = lines[next..].iter().position(|line| line.contains(text.as_str()));
        let begin = next + found.unwrap_or_else(|| panic!("after line {next} no line has {text:?}:\n{output}"));
        if begin > next {
            shown.push("...".to_owned());
        }
        next = (begin + 1 + more).min(lines.len());
        shown.extend(lines[begin..next].iter().map(|line| (*line).to_owned()));
    }
    if next < lines.len() && !items.is_empty() {
        shown.push("...".to_owned());
    }
    shown
}

fn profiler(folder: &Path, arguments: &[String]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_profiler"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("the program starts")
}

/// What a command prints, of which is shown what its block says.
fn run(page: &str, folder: &Path, words: &[String], manner: &Manner) -> Vec<String> {
    assert_eq!(words[0], "profiler", "{page}: {words:?} is another program: say `elsewhere`");
    let folder = if manner.in_project { &project() } else { folder };
    let output = profiler(folder, &words[1..]);
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    let expect = if manner.fails { 2 } else { 0 };
    assert_eq!(output.status.code(), Some(expect), "{page}: {words:?}\n{stdout}\n{stderr}");
    excerpt(if manner.fails { &stderr } else { &stdout }, manner.shown.as_deref())
}

/// Subcommand and flags of a command that cannot be run are those of the help.
fn check_flags(page: &str, words: &[String]) {
    if words[0] != "profiler" {
        return;
    }
    let num_names = if matches!(words[1].as_str(), "import") { 2 } else { 1 };
    let names = &words[1..=num_names];
    let output = profiler(&project(), &[names, &["--help".to_owned()]].concat());
    let help = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success() && help.contains(&format!("profiler {}", names.join(" "))), "{page}: {names:?}");
    let is_known = |flag: &str| help.split([' ', ',', '\n', ']', '=']).any(|word| word == flag);
    for flag in words.iter().take_while(|word| *word != "--").filter(|word| word.starts_with("--")) {
        assert!(is_known(flag), "{page}: {words:?}: `profiler {} --help` has no {flag}", names.join(" "));
    }
}

/// A folder of this page's own with the examples.
fn scratch(page: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide").join(page);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an old folder of ours");
    }
    fs::create_dir_all(&folder).expect("a folder");
    for entry in fs::read_dir(project().join("profiler/guide/examples")).expect("the examples") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, folder.join(path.file_name().expect("a name"))).expect("a copy");
    }
    folder
}

/// The page as it ought to be, and how many of its commands were run.
fn replay(page: &str, text: &str) -> (String, usize) {
    let lines: Vec<&str> = text.lines().collect();
    let folder = scratch(page);
    let mut made: Vec<String> = Vec::new();
    let mut copied = 0;
    let mut num_run = 0;
    for block in blocks(&lines) {
        made.extend(lines[copied..block.first].iter().map(|line| (*line).to_owned()));
        for (written, _) in commands(&lines[block.first..block.end]) {
            made.extend(written.iter().map(|line| (*line).to_owned()));
            let words = words(&written);
            if block.manner.elsewhere {
                check_flags(page, &words);
            } else {
                made.extend(run(page, &folder, &words, &block.manner));
                num_run += 1;
            }
        }
        copied = block.end;
    }
    made.extend(lines[copied..].iter().map(|line| (*line).to_owned()));
    (made.join("\n") + "\n", num_run)
}

#[test]
fn every_command_does_what_stands_below_it() {
    let mut num_run = 0;
    for (page, text) in pages() {
        let (made, num) = replay(&page, &text);
        num_run += num;
        if made == text {
            continue;
        }
        if env::var_os("GUIDE_UPDATE").is_some() {
            fs::write(project().join("profiler/guide/src").join(&page), made).expect("the page");
            continue;
        }
        let (line, (theirs, ours)) = (1..)
            .zip(text.lines().zip(made.lines()))
            .find(|(_, (theirs, ours))| theirs != ours)
            .unwrap_or((0, ("(the page ends)", "(more)")));
        panic!("{page}:{line} shows\n{theirs}\nand it is\n{ours}\nGUIDE_UPDATE=1 writes what it is");
    }
    assert!(num_run >= 20, "only {num_run} commands were found");
}

#[test]
fn no_command_is_written_where_it_is_not_run() {
    for (page, text) in pages() {
        let mut language = None;
        for line in text.lines() {
            match (line.strip_prefix("```"), &language) {
                (Some(of), None) => language = Some(of.to_owned()),
                (Some(_), Some(_)) => language = None,
                (None, Some(of)) if of != "console" => {
                    assert!(
                        !line.starts_with("profiler ") && !line.starts_with("$ "),
                        "{page}: {line}: not a console's"
                    );
                }
                _ => {}
            }
        }
    }
}

#[test]
fn what_is_not_as_shown_is_noticed() {
    let page = |shown: &str| format!("# A\n\n<!-- shown: h100-sxm -->\n```console\n$ profiler gpus\n{shown}\n```\n");
    let (made, num_run) = replay("made-up.md", &page("typed"));
    assert_eq!(num_run, 1);
    assert!(made != page("typed") && made.contains("\nh100-sxm ") && made.contains("\n...\n"), "{made}");
    assert_eq!(replay("made-up.md", &made).0, made);
}
