//! The driver's process: started, spoken to line by line, and ended.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::log_tail::LogTail;
use super::protocol;
use super::scratch::scratch_folder;

/// A Python file that a server's recorder needs, too.
pub(crate) const SETTINGS: (&str, &str) =
    ("vllm_simulator_settings.py", include_str!("driver/vllm_simulator_settings.py"));

/// Another.
pub(crate) const MODEL: (&str, &str) = ("vllm_simulator_model.py", include_str!("driver/vllm_simulator_model.py"));

const DRIVER: [(&str, &str); 6] = [
    SETTINGS,
    MODEL,
    ("driver.py", include_str!("driver/driver.py")),
    ("engine_facts.py", include_str!("driver/engine_facts.py")),
    ("refusal.py", include_str!("driver/refusal.py")),
    ("watched_run.py", include_str!("driver/watched_run.py")),
];

/// Longest answer: a run of a million passes.
const MAX_ANSWER_BYTES: u64 = 4 << 30;

/// How long a driver may take to end once nothing more is asked of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A driver that runs.
#[derive(Debug)]
pub(super) struct DriverProcess {
    child: Child,
    /// `None` once it was told that nothing more comes.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    log: LogTail,
    /// The driver's files; removed after it has ended.
    _folder: TempDir,
}

impl DriverProcess {
    /// Starts `python` with the driver; what vLLM prints is kept in `log_file`, too.
    ///
    /// # Errors
    /// If there is no such program, or `log_file` cannot be written.
    pub(super) fn start(python: &Path, log_file: Option<&Path>) -> Result<Self> {
        let mut log = LogTail::new(log_file)?;
        let folder = scratch_folder(&DRIVER)?;
        let mut child = Command::new(python)
            .args(["-B", "-u"])
            .arg(folder.path().join("driver.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!("--python {}: it cannot be run; name the Python that vLLM is installed for", python.display())
            })?;
        let (Some(commands), Some(answers), Some(printed)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            bail!("the driver has no pipes");
        };
        log.follow(printed);
        Ok(Self { child, commands: Some(commands), answers: BufReader::new(answers), log, _folder: folder })
    }

    /// Says `command`.
    pub(super) fn say(&mut self, command: &protocol::Command<'_>) -> Result<()> {
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        let said = self.commands.as_mut().map(|commands| commands.write_all(&line).and_then(|()| commands.flush()));
        match said {
            Some(Ok(())) => Ok(()),
            _ => Err(self.death()),
        }
    }

    /// Waits for what it answers.
    pub(super) fn answer(&mut self) -> Result<protocol::Answer> {
        let mut line = vec![];
        let read = (&mut self.answers).take(MAX_ANSWER_BYTES).read_until(b'\n', &mut line);
        if read.is_err() || line.last() != Some(&b'\n') {
            return Err(self.death());
        }
        serde_json::from_slice(&line).with_context(|| {
            let start: String = String::from_utf8_lossy(&line).chars().take(200).collect();
            format!("the driver's answer is not understood: {start}")
        })
    }

    /// The last lines that vLLM printed, each on a line of its own, indented.
    pub(super) fn last_lines(&self) -> String {
        self.log.last_lines()
    }

    /// The error that the process has ended although it should not.
    fn death(&mut self) -> anyhow::Error {
        self.commands = None;
        let status = self.wait().map_or_else(|| "does not answer".to_owned(), |status| format!("has ended ({status})"));
        self.log.read_to_end();
        anyhow::anyhow!("the Python process {status}; it printed last:{}", self.last_lines())
    }

    fn wait(&mut self) -> Option<std::process::ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

impl Drop for DriverProcess {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.commands = None;
        if self.wait().is_none() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
