//! Reading the project's files as text, a little more closely than line by line.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the project's own files are. Nothing else in the folder is looked at: it may be the user's.
const ROOTS: &[&str] = &[
    "sim-core",
    "web",
    "profiler",
    "www",
    "tests",
    "scripts",
    ".ci",
    ".github",
    ".config",
    "Makefile",
    "Cargo.toml",
    "clippy.toml",
    "deny.toml",
    "rustfmt.toml",
    "README.md",
    "ARCHITECTURE.md",
    "FIDELITY.md",
    "CHANGELOG.md",
];
/// Folders that tools fill.
const GENERATED: &[&str] = &["target", "node_modules", "pkg", "corpus", "artifacts", "__pycache__"];

/// A text file of the project.
pub(super) struct Source {
    /// Relative to the repository, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    /// The text without `//` comments. A `//` in a string ends the line too early, which these rules survive.
    pub(super) fn code(&self) -> String {
        without_comments(&self.text)
    }
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of one file.
#[track_caller]
pub(super) fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file of the project that is UTF-8 text.
pub(super) fn text_files() -> Vec<Source> {
    let mut files = Vec::new();
    for root in ROOTS {
        collect(root, &mut files);
    }
    assert!(files.len() > 20, "only {} files found: looking in the wrong place", files.len());
    files
}

/// Every Rust file of the project.
pub(super) fn rust_files() -> Vec<Source> {
    text_files().into_iter().filter(|file| file.path.ends_with(".rs")).collect()
}

fn collect(path: &str, files: &mut Vec<Source>) {
    let full = repository().join(path);
    if full.is_dir() {
        let mut names: Vec<String> = fs::read_dir(&full)
            .expect("a folder of the project")
            .map(|entry| entry.expect("a folder's entry").file_name().into_string().expect("a UTF-8 name"))
            .filter(|name| !GENERATED.contains(&name.as_str()))
            .collect();
        names.sort();
        for name in names {
            collect(&format!("{path}/{name}"), files);
        }
    } else if let Some(text) = fs::read(full).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
        files.push(Source { path: path.to_owned(), text });
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

/// Whether `code` names the crate's module `module`: in a `use` of the crate's own paths, or in a path `crate::module`.
pub(super) fn names_module(code: &str, module: &str) -> bool {
    code.split(';').any(|statement| {
        let use_tree = ["use crate", "use super"].iter().find_map(|start| statement.find(start));
        use_tree.is_some_and(|start| words(&statement[start..]).any(|word| word == module))
    }) || ["crate::", "super::"]
        .iter()
        .any(|root| code.match_indices(root).any(|(at, _)| words(&code[at + root.len()..]).next() == Some(module)))
}

/// Whether a word of `code` starts with `prefix`.
pub(super) fn has_word_starting(code: &str, prefix: &str) -> bool {
    words(code).any(|word| word.starts_with(prefix))
}

/// Whether `line` has a path that starts with `place`, not merely one that goes through a folder of that name.
pub(super) fn has_path_starting(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| !line[..at].ends_with(|c| is_word(c) || ".}-".contains(c)))
}

/// Calls of float functions that have an equal in `math.rs`, as method or as path.
pub(super) fn float_methods(code: &str) -> impl Iterator<Item = String> {
    // No method of these names belongs to integers or collections. Exact ones (abs, min, max, clamp) are in core.
    const NAMES: &[&str] = &[
        "sqrt",
        "cbrt",
        "ln",
        "ln_1p",
        "log",
        "log2",
        "log10",
        "exp",
        "exp2",
        "exp_m1",
        "powf",
        "powi",
        "floor",
        "ceil",
        "round",
        "round_ties_even",
        "trunc",
        "fract",
        "mul_add",
        "hypot",
        "sin",
        "cos",
        "tan",
        "tanh",
    ];
    NAMES.iter().flat_map(move |name| {
        [format!(".{name}("), format!("f64::{name}("), format!("f32::{name}(")]
            .into_iter()
            .filter(move |call| code.contains(call.as_str()))
    })
}

/// What looks like a path in `text`, with `{a,b}` written out.
pub(super) fn paths_named(text: &str) -> Vec<String> {
    text.split(|c: char| !(is_word(c) || "./{},-".contains(c)))
        .flat_map(write_out)
        .map(|path| path.trim_matches(['.', ',']).trim_end_matches('/').to_owned())
        .filter(|path| !path.is_empty())
        .collect()
}

/// `a/{b,c}.rs` as `a/b.rs` and `a/c.rs`; one pair of braces.
fn write_out(path: &str) -> Vec<String> {
    match path.split_once('{').and_then(|(head, rest)| rest.split_once('}').map(|(inner, tail)| (head, inner, tail))) {
        Some((head, inner, tail)) => inner.split(',').map(|part| format!("{head}{part}{tail}")).collect(),
        None => vec![path.to_owned()],
    }
}

/// Whether `named` is `path` or its last parts.
pub(super) fn is_suffix(named: &str, path: &str) -> bool {
    path == named || path.strip_suffix(named).is_some_and(|head| head.ends_with('/'))
}

/// Lines of the dependency sections (those whose header ends in `dependencies]`), each with the line before it.
fn dependency_lines(manifest: &str) -> Vec<(&str, &str)> {
    let mut inside = false;
    let mut before = "";
    let mut lines = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if inside && line.contains('=') && !line.starts_with([' ', '#']) {
            lines.push((before, line));
        }
        before = line;
    }
    lines
}

/// Dependencies from a registry without a comment on the line before.
pub(super) fn without_reason(manifest: &str) -> Vec<String> {
    dependency_lines(manifest)
        .into_iter()
        .filter(|(before, line)| !before.starts_with('#') && !line.contains("path ="))
        .map(|(_, line)| line.to_owned())
        .collect()
}

/// Dependencies that are not taken from the workspace.
pub(super) fn own_dependencies(manifest: &str) -> Vec<String> {
    dependency_lines(manifest)
        .into_iter()
        .filter(|(_, line)| !line.contains("workspace = true"))
        .map(|(_, line)| line.to_owned())
        .collect()
}

/// The folders of the workspace's members.
pub(super) fn members(manifest: &str) -> Vec<String> {
    let list = manifest.lines().find_map(|line| line.strip_prefix("members = [")).expect("a list of members on a line");
    list.trim_end_matches(']').split(',').map(|member| member.trim().trim_matches('"').to_owned()).collect()
}

/// The rules above would pass for ever if these could not find anything.
mod tests {
    use super::*;

    #[track_caller]
    fn check_names_time(code: &str, expect: bool) {
        assert_eq!(names_module(&without_comments(code), "time"), expect, "{code}");
    }

    #[test]
    fn a_module_is_found_wherever_it_is_named() {
        check_names_time("use crate::time::SimTime;", true);
        check_names_time("pub use crate::{math, time::{SimTime, SimDuration}};", true);
        check_names_time("use crate::{\n    batch::Batch,\n    time,\n};", true);
        check_names_time("use super::super::time;", true);
        check_names_time("fn f(now: crate::time::SimTime) {}", true);
        check_names_time("fn f() -> super::time::SimTime", true);
        check_names_time("use crate::math;\nlet time = 3; // crate::time", false);
        check_names_time("/// See [`crate::time::SimTime`].\nuse crate::batch;", false);
        check_names_time("use crate::timeline::X;", false);
        check_names_time("use core::time::Duration;", false);
    }

    #[track_caller]
    fn check_float_methods(code: &str, expect: &[&str]) {
        assert_eq!(float_methods(code).collect::<Vec<_>>(), expect, "{code}");
    }

    #[test]
    fn a_float_method_is_found_in_both_forms() {
        check_float_methods("x.ln() + y.powf(2.0)", &[".ln(", ".powf("]);
        check_float_methods("f64::sqrt(x)", &["f64::sqrt("]);
        check_float_methods("values.iter().map(f64::from); math::sqrt(x).abs().max(1.0)", &[]);
    }

    #[test]
    fn a_path_is_named_in_full_in_part_or_in_braces() {
        let named = paths_named("The folder `kv_cache/` has `kv_cache/{manager,block_pool}.rs`; then `batch.rs`.");
        assert_eq!(
            named.iter().filter(|name| name.contains(['/', '.'])).collect::<Vec<_>>(),
            ["kv_cache/manager.rs", "kv_cache/block_pool.rs", "batch.rs"]
        );
        assert!(named.iter().any(|name| name == "kv_cache"), "a folder without its slash: {named:?}");
        assert!(is_suffix("batch.rs", "sim-core/src/batch.rs"), "the last part of a path");
        assert!(!is_suffix("batch.rs", "sim-core/src/minibatch.rs"), "part of a name");
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let manifest =
            "[workspace.dependencies]\nown = { path = \"own\" }\n# Why.\na = \"1\"\nb = \"2\"\n[lints]\nc = 1\n";
        assert_eq!(without_reason(manifest), ["b = \"2\""]);
        assert_eq!(own_dependencies("[dependencies]\na.workspace = true\nb = \"2\"\n"), ["b = \"2\""]);
        assert_eq!(members("members = [\"a\", \"b/c\"]"), ["a", "b/c"]);
    }
}
