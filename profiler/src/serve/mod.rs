//! The page, served on this machine: page and data from one origin, so that no browser has to be asked.

pub(crate) mod browser;
pub(crate) mod page;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, bail};

/// Ports tried after the one asked for.
const MAX_PORTS: u16 = 100;

/// Listens on `port` of the loopback address, or on the next free one. Port 0: any.
///
/// # Errors
/// If none of the next 100 is free, or the system refuses.
pub(crate) fn listen(port: u16) -> Result<(TcpListener, u16)> {
    let last = port.saturating_add(MAX_PORTS);
    for candidate in port..=last {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, candidate)) {
            Ok(listener) => {
                let port = listener.local_addr().context("the port that was opened")?.port();
                return Ok((listener, port));
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).with_context(|| format!("port {candidate} on 127.0.0.1")),
        }
    }
    bail!("no port from {port} to {last} is free on 127.0.0.1: choose another with --port")
}
