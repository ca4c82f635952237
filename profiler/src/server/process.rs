//! `vllm serve` as a child process: started, waited for, and ended with everything it started.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::event_loop::EventLoopTime;
use crate::vllm::log_tail::LogTail;
use crate::vllm::model::ModelDir;
use crate::vllm::scratch::scratch_folder;
use crate::vllm::{EngineOptions, MODEL, SETTINGS, check_flags};

const LAUNCHER: (&str, &str) = ("vllm_simulator_serve.py", include_str!("vllm_simulator_serve.py"));
const RECORDER: (&str, &str) = ("vllm_simulator_recorder.py", include_str!("vllm_simulator_recorder.py"));
const SCHEDULER_CLASS: &str = "vllm_simulator_recorder.RecordingScheduler";
/// The environment variable that tells the recorder its file.
const RECORDING_VARIABLE: &str = "VLLM_SIMULATOR_RECORDING";
/// The one that tells the launcher where to add up the time of the engine core's outputs.
const OUTPUTS_VARIABLE: &str = "VLLM_SIMULATOR_OUTPUTS";

/// Flags that decide how a client gets through, which is this program.
const OWN_FLAGS: [&str; 8] =
    ["--host", "--port", "--uds", "--api-key", "--root-path", "--ssl-keyfile", "--ssl-certfile", "--served-model-name"];

/// Between two looks whether the server is up.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long the processes may take to end once they are asked to.
const PATIENCE_AT_END: Duration = Duration::from_secs(5);

/// A server that is up.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    /// Its end tells the launcher that this program is gone.
    _stdin: Option<ChildStdin>,
    group: Pid,
    log: LogTail,
    address: SocketAddr,
    folder: Folder,
    /// Removed when the server ends, if it was made for it.
    _model: ModelDir,
}

impl ServerProcess {
    /// Starts a server with the recording scheduler and waits until it answers, at most `patience`; `waiting` is called
    /// now and then with the time spent so far.
    ///
    /// # Errors
    /// If a flag is not simulated, there is no such Python, or the server ends or is not up in time: then with the last
    /// lines that it printed.
    pub(crate) fn start(
        options: &EngineOptions,
        patience: Duration,
        mut waiting: impl FnMut(Duration),
    ) -> Result<Self> {
        check_flags(&options.flags)?;
        for flag in &options.flags {
            let name = flag.split('=').next().unwrap_or_default().replace('_', "-");
            ensure!(!OWN_FLAGS.contains(&name.as_str()), "{name}: how the client gets through is decided here");
        }
        let model = ModelDir::with_tokenizer(&options.model)?;
        let folder = Folder::new()?;
        let mut log = LogTail::new(options.engine_log.as_deref())?;
        let address = free_address()?;
        // One pipe for both, so that the last lines are the last; the command's ends of it close with the command.
        let (printed, output) = std::io::pipe().context("a pipe")?;
        let mut command = command(options, &model, &folder, address);
        command.stdout(output.try_clone().context("a pipe")?).stderr(output);
        let mut child = command.spawn().with_context(|| {
            let python = options.python.display();
            format!("--python {python}: it cannot be run; name the Python that vLLM is installed for")
        })?;
        drop(command);
        log.follow(printed);
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("the server has no process id")?;
        let stdin = child.stdin.take();
        let mut server = Self { child, _stdin: stdin, group, log, address, folder, _model: model };
        server.wait_until_up(patience, &mut waiting)?;
        Ok(server)
    }

    fn wait_until_up(&mut self, patience: Duration, waiting: &mut dyn FnMut(Duration)) -> Result<()> {
        let start = Instant::now();
        while !is_healthy(self.address) {
            self.check()?;
            if start.elapsed() > patience {
                bail!(
                    "vllm serve is not up after {} s; --server-timeout gives it longer; it printed last:{}",
                    patience.as_secs(),
                    self.log.last_lines()
                );
            }
            waiting(start.elapsed());
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// # Errors
    /// If the server has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait().context("the state of vllm serve")? {
            Some(status) => Err(self.death(status)),
            None => Ok(()),
        }
    }

    fn death(&mut self, status: ExitStatus) -> anyhow::Error {
        // A process that outlives the server would hold its output open.
        self.end_group(Signal::KILL);
        self.log.read_to_end();
        anyhow!("vllm serve has ended ({status}); it printed last:{}", self.log.last_lines())
    }

    /// How long its event loop has worked so far; `None` where the system does not tell.
    pub(crate) fn event_loop_time(&self) -> Option<EventLoopTime> {
        EventLoopTime::read(self.child.id(), &self.folder.outputs())
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file that the scheduler is recorded in.
    pub(crate) fn recording_path(&self) -> PathBuf {
        self.folder.recording()
    }

    /// The last lines that it printed.
    pub(crate) fn last_lines(&self) -> String {
        self.log.last_lines()
    }

    fn end_group(&self, signal: Signal) {
        if kill_process_group(self.group, signal).is_err() {
            // Nobody is left: that is what is wanted.
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.end_group(Signal::TERM);
        let start = Instant::now();
        while start.elapsed() < PATIENCE_AT_END && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(20));
        }
        self.end_group(Signal::KILL);
        drop(self.child.wait());
    }
}

fn command(options: &EngineOptions, model: &ModelDir, folder: &Folder, address: SocketAddr) -> Command {
    let mut command = Command::new(&options.python);
    command.arg("-u").arg(folder.path().join(LAUNCHER.0)).arg("serve").arg(model.path());
    command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
    command.args(["--scheduler-cls", SCHEDULER_CLASS]);
    if model.is_built_in() {
        command.args(["--load-format", "dummy"]);
    }
    command.args(&options.flags);
    let path = match std::env::var("PYTHONPATH") {
        Ok(others) if !others.is_empty() => format!("{}:{others}", folder.path().display()),
        _ => folder.path().display().to_string(),
    };
    command.env("PYTHONPATH", path).env(RECORDING_VARIABLE, folder.recording());
    command.env(OUTPUTS_VARIABLE, folder.outputs());
    for (name, value) in [("HF_HUB_OFFLINE", "1"), ("VLLM_NO_USAGE_STATS", "1"), ("VLLM_DO_NOT_TRACK", "1")] {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    // A group of its own, so that all of vLLM's processes can be ended at once.
    command.stdin(Stdio::piped()).process_group(0);
    command
}

/// A loopback address that nobody listens on now.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port on 127.0.0.1")?;
    listener.local_addr().context("the port that was found")
}

/// Whether `GET /health` is answered with 200.
fn is_healthy(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(start.starts_with(b"HTTP/1.") && start.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

/// The Python files and the recording, removed at the end.
#[derive(Debug)]
struct Folder(TempDir);

impl Folder {
    fn new() -> Result<Self> {
        scratch_folder(&[LAUNCHER, RECORDER, SETTINGS, MODEL]).map(Self)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn recording(&self) -> PathBuf {
        self.path().join("recording.jsonl")
    }

    fn outputs(&self) -> PathBuf {
        self.path().join("outputs.txt")
    }
}

/// For tests: a program in place of Python.
#[cfg(test)]
fn fake_python(folder: &Path, script: &str) -> PathBuf {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("python");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a temporary file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our file");
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(script: &str, patience: Duration, flags: &[&str], expected: &[&str]) -> Duration {
        let folder = Folder::new().expect("a temporary folder");
        let options = EngineOptions {
            python: fake_python(folder.path(), script),
            model: "llama-1m".to_owned(),
            engine_log: None,
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
        };
        let start = Instant::now();
        let error = ServerProcess::start(&options, patience, |_| ()).expect_err("no server");
        let message = format!("{error:#}");
        for words in expected {
            assert!(message.contains(words), "{words:?} is not in {message}");
        }
        start.elapsed()
    }

    #[test]
    fn a_server_that_dies_at_start_is_told_with_its_last_lines() {
        let script = "for i in $(seq 1 30); do echo line $i; done; echo 'no such model' >&2; exit 3";
        check(script, Duration::from_secs(20), &[], &["has ended", "exit status: 3", "no such model"]);
    }

    #[test]
    fn a_server_that_never_answers_is_ended_with_its_children() {
        // A child deaf to SIGTERM that holds the output open.
        let script = "(trap '' TERM; sleep 60) & echo loading; sleep 60";
        let took = check(script, Duration::from_millis(500), &[], &["not up after", "--server-timeout", "loading"]);
        assert!(took < Duration::from_secs(20), "{took:?}");
    }

    #[test]
    fn flags_that_are_decided_here_or_not_simulated_are_refused() {
        let never = "exit 1";
        check(never, Duration::ZERO, &["--port=1"], &["--port", "decided here"]);
        check(never, Duration::ZERO, &["--enable-lora"], &["--enable-lora is not simulated"]);
        check(never, Duration::ZERO, &["--scheduler-cls", "mine.Mine"], &["--scheduler-cls is not simulated"]);
    }

    #[test]
    fn a_python_that_is_not_there_is_named() {
        let options = EngineOptions {
            python: PathBuf::from("/nowhere/python"),
            model: "llama-1m".to_owned(),
            engine_log: None,
            flags: vec![],
        };
        let error = ServerProcess::start(&options, Duration::ZERO, |_| ()).expect_err("no Python");
        assert!(format!("{error:#}").contains("--python /nowhere/python"), "{error:#}");
    }
}
