//! Messages between the page and its worker, through `serde-wasm-bindgen`.

use serde::{Deserialize, Serialize};

use crate::answer::{Answer, GanttWindow, MeasuredRun, RequestRow};

/// A run to be made: everything it depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunInput {
    /// The scenario's flags, as [`sim_core::scenario::Scenario::flags`] gives them.
    pub(crate) flags: Vec<(String, Option<String>)>,
    /// Name of the profile.
    pub(crate) profile_name: String,
    /// The profile file.
    #[serde(with = "serde_bytes")]
    pub(crate) profile: Vec<u8>,
    /// The dataset's file, where it needs one.
    pub(crate) dataset: Option<serde_bytes::ByteBuf>,
}

/// What the page asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Simulate; answered by any number of [`Reply::Progress`], then [`Reply::Answer`] or [`Reply::Fault`].
    Run {
        /// Comes back with every reply to this message.
        id: u32,
        /// What to run.
        input: RunInput,
    },
    /// Rows of the last run's request table.
    Requests {
        /// As above.
        id: u32,
        /// A field of [`RequestRow`].
        sort_by: String,
        /// Largest first.
        descending: bool,
        /// Rows to leave out.
        offset: u32,
        /// Rows at most.
        limit: u32,
    },
    /// A stretch of the last run.
    Gantt {
        /// As above.
        id: u32,
        /// Begin and end in seconds; `None`: the first stretch worth looking at.
        range: Option<(f64, f64)>,
        /// Pixels across.
        width: u32,
        /// Requests at most.
        max_requests: u32,
    },
    /// A file of the last run.
    Export {
        /// As above.
        id: u32,
        /// Which.
        kind: ExportKind,
        /// Date and time for `vllm bench serve`'s file, `YYYYmmdd-HHMMSS`.
        date: String,
    },
    /// A file or text that was dropped or pasted.
    Read {
        /// As above.
        id: u32,
        /// Its name.
        name: String,
        /// Its content.
        #[serde(with = "serde_bytes")]
        content: Vec<u8>,
    },
}

/// Files of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ExportKind {
    /// `vllm bench serve --save-result`.
    BenchJson,
    /// `--save-result --save-detailed`.
    BenchJsonDetailed,
    /// A row per request.
    RequestCsv,
    /// For ui.perfetto.dev.
    ChromeTrace,
}

/// What was dropped, and what it is good for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Found {
    /// A profile, valid.
    Profile {
        /// What it says of itself.
        card: Box<crate::answer::ProfileCard>,
    },
    /// A model's `config.json`.
    ModelConfig {
        /// The fields that profiles are matched by.
        model: sim_core::scenario::ModelConfig,
    },
    /// A result of `vllm bench serve`.
    Measured(Box<MeasuredRun>),
    /// A dataset, with the flags that read it.
    Trace {
        /// Flags to set, `dataset-name` among them.
        flags: Vec<(String, Option<String>)>,
        /// One sentence: format, requests, span, mean lengths.
        summary: String,
    },
    /// A command line, or several.
    Command {
        /// The text.
        text: String,
    },
    /// A share link.
    Link {
        /// Its fragment.
        fragment: String,
    },
}

/// What the worker says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// A run goes on.
    Progress {
        /// That of the request.
        id: u32,
        /// Requests that ended.
        done: u32,
        /// Requests in all.
        total: u32,
        /// Simulated time in seconds.
        sim_time: f64,
    },
    /// A run's end.
    Answer {
        /// That of the request.
        id: u32,
        /// What came of it.
        answer: Box<Answer>,
    },
    /// Rows.
    Requests {
        /// That of the request.
        id: u32,
        /// The rows.
        rows: Vec<RequestRow>,
    },
    /// A stretch.
    Gantt {
        /// That of the request.
        id: u32,
        /// The stretch.
        window: Box<GanttWindow>,
    },
    /// A file.
    Export {
        /// That of the request.
        id: u32,
        /// Its proposed name.
        file_name: String,
        /// Its media type.
        media_type: String,
        /// Its content.
        #[serde(with = "serde_bytes")]
        content: Vec<u8>,
    },
    /// What a file was taken for.
    Found {
        /// That of the request.
        id: u32,
        /// Its name.
        name: String,
        /// What it is.
        found: Found,
    },
    /// It could not be done. Nothing has changed.
    Fault {
        /// That of the request.
        id: u32,
        /// What is wrong: field, value, limit, and where to look.
        message: String,
    },
}
