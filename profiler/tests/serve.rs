//! The built `profiler serve` as a process: what it serves, and whom it refuses.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

const PROFILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

/// A page of this test's own: the real index.html, and stand-ins for what is built.
fn page(name: &str) -> PathBuf {
    let www = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name).join("www");
    fs::create_dir_all(www.join("pkg")).expect("a folder of ours");
    let index = concat!(env!("CARGO_MANIFEST_DIR"), "/../www/index.html");
    fs::copy(index, www.join("index.html")).expect("the page");
    for (file, text) in [
        ("pkg/web.js", "export default 1;"),
        ("pkg/web_bg.wasm", "\0asm"),
        ("pkg/web_bg.wasm.br", "as brotli has it"),
        ("pkg/web_bg.wasm.gz", "as gzip has it"),
        ("pkg/simulator.wasm", "\0asm"),
        ("manifest.webmanifest", "{}"),
        ("style.css", "a {}"),
        ("../secret.txt", "secret"),
    ] {
        fs::write(www.join(file), text).expect("a file of ours");
    }
    www
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_profiler"));
    command.arg("serve").args(arguments).stdin(Stdio::null());
    command
}

/// A running server; ended with its test.
struct Server {
    process: Child,
    /// Kept open: a program whose reader has gone ends.
    _stdout: BufReader<ChildStdout>,
    url: String,
    port: u16,
}

impl Server {
    fn start(www: &Path, arguments: &[&str]) -> Self {
        let www = www.to_str().expect("UTF-8");
        let mut process = command(&[&["--no-open", "--www", www], arguments].concat())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut url = String::new();
        let mut stdout = BufReader::new(process.stdout.take().expect("piped"));
        stdout.read_line(&mut url).expect("its first line");
        let port = url.trim().strip_prefix("http://127.0.0.1:").and_then(|rest| rest.split_once('/'));
        let port = port.and_then(|(port, _)| port.parse().ok()).unwrap_or_else(|| panic!("the first line is {url:?}"));
        Self { process, _stdout: stdout, url: url.trim().to_owned(), port }
    }

    /// The head, in lower case, and the body of what is answered to a request of this head.
    fn ask(&self, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
        write!(stream, "{request}\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer within 10 s");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{request:?}: {answer:?}"));
        (head.to_lowercase(), body.to_owned())
    }

    fn get(&self, path: &str) -> (String, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}", self.port))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().expect("it was still running");
        self.process.wait().expect("it ends");
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let found = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name} in\n{head}"))
}

#[track_caller]
fn check_refused(output: &Output, expect: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(expect), "{stderr}\nwithout {expect:?}");
}

#[test]
fn the_page_is_served_with_its_types_and_its_policy() {
    let server = Server::start(&page("types"), &["--port", "0"]);
    for (path, expect) in [
        ("/", "text/html"),
        ("/index.html", "text/html"),
        ("/pkg/web.js", "text/javascript"),
        ("/pkg/web_bg.wasm", "application/wasm"),
        ("/manifest.webmanifest", "application/manifest+json"),
        ("/style.css", "text/css"),
    ] {
        let (head, body) = server.get(path);
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        assert_eq!(header(&head, "content-type"), expect, "{path}");
        assert_eq!(header(&head, "cache-control"), "no-cache", "{path}");
        assert_eq!(header(&head, "x-content-type-options"), "nosniff", "{path}");
        assert!(!body.is_empty(), "{path}");
    }
    let (head, body) = server.get("/");
    let policy = body.split_once("Content-Security-Policy\" content=\"").and_then(|(_, rest)| rest.split_once('"'));
    let (policy, _) = policy.expect("the page has a policy");
    assert_eq!(header(&head, "content-security-policy"), format!("{policy}; frame-ancestors 'none'"), "one policy");
    assert!(server.get("/gone.js").0.starts_with("http/1.1 404"));
}

/// mdBook's pages have scripts in their text; the page itself never may.
#[test]
fn the_guide_may_run_the_scripts_in_its_pages() {
    let www = page("serve-guide");
    fs::create_dir_all(www.join("guide")).expect("a folder of ours");
    fs::write(www.join("guide/index.html"), "<script>1</script>").expect("a file of ours");
    let server = Server::start(&www, &["--port", "0"]);
    let policy = |path: &str| header(&server.get(path).0, "content-security-policy").to_owned();
    assert!(
        policy("/guide/index.html").contains("script-src 'self' 'unsafe-inline'"),
        "{}",
        policy("/guide/index.html")
    );
    for path in ["/", "/index.html", "/guide", "/pkg/../index.html", "/guide/../index.html"] {
        let is_page = server.get(path).1.contains("id=\"app\"");
        assert!(!is_page || !policy(path).contains("script-src 'self' 'unsafe-inline'"), "{path}: {}", policy(path));
    }
}

#[test]
fn what_is_compressed_beside_a_file_goes_to_whoever_takes_it() {
    let server = Server::start(&page("compressed"), &["--port", "0"]);
    let check = |path: &str, accepted: &str, expect: Option<(&str, &str)>| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {accepted}");
        let (head, body) = server.ask(&request);
        assert!(head.starts_with("http/1.1 200"), "{path}, {accepted}: {head}");
        let encoding = head.lines().find_map(|line| line.strip_prefix("content-encoding: "));
        assert_eq!(encoding, expect.map(|(encoding, _)| encoding), "{path}, {accepted}: {head}");
        assert_eq!(header(&head, "vary"), "accept-encoding", "{path}, {accepted}");
        if let Some((_, content)) = expect {
            assert_eq!(header(&head, "content-type"), "application/wasm", "{path}, {accepted}");
            assert_eq!(body, content, "{path}, {accepted}");
        }
    };
    check("/pkg/web_bg.wasm", "gzip, deflate, br", Some(("br", "as brotli has it")));
    check("/pkg/web_bg.wasm", "gzip", Some(("gzip", "as gzip has it")));
    check("/pkg/web_bg.wasm", "identity", None);
    // Without a compressed one beside it, a file is sent as it is.
    check("/pkg/simulator.wasm", "gzip, br", None);
    check("/style.css", "gzip, br", None);
}

#[test]
fn only_names_of_this_machine_are_answered() {
    let server = Server::start(&page("hosts"), &["--port", "0"]);
    for (host, is_own) in [
        ("127.0.0.1", true),
        ("localhost", true),
        ("LocalHost:8080", true),
        ("rebound.example", false),
        ("localhost.rebound.example:3000", false),
        ("127.0.0.1.rebound.example", false),
        ("127.0.0.1:3000@rebound.example", false),
        ("0.0.0.0:3000", false),
        ("", false),
    ] {
        let (head, body) = server.ask(&format!("GET / HTTP/1.1\r\nHost: {host}"));
        let expect = if is_own { "http/1.1 200" } else { "http/1.1 403" };
        assert!(head.starts_with(expect), "{host:?}: {head}");
        assert_eq!(body.contains("<html"), is_own, "{host:?}: {body}");
    }
    let (head, _) = server.ask("GET / HTTP/1.1\r\nHost: localhost\r\nHost: rebound.example");
    assert!(!head.starts_with("http/1.1 200"), "two hosts: {head}");
}

#[test]
fn nothing_outside_the_folder_is_served() {
    let server = Server::start(&page("outside"), &["--port", "0"]);
    for path in
        ["/../secret.txt", "/%2e%2e/secret.txt", "/pkg/../../secret.txt", "/..%2fsecret.txt", "/..%5csecret.txt"]
    {
        let (head, body) = server.get(path);
        assert!(!head.starts_with("http/1.1 200") && !body.contains("secret"), "{path}: {head}");
    }
    let (head, _) = server.ask("POST / HTTP/1.1\r\nContent-Length: 0\r\nHost: localhost");
    assert!(head.starts_with("http/1.1 405"), "the page is only read: {head}");
}

#[test]
fn a_profile_of_ones_own_is_checked_and_served_beside_the_others() {
    let shipped = fs::read_to_string(PROFILE).expect("the shipped profile");
    let mine = Path::new(env!("CARGO_TARGET_TMPDIR")).join("own.json");
    let text = shipped.replace("NVIDIA H100 80GB HBM3", "Mine");
    fs::write(&mine, &text).expect("a file of ours");
    let server = Server::start(&page("own"), &["--port", "0", mine.to_str().expect("UTF-8"), "--max-num-seqs", "9"]);
    let (head, body) = server.get("/profiles/own.json");
    assert_eq!(header(&head, "content-type"), "application/json");
    assert_eq!(body, text);
    for expect in ["#v=1&", "&profile=own&", "&max-num-seqs=9&", "&profile-z="] {
        assert!(server.url.contains(expect), "{} lacks {expect}", server.url);
    }
    let without = Server::start(&page("none"), &["--port", "0"]);
    assert!(without.get("/profiles/own.json").0.starts_with("http/1.1 404"));
    assert!(without.url.ends_with('/'), "nothing was asked for: {}", without.url);
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let www = page("bad");
    let output = command(&["--no-open", "--www", www.to_str().expect("UTF-8"), manifest]).output();
    check_refused(&output.expect("the program starts"), "Cargo.toml");
}

#[test]
fn a_taken_port_gives_way_to_the_next() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let server = Server::start(&page("taken"), &["--port", &port.to_string()]);
    assert!((1..=100).contains(&(server.port - port)), "{} is not near {port}", server.url);
    assert!(server.get("/").0.starts_with("http/1.1 200"));
}

#[test]
fn what_is_missing_is_named() {
    let folder = page("missing");
    fs::remove_file(folder.join("pkg/web_bg.wasm")).expect("a file of ours");
    let folder = folder.to_str().expect("UTF-8");
    for (arguments, expect) in [
        (&["--www", folder][..], "the page is not built; scripts/build-web.sh builds it"),
        (&["--www", "/nowhere"], "no page (index.html) in /nowhere"),
        (&["--port", "high"], "--port"),
    ] {
        check_refused(&command(arguments).output().expect("the program starts"), expect);
    }
}
