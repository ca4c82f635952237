//! The user's browser.

use std::env;
use std::process::{Command, Stdio};

/// Opens `url` in the user's browser, if there is a screen to show it on. The address is printed in any case, so that
/// a failure needs no message.
pub(crate) fn open(url: &str) {
    let (program, arguments): (_, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("cmd", &["/C", "start", ""])
    } else if env::var_os("DISPLAY").is_some() || env::var_os("WAYLAND_DISPLAY").is_some() {
        ("xdg-open", &[])
    } else {
        return;
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Not waited for: some of these programs stay until the browser is closed.
    drop(command.spawn());
}
