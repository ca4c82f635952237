//! A connection to another ZeroMQ socket.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::silence;
use super::zmtp::{Decoder, Frame, opening, property, write_command};

/// How long a peer may take to greet.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer that has greeted. Whatever ends it (it goes, it is not understood) is `None`.
#[derive(Debug)]
pub(super) struct Peer {
    stream: TcpStream,
    decoder: Decoder,
}

impl Peer {
    /// Greets as a `socket_type`, and is greeted by one of `peers`.
    pub(super) async fn open(stream: TcpStream, socket_type: &str, peers: &[&str]) -> Option<Self> {
        silence::limit(&stream);
        let mut peer = Self { stream, decoder: Decoder::default() };
        timeout(GREETING_TIMEOUT, peer.greet(socket_type, peers)).await.ok()??;
        Some(peer)
    }

    async fn greet(&mut self, socket_type: &str, peers: &[&str]) -> Option<()> {
        self.write(&opening(socket_type)).await?;
        let Frame::Command { name, data } = self.frame().await? else { return None };
        let theirs = property(&data, "Socket-Type").unwrap_or_default();
        if name == b"READY" && peers.iter().any(|known| known.as_bytes() == theirs) {
            return Some(());
        }
        let mut error = Vec::new();
        // As libzmq words it.
        write_command(&mut error, "ERROR", b"\x13Invalid socket type");
        self.write(&error).await?;
        None
    }

    /// The next frame. May be given up and called again.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.frame().ok()? {
                return Some(frame);
            }
            self.stream.readable().await.ok()?;
            let mut bytes = [0; 4096];
            match self.stream.try_read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.decoder.feed(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
        }
    }

    /// Answers a command: the one that wants an answer asks whether somebody is there.
    pub(super) async fn answer(&mut self, name: &[u8], data: &[u8]) -> Option<()> {
        if name == b"PING" {
            let mut pong = Vec::new();
            // Behind the time to live, at most 16 bytes come back.
            let context = data.get(2..).unwrap_or_default();
            write_command(&mut pong, "PONG", &context[..context.len().min(16)]);
            self.write(&pong).await?;
        }
        Some(())
    }

    /// Writes all of `bytes`.
    pub(super) async fn write(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            self.stream.writable().await.ok()?;
            match self.stream.try_write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
        }
        Some(())
    }
}
