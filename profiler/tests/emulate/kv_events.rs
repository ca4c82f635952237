//! KV events as a listener gets them: a SUB and a DEALER socket of ZeroMQ by hand, and MessagePack.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Map, Value, json};

use crate::server::{PATIENCE, Server};

/// A server that publishes, and where: listeners, replays.
fn publishing() -> (Server, [u16; 2]) {
    let config = r#"{"enable_kv_cache_events": true, "topic": "kv@one", "endpoint": "tcp://*:0",
        "replay_endpoint": "tcp://127.0.0.1:0", "buffer_steps": 3}"#;
    let mut server = Server::start(&["--time-scale", "20", "--kv-events-config", config]);
    let mut line = String::new();
    server.stdout.read_line(&mut line).expect("what is served");
    line.clear();
    server.stdout.read_line(&mut line).expect("where events are");
    let ports: Vec<u16> = line.split("tcp://127.0.0.1:").skip(1).map(number).collect();
    (server, ports.try_into().unwrap_or_else(|ports| panic!("{ports:?} in {line:?}")))
}

fn number(text: &str) -> u16 {
    text.split(|at: char| !at.is_ascii_digit()).next().and_then(|port| port.parse().ok()).expect("a port")
}

/// A socket of ZeroMQ that has greeted and was greeted.
struct Socket(TcpStream);

impl Socket {
    fn open(port: u16, kind: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let mut greeting = [0; 64];
        (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
        greeting[12..16].copy_from_slice(b"NULL");
        stream.write_all(&greeting).expect("sent");
        let mut ready = b"\x05READY\x0bSocket-Type\0\0\0".to_vec();
        ready.push(u8::try_from(kind.len()).expect("short"));
        ready.extend(kind.as_bytes());
        let mut socket = Self(stream);
        socket.send(4, &ready);
        socket.take(64);
        let (flags, theirs) = socket.frame();
        assert!(flags == 4 && theirs.starts_with(b"\x05READY"), "{theirs:?}");
        socket
    }

    /// Subscribes, and waits until that has been heard: commands are answered in order.
    fn subscribed(port: u16, topic: &str) -> Self {
        let mut socket = Self::open(port, "SUB");
        socket.send(0, &[b"\x01", topic.as_bytes()].concat());
        socket.send(4, b"\x04PING\0\0here");
        assert_eq!(socket.frame(), (4, b"\x04PONGhere".to_vec()), "it is not there");
        socket
    }

    fn send(&mut self, flags: u8, body: &[u8]) {
        let size = u8::try_from(body.len()).expect("short");
        self.0.write_all(&[&[flags, size], body].concat()).expect("sent");
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).expect("in time");
        bytes
    }

    fn frame(&mut self) -> (u8, Vec<u8>) {
        let flags = self.take(1)[0];
        let size = self.take(if flags & 2 == 0 { 1 } else { 8 });
        let size = size.into_iter().fold(0, |size, byte| size << 8 | usize::from(byte));
        (flags & !2, self.take(size))
    }

    /// All parts of a message.
    fn message(&mut self) -> Vec<Vec<u8>> {
        let mut parts = Vec::new();
        loop {
            let (flags, part) = self.frame();
            parts.push(part);
            if flags == 0 {
                return parts;
            }
        }
    }

    /// Number and events of the next batch.
    fn batch(&mut self) -> (u64, Vec<Value>) {
        let message = self.message();
        let [topic, number, payload] = message.as_slice() else { panic!("{message:?}") };
        assert_eq!(topic, b"kv@one", "{message:?}");
        let number = u64::from_be_bytes(number.as_slice().try_into().expect("eight bytes"));
        let Value::Array(batch) = unpacked(&mut payload.as_slice()) else { panic!("{payload:?}") };
        let [Value::Number(_), Value::Array(events), rank] = batch.as_slice() else { panic!("{batch:?}") };
        assert_eq!(rank, &json!(0), "{batch:?}");
        (number, events.clone())
    }
}

/// The MessagePack at the beginning of `bytes`.
fn unpacked(bytes: &mut &[u8]) -> Value {
    fn uint(bytes: &mut &[u8], count: usize) -> u64 {
        let (taken, rest) = bytes.split_at(count);
        *bytes = rest;
        taken.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }
    let array = |bytes: &mut &[u8], len: u64| Value::Array((0..len).map(|_| unpacked(bytes)).collect());
    let map = |bytes: &mut &[u8], len: u64| {
        let entry = |_| (unpacked(bytes).as_str().expect("a key").to_owned(), unpacked(bytes));
        Value::Object((0..len).map(entry).collect::<Map<_, _>>())
    };
    let text = |bytes: &mut &[u8], len: u64| {
        let (text, rest) = bytes.split_at(usize::try_from(len).expect("short"));
        *bytes = rest;
        Value::from(str::from_utf8(text).expect("UTF-8"))
    };
    let mark = uint(bytes, 1);
    match mark {
        0..=0x7f => Value::from(mark),
        0x80..=0x8f => map(bytes, mark & 15),
        0x90..=0x9f => array(bytes, mark & 15),
        0xa0..=0xbf => text(bytes, mark & 31),
        0xc0 => Value::Null,
        0xcb => Value::from(f64::from_bits(uint(bytes, 8))),
        0xcc..=0xcf => Value::from(uint(bytes, 1 << (mark - 0xcc))),
        0xdc => {
            let len = uint(bytes, 2);
            array(bytes, len)
        }
        _ => panic!("{mark:#x}"),
    }
}

fn ids(server: &Server, prompt: &str) -> Vec<u64> {
    let answer = server.post("/tokenize", &json!({"prompt": prompt})).json();
    let tokens = answer["tokens"].as_array().expect("tokens").iter();
    // Events have room for 32 bits.
    tokens.map(|id| id.as_u64().expect("an id") & 0xffff_ffff).collect()
}

#[test]
fn a_listener_is_told_which_blocks_are_there() {
    let (server, [port, replay_port]) = publishing();
    let mut listener = Socket::subscribed(port, "kv");
    let mut other_topic = Socket::subscribed(port, "kv@two");
    let prompt = "word ".repeat(40);
    let complete = |prompt: &str| {
        let answer = server.post("/v1/completions", &json!({"prompt": prompt, "max_tokens": 1}));
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    complete(&prompt);
    let (first, events) = listener.batch();
    let [stored] = events.as_slice() else { panic!("{events:?}") };
    let tokens = ids(&server, &prompt);
    let num_blocks = tokens.len() / 16;
    assert!(num_blocks >= 2, "{num_blocks}");
    assert_eq!((first, &stored["type"], &stored["parent_block_hash"]), (0, &json!("BlockStored"), &Value::Null));
    assert_eq!(stored["token_ids"], json!(tokens[..num_blocks * 16]), "as /tokenize has them");
    assert_eq!((&stored["block_size"], &stored["group_idx"]), (&json!(16), &json!(0)));
    assert_eq!(stored["extra_keys"], json!(vec![Value::Null; num_blocks]));
    let hashes = stored["block_hashes"].as_array().expect("hashes");
    assert_eq!(hashes.len(), num_blocks);
    // What was there already is not told again.
    complete(&format!("{prompt}{}", "more ".repeat(40)));
    let (second, events) = listener.batch();
    let [stored] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((second, &stored["parent_block_hash"]), (1, &hashes[num_blocks - 1]));
    // As vLLM, with the next pass.
    assert_eq!(server.post("/reset_prefix_cache", &json!({})).json(), json!({"success": true}));
    complete(&prompt);
    let (third, events) = listener.batch();
    assert_eq!((third, &events[0]), (2, &json!({"type": "AllBlocksCleared"})));
    assert_eq!(&events[1]["block_hashes"], &json!(hashes), "equal text has equal hashes");
    complete(&"others ".repeat(40));
    listener.batch();
    // Of four batches three are kept.
    let mut replays = Socket::open(replay_port, "DEALER");
    replays.send(1, b"");
    replays.send(0, &0_u64.to_be_bytes());
    let mut numbers = Vec::new();
    loop {
        let message = replays.message();
        let [empty, topic, number, payload] = message.as_slice() else { panic!("{message:?}") };
        assert!(empty.is_empty());
        if number.iter().all(|byte| *byte == 0xff) {
            assert!(topic.is_empty() && payload.is_empty());
            break;
        }
        assert_eq!(topic, b"kv@one");
        numbers.push(number[7]);
        assert!(unpacked(&mut payload.as_slice()).is_array());
    }
    assert_eq!(numbers, [1, 2, 3]);
    // Nobody else was told.
    other_topic.send(4, b"\x04PING\0\0last");
    assert_eq!(other_topic.frame(), (4, b"\x04PONGlast".to_vec()));
}

#[test]
fn peers_that_are_none_change_nothing() {
    let (server, ports) = publishing();
    for port in ports {
        for sent in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0xff; 64], &[0; 10_000], &[]] {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
            drop(stream.write_all(sent));
        }
        let mut greedy = Socket::open(port, if port == ports[0] { "SUB" } else { "REQ" });
        greedy.0.write_all(&[2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).expect("sent");
        assert_eq!(greedy.0.read(&mut [0; 16]).expect("ended"), 0, "a frame of any length is not waited for");
    }
    let mut listener = Socket::subscribed(ports[0], "");
    let answer = server.post("/v1/completions", &json!({"prompt": "word ".repeat(40), "max_tokens": 1}));
    assert_eq!((answer.status, listener.batch().0), (200, 0));
}

#[test]
fn events_go_to_a_listener_that_waits_to_be_called() {
    let called = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = called.local_addr().expect("its address");
    let config = format!(r#"{{"enable_kv_cache_events": true, "endpoint": "tcp://{place}"}}"#);
    let _server = Server::start(&["--kv-events-config", &config]);
    let (mut stream, _) = called.accept().expect("it calls");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let mut greeting = [0; 64];
    stream.read_exact(&mut greeting).expect("a greeting");
    assert_eq!((greeting[0], greeting[10], &greeting[12..16]), (0xff, 3, &b"NULL"[..]));
}
