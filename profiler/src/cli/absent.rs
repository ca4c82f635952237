//! What a program built without the feature `full` says of the subcommands that it lacks.

use std::ffi::OsString;

use anyhow::{Error, anyhow};

use crate::HOW_TO_GET_ALL;

/// `serve`, and the subcommands of `full/mod.rs`.
pub(super) const NAMES: [&str; 12] = [
    "serve",
    "sweep",
    "profile",
    "import",
    "validate",
    "verify-tokens",
    "run-workload-trace",
    "verify-metrics",
    "verify-serve",
    "verify-run",
    "emulate",
    "schema",
];

/// Why `words`, a subcommand that was not found and what follows it, cannot run.
pub(super) fn refusal(words: &[OsString]) -> Error {
    let name = words.first().map_or_else(String::new, |word| word.to_string_lossy().into_owned());
    if NAMES.contains(&name.as_str()) {
        anyhow!("profiler {name} is not built in: {HOW_TO_GET_ALL}")
    } else {
        anyhow!("unrecognized subcommand {name:?}; `profiler --help` lists what there is")
    }
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[cfg(feature = "full")]
    #[test]
    fn what_the_small_program_lacks_is_what_the_whole_one_adds() {
        use clap::Subcommand as _;
        let whole = super::super::full::Command::augment_subcommands(clap::Command::new("profiler"));
        let names: Vec<&str> = whole.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(names, super::NAMES[1..]);
    }

    #[track_caller]
    fn check(words: &[&str], expect: &str) {
        let words: Vec<_> = words.iter().map(Into::into).collect();
        let refusal = refusal(&words).to_string();
        assert!(refusal.contains(expect), "{refusal}");
    }

    #[test]
    fn a_subcommand_that_is_not_built_in_is_told_from_one_that_does_not_exist() {
        check(&["verify-run", "--range"], "profiler verify-run is not built in");
        check(&["verify-run"], "cargo build --release -p profiler");
        check(&["verify"], "unrecognized subcommand \"verify\"");
        check(&[], "unrecognized subcommand");
    }
}
