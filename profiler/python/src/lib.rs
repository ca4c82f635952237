//! The simulator for Python: what `vllm_simulator/__init__.py` gives its names and types to.
//!
//! Runs leave the interpreter to others, and look now and then whether somebody pressed Ctrl-C. What the simulator refuses
//! is a `ValueError` with the command line's words.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use profiler::ask::{Aim, Answer, Ask, LoadKind, Objective, ProfileFile, Run, axis};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Between two looks at whether Ctrl-C was pressed: nobody waits for that noticeably, and no run for the look.
const BETWEEN_SIGNALS: Duration = Duration::from_millis(50);

/// Flags by their names, and what stands beside them.
#[derive(FromPyObject)]
struct Question {
    flags: Vec<(String, Option<String>)>,
    profile_path: Option<PathBuf>,
    profile_json: Option<(String, String)>,
    link: Option<String>,
    tokenizer: Option<PathBuf>,
}

impl Question {
    fn ask(&self) -> Ask<'_> {
        let file = self.profile_path.as_deref().map(ProfileFile::Path);
        let json = self.profile_json.as_ref().map(|(name, text)| ProfileFile::Json { name, text });
        Ask {
            flags: &self.flags,
            profile: file.or(json),
            link: self.link.as_deref(),
            tokenizer: self.tokenizer.as_deref().map(Path::new),
        }
    }
}

/// What is best, and what is tried for it.
#[derive(FromPyObject)]
struct Wanted {
    objective: String,
    by: String,
    num_gpus: u32,
    vary: Vec<(String, Vec<String>)>,
    prices: Option<PathBuf>,
    share: f64,
    num_seeds: u32,
}

impl Wanted {
    fn aim(&self) -> PyResult<Aim> {
        let objective = match self.objective.as_str() {
            "cost" => Objective::Cost,
            "throughput" => Objective::Throughput,
            "interactivity" => Objective::Interactivity,
            "latency" => Objective::Latency,
            other => {
                let words = "one of cost, throughput, interactivity, latency";
                return Err(PyValueError::new_err(format!("objective {other:?}: {words}")));
            }
        };
        Ok(Aim {
            objective,
            kind: load_kind(&self.by)?,
            num_gpus: self.num_gpus,
            vary: self.vary.iter().map(|(flag, values)| axis(flag, values)).collect(),
            share: self.share,
            num_seeds: self.num_seeds,
        })
    }
}

/// A run, kept for what may be asked of it.
#[pyclass(frozen, name = "Run")]
struct NativeRun(Run);

#[pymethods]
impl NativeRun {
    fn json(&self, date: &str) -> PyResult<String> {
        self.0.json(date).map_err(refused)
    }

    fn text(&self) -> String {
        self.0.text()
    }

    fn requests_csv(&self) -> PyResult<String> {
        self.0.requests_csv().map_err(refused)
    }

    fn digest(&self) -> String {
        format!("{:016x}", self.0.digest())
    }

    fn warnings(&self) -> Vec<String> {
        self.0.warnings()
    }
}

#[pyfunction]
fn simulate(py: Python<'_>, question: Question) -> PyResult<NativeRun> {
    let mut interrupt = None;
    let mut looked = Instant::now();
    let is_wanted = || {
        if looked.elapsed() >= BETWEEN_SIGNALS {
            looked = Instant::now();
            interrupt = Python::attach(|py| py.check_signals()).err();
        }
        interrupt.is_none()
    };
    let run = py.detach(|| question.ask().simulate(is_wanted));
    match (interrupt, run) {
        (Some(interrupt), _) => Err(interrupt),
        (None, run) => run.map_err(refused)?.map(NativeRun).ok_or_else(|| PyValueError::new_err("cancelled")),
    }
}

/// The answer as JSON and as text.
#[pyfunction]
fn capacity(py: Python<'_>, question: Question, by: &str, share: f64, num_seeds: u32) -> PyResult<(String, String)> {
    let kind = load_kind(by)?;
    interruptible(py, |is_cancelled| question.ask().capacity(kind, share, num_seeds, is_cancelled))
}

/// The answer as JSON and as text.
#[pyfunction]
fn recommend(py: Python<'_>, question: Question, wanted: Wanted) -> PyResult<(String, String)> {
    let aim = wanted.aim()?;
    interruptible(py, |is_cancelled| question.ask().recommend(&aim, wanted.prices.as_deref(), is_cancelled))
}

/// The answer as JSON and as text.
#[pyfunction]
fn recommend_split(py: Python<'_>, question: Question, wanted: Wanted) -> PyResult<(String, String)> {
    let aim = wanted.aim()?;
    interruptible(py, |is_cancelled| question.ask().recommend_split(&aim, wanted.prices.as_deref(), is_cancelled))
}

fn load_kind(by: &str) -> PyResult<LoadKind> {
    match by {
        "rate" => Ok(LoadKind::Rate),
        "concurrency" => Ok(LoadKind::Concurrency),
        "users" => Ok(LoadKind::Users),
        other => Err(PyValueError::new_err(format!("by {other:?}: one of rate, concurrency, users"))),
    }
}

/// A search that Ctrl-C cancels.
fn interruptible(
    py: Python<'_>,
    search: impl FnOnce(&AtomicBool) -> anyhow::Result<Answer> + Send,
) -> PyResult<(String, String)> {
    let is_cancelled = AtomicBool::new(false);
    let answer = py.detach(|| {
        thread::scope(|scope| {
            let search = scope.spawn(|| search(&is_cancelled));
            let mut interrupt = None;
            while !search.is_finished() {
                thread::park_timeout(BETWEEN_SIGNALS / 10);
                if interrupt.is_none() {
                    interrupt = Python::attach(|py| py.check_signals()).err();
                    is_cancelled.store(interrupt.is_some(), Ordering::Relaxed);
                }
            }
            match (interrupt, search.join()) {
                (Some(interrupt), _) => Err(interrupt),
                (None, Ok(answer)) => answer.map_err(refused),
                (None, Err(_)) => Err(PyValueError::new_err("the search ended before it had an answer")),
            }
        })
    })?;
    Ok((answer.json, answer.text))
}

/// A profile's name and text.
#[pyfunction]
fn compose(py: Python<'_>, question: Question) -> PyResult<(String, String)> {
    py.detach(|| question.ask().compose()).map_err(refused)
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
fn refused(error: anyhow::Error) -> PyErr {
    PyValueError::new_err(format!("{error:#}"))
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<NativeRun>()?;
    module.add_function(wrap_pyfunction!(simulate, module)?)?;
    module.add_function(wrap_pyfunction!(capacity, module)?)?;
    module.add_function(wrap_pyfunction!(recommend, module)?)?;
    module.add_function(wrap_pyfunction!(recommend_split, module)?)?;
    module.add_function(wrap_pyfunction!(compose, module)?)
}
