//! The part of Python, played by shell scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

/// The driver's first line.
pub(crate) const HELLO: &str = r#"{"hello":{"vllm":"0.32.0","python":"3.12"}}"#;

/// A program that says `lines` as the driver would, each but the first after a command.
fn python(name: &str, lines: &[&str]) -> PathBuf {
    let mut script = "#!/bin/sh\n".to_owned();
    for (place, line) in lines.iter().enumerate() {
        if place > 0 {
            script += "read -r command\n";
        }
        script += &match line.strip_prefix("sh: ") {
            Some(command) => format!("{command}\n"),
            None => format!("cat <<'LINE'\n{line}\nLINE\n"),
        };
    }
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("python-{name}"));
    fs::write(&path, script).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("to run it");
    path
}

/// Runs `verify-tokens` with that Python; it must fail and say every one of `expect`.
#[track_caller]
pub(crate) fn check(python: &str, arguments: &[&str], expect: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_profiler"))
        .args(["verify-tokens", "--num-workloads", "1", "--python", python])
        .args(arguments)
        .output()
        .expect("profiler runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in expect {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
}

/// Runs it with a driver that says `lines`; it must fail and say every one of `expect`.
#[track_caller]
pub(crate) fn check_driver(name: &str, lines: &[&str], expect: &[&str]) {
    check(python(name, lines).to_str().expect("a path"), &[], expect);
}
