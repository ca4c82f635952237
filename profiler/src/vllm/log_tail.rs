//! What a child process prints: copied into a file if asked, and its last lines kept for an error.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Lines of output that an error shows.
const TAIL_LINES: usize = 12;

/// How long what was printed takes, at most, from the process to its log.
const SETTLING_TIME: Duration = Duration::from_millis(200);

/// The last lines that a process printed.
#[derive(Debug)]
pub(crate) struct LogTail {
    lines: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<JoinHandle<()>>,
    file: Option<Arc<Mutex<File>>>,
}

impl LogTail {
    /// An empty log that is kept in `file`, too.
    ///
    /// # Errors
    /// If `file` cannot be written.
    pub(crate) fn new(file: Option<&Path>) -> Result<Self> {
        let file = file
            .map(|path| File::create(path).with_context(|| format!("--engine-log {}", path.display())))
            .transpose()?
            .map(|file| Arc::new(Mutex::new(file)));
        Ok(Self { lines: Arc::default(), readers: vec![], file })
    }

    /// Reads `printed` to its end on a thread of its own.
    pub(crate) fn follow(&mut self, printed: impl Read + Send + 'static) {
        let (kept, file) = (Arc::clone(&self.lines), self.file.clone());
        self.readers.push(thread::spawn(move || keep_log(printed, file.as_deref(), &kept)));
    }

    /// Waits until everything that was printed has been read: the process must have ended.
    pub(crate) fn read_to_end(&mut self) {
        for reader in self.readers.drain(..) {
            drop(reader.join());
        }
    }

    /// The last lines, each on a line of its own, indented. What was printed just before may still be on its way, so
    /// this waits a moment for it.
    pub(crate) fn last_lines(&self) -> String {
        if self.readers.iter().any(|reader| !reader.is_finished()) {
            thread::sleep(SETTLING_TIME);
        }
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("\n    {line}")).collect()
    }
}

fn keep_log(printed: impl Read, file: Option<&Mutex<File>>, kept: &Mutex<VecDeque<String>>) {
    for line in BufReader::new(printed).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if let Some(file) = file
            && writeln!(file.lock().unwrap_or_else(PoisonError::into_inner), "{line}").is_err()
        {
            // A full disk must not stop the engine.
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if !line.trim().is_empty() {
            kept.push_back(line);
        }
        if kept.len() > TAIL_LINES {
            kept.pop_front();
        }
    }
}
