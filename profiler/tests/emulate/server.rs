//! The built `profiler emulate` as a process, and HTTP by hand.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest that a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; ended with its test.
pub(crate) struct Server {
    pub(crate) process: Child,
    /// Kept open: a program whose reader has gone ends.
    pub(crate) stdout: BufReader<ChildStdout>,
    pub(crate) port: u16,
}

/// An answer, its body put together again if it came in chunks.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The messages of a stream, which ends as it should.
    pub(crate) fn messages(&self) -> Vec<Value> {
        let mut messages: Vec<&str> =
            self.body.split("\n\n").filter_map(|message| message.strip_prefix("data: ")).collect();
        assert_eq!(messages.pop(), Some("[DONE]"), "{self:?}");
        messages.into_iter().map(|message| serde_json::from_str(message).expect("JSON")).collect()
    }
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_profiler"))
            .args(["emulate", "--port", "0", "--max-model-len", "4096"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdout = BufReader::new(process.stdout.take().expect("piped"));
        let mut url = String::new();
        stdout.read_line(&mut url).expect("its first line");
        let port = url.trim().strip_prefix("http://127.0.0.1:").and_then(|port| port.parse().ok());
        Self { process, stdout, port: port.unwrap_or_else(|| panic!("the first line is {url:?}")) }
    }

    /// Twenty times as fast as real.
    pub(crate) fn fast() -> Self {
        Self::start(&["--time-scale", "20"])
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        stream
    }

    pub(crate) fn post_stream(&self, path: &str, body: &str) -> TcpStream {
        let mut stream = self.connect();
        let length = body.len();
        let head = "Host: x\r\nContent-Type: application/json\r\nConnection: close";
        let sent = write!(stream, "POST {path} HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}");
        drop(sent); // A server that has answered already may read no further.
        stream
    }

    pub(crate) fn post_text(&self, path: &str, body: &str) -> Answer {
        read(self.post_stream(path, body))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_text(path, &body.to_string())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
        read(stream)
    }

    /// The value of a sample of `/metrics` whose line begins so.
    pub(crate) fn metric(&self, begin: &str) -> String {
        let text = self.get("/metrics").body;
        let line = text.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("no {begin} in {text}"));
        line.rsplit(' ').next().expect("a value").to_owned()
    }

    /// Waits until nobody has a request any longer.
    pub(crate) fn wait_idle(&self) {
        let start = Instant::now();
        while self.get("/load").json()["server_load"] != 0 {
            assert!(start.elapsed() < PATIENCE, "requests are still under way");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

pub(crate) fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer in time");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let head = head.to_lowercase();
    let body = if head.contains("transfer-encoding: chunked") { joined(body) } else { body.to_owned() };
    Answer { status, head, body }
}

fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a length");
        body.push_str(&rest[..length]);
        chunks = &rest[length + 2..];
        if length == 0 {
            break;
        }
    }
    body
}
