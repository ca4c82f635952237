//! Clients that mean no good, or have bad luck: limits hold, nobody else notices, and nothing of them stays.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::server::{PATIENCE, Server, read};

#[test]
fn bodies_and_connections_have_limits() {
    let server = Server::fast();
    let large = format!("{{\"prompt\": \"{}\"}}", "x".repeat(11 << 20));
    let mut stream = server.connect();
    let head = "Host: x\r\nContent-Type: application/json\r\nConnection: close";
    let length = large.len();
    write!(stream, "POST /v1/completions HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n").expect("sent");
    let answer = read(stream);
    assert_eq!(answer.status, 413, "{answer:?}");
    let allowed = format!("{{\"prompt\": \"{}\"}}", "x ".repeat(4 << 20));
    let answer = server.post_text("/v1/completions", &allowed);
    assert_eq!(answer.status, 400, "too long for the model, but read: {answer:?}");
    // Heads and bodies that do not come to an end hold nobody up.
    let mut half_open: Vec<TcpStream> = (0..50).map(|_| server.connect()).collect();
    for stream in &mut half_open {
        write!(stream, "POST /v1/completions HTTP/1.1\r\n{head}\r\nContent-Length: 100\r\n\r\n{{").expect("sent");
    }
    assert_eq!(server.post("/v1/completions", &json!({"prompt": "a", "max_tokens": 2})).status, 200);
    let mut stream = server.connect();
    write!(stream, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}")
        .expect("sent");
    let answer = read(stream);
    assert!(answer.status == 400 && answer.body.contains("Only 'application/json' is allowed"), "{answer:?}");
}

/// What the server's process has of the system: resident bytes, open files, threads.
#[cfg(target_os = "linux")]
fn held(server: &Server) -> (u64, usize, u64) {
    let id = server.process.id();
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("a line");
        line.split_ascii_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok()).expect("a number")
    };
    let files = fs::read_dir(format!("/proc/{id}/fd")).expect("its files").count();
    (field("VmRSS:") << 10, files, field("Threads:"))
}

/// A stream that would take minutes, with its first bytes read.
fn stream(server: &Server) -> TcpStream {
    let body = json!({"prompt": "a", "max_tokens": 4000, "stream": true}).to_string();
    let mut stream = server.post_stream("/v1/completions", &body);
    stream.read_exact(&mut [0; 200]).expect("it has begun");
    stream
}

/// Everything at once that a client can do wrong.
fn misbehave(server: &Server, head: &str) {
    // Killed before they read, while they read, and while they wait for a whole answer.
    let unread: Vec<TcpStream> = (0..40).map(|_| stream(server)).collect();
    let whole = json!({"prompt": "a", "max_tokens": 4000}).to_string();
    let waiting: Vec<TcpStream> = (0..40).map(|_| server.post_stream("/v1/completions", &whole)).collect();
    // Half open: nothing, half a head, half a body.
    let mut half_open: Vec<TcpStream> = (0..60).map(|_| server.connect()).collect();
    for (number, stream) in half_open.iter_mut().enumerate().skip(20) {
        let sent = format!("POST /v1/completions HTTP/1.1\r\n{head}\r\n");
        let rest = if number < 40 { "" } else { "Content-Length: 10000000\r\n\r\n{\"prompt\": \"" };
        stream.write_all(format!("{sent}{rest}").as_bytes()).expect("sent");
    }
    // What is no JSON, nested without end, no HTTP.
    let nested = format!("{{\"prompt\": {}", "[".repeat(1 << 20));
    for body in ["{", "nonsense", "{\"prompt\": \"\\ud800\"}", "{\"prompt\": 1e999}", "\u{0}", &nested] {
        let answer = server.post_text("/v1/completions", body);
        let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(answer.status == 400 && !message.is_empty(), "{answer:?}");
    }
    let mut stream = server.connect();
    stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0xff, 0, b'\n', b'\n']).expect("sent");
    assert!(read(stream).status == 400, "no HTTP");
    // Ten megabytes: one text, and numbers, which take the most memory.
    let text = format!("{{\"prompt\": \"{}\"}}", "x ".repeat((10 << 19) - 20));
    let numbers = format!("{{\"prompt\": [{}1]}}", "1,3,".repeat((10 << 18) - 20));
    for body in [&text, &numbers] {
        let answer = server.post_text("/v1/completions", body);
        assert!(answer.status == 400 && answer.body.contains("maximum context length"), "{answer:?}");
    }
    // Others are served meanwhile.
    let answer = server.post("/v1/completions", &json!({"prompt": "a", "max_tokens": 2}));
    assert_eq!(answer.status, 200, "{answer:?}");
    drop((unread, waiting, half_open));
    server.wait_idle();
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_stays_of_clients_that_misbehave() {
    const ROUNDS: u32 = 4;
    /// What an allocator may keep for itself.
    const SLACK_BYTES: u64 = 48 << 20;
    /// The most that the bodies of a round take at once, and the program itself.
    const MOST_BYTES: u64 = 700 << 20;
    let head = "Host: x\r\nContent-Type: application/json\r\nConnection: close";
    let server = Server::start(&[]);
    let settle = |files: usize| {
        let start = Instant::now();
        // Threads for large bodies end after ten seconds without one; files at once.
        while held(&server).1 > files {
            assert!(start.elapsed() < PATIENCE, "{} files are open, {files} at the beginning", held(&server).1);
            thread::sleep(Duration::from_millis(10));
        }
    };
    // What the server opens for itself is open once it answers.
    assert_eq!(server.get("/health").status, 200);
    let (_, files, threads) = held(&server);
    misbehave(&server, head);
    settle(files);
    let (before, ..) = held(&server);
    for _ in 1..ROUNDS {
        misbehave(&server, head);
    }
    settle(files);
    let (after, _, threads_after) = held(&server);
    assert!(after <= before + SLACK_BYTES, "{before} bytes after one round, {after} after {ROUNDS}");
    assert!(after <= MOST_BYTES, "{after} bytes");
    assert!(threads_after <= threads + 2, "{threads} threads became {threads_after}");
    // The engine tells of a request that was aborted with its next pass, which may be under way still.
    let count = |name: &str| server.metric(name).parse::<f64>().expect("a number");
    let start = Instant::now();
    loop {
        let left = (count("vllm:num_requests_running{"), count("vllm:kv_cache_usage_perc{"));
        if left == (0.0, 0.0) {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{left:?} requests and part of the KV cache are held");
        thread::sleep(Duration::from_millis(10));
    }
}
