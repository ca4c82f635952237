//! Messages between the page and its worker; each travels as a [`Parcel`](crate::parcel::Parcel).

use sim_core::answers::capacity::LoadKind;
use sim_core::metrics::figure_ranges::RunRange;
use sim_core::metrics::limits::Limit;
use sim_core::models::ModelConfig;

use crate::answer::{Answer, ProfileCard, RangeAnswer};
use crate::detail::{GanttWindow, MeasuredRun, RequestRow};
use crate::parcel::{choices, records};
pub(crate) use crate::trying::{Tried, Trying};

/// A run to be made: everything it depends on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunInput {
    /// The scenario's flags, as [`sim_core::scenario::Scenario::flags`] gives them.
    pub(crate) flags: Vec<(String, Option<String>)>,
    /// Name of the profile.
    pub(crate) profile_name: String,
    /// The profile file.
    pub(crate) profile: Vec<u8>,
    /// Whether data-parallel ranks of it have experts in common, and so step together.
    pub(crate) is_of_lockstep: bool,
    /// The dataset's file, where it needs one.
    pub(crate) dataset: Option<Vec<u8>>,
}

impl RunInput {
    /// Whether it may be of several engines: what these are is decided where it is simulated.
    fn has_fleet(&self) -> bool {
        const OF_FLEETS: [&str; 6] =
            ["replicas", "replica-fails", "autoscaler", "prefill-replicas", "decode-replicas", "data-parallel-size"];
        self.flags.iter().any(|(flag, _)| OF_FLEETS.contains(&flag.as_str()))
    }
}

/// A setup that many runs are made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// Flags, profile, dataset; rate and limit are replaced.
    pub(crate) input: RunInput,
    /// What is varied.
    pub(crate) kind: LoadKind,
}

/// What the page asks.
#[derive(Debug, Clone, PartialEq)]
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
        /// Of several engines the one of this number among those that answer.
        engine: u32,
    },
    /// A file of the last run.
    Export {
        /// As above.
        id: u32,
        /// Which.
        kind: ExportKind,
        /// Date and time for `vllm bench serve`'s file, `YYYYmmdd-HHMMSS`.
        date: String,
        /// How far the figures may be off, where that is known.
        range: Option<RunRange>,
    },
    /// How far the figures of a run may be off: simulates it at both ends of its profile's range.
    Range {
        /// As above.
        id: u32,
        /// The run.
        input: RunInput,
    },
    /// One run of many that are asked about.
    Try {
        /// As above.
        id: u32,
        /// Number of the setup that is asked about.
        setup: u32,
        /// The setup itself, with the first run of it that this worker makes.
        asked: Option<Asked>,
        /// Which run.
        trying: Trying,
    },
    /// A file or text that was dropped or pasted.
    Read {
        /// As above.
        id: u32,
        /// Its name.
        name: String,
        /// Its content.
        content: Vec<u8>,
    },
}

impl Request {
    /// The number that every reply to this message has.
    #[must_use]
    pub(crate) const fn id(&self) -> u32 {
        match self {
            Self::Run { id, .. }
            | Self::Requests { id, .. }
            | Self::Gantt { id, .. }
            | Self::Export { id, .. }
            | Self::Range { id, .. }
            | Self::Try { id, .. }
            | Self::Read { id, .. } => *id,
        }
    }

    /// What answers it.
    #[must_use]
    pub(crate) fn part(&self) -> Part {
        match self {
            Self::Run { input, .. } if input.has_fleet() => Part::Fleets,
            Self::Try { trying, .. } if trying.is_of_all() => Part::Fleets,
            Self::Run { .. } | Self::Requests { .. } | Self::Gantt { .. } | Self::Range { .. } | Self::Try { .. } => {
                Part::Simulator
            }
            Self::Export { .. } => Part::Files,
            Self::Read { .. } => Part::Reader,
        }
    }
}

/// Parts of the module that answer requests, each fetched with the first request to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Runs.
    Simulator,
    /// Reads what was dropped or pasted.
    Reader,
    /// Writes files of a run.
    Files,
    /// Runs of several engines.
    Fleets,
}

impl Part {
    /// As a number beside the message.
    pub(crate) const READER: u32 = Self::Reader as u32;
    /// As above.
    pub(crate) const FILES: u32 = Self::Files as u32;
    /// As above.
    pub(crate) const FLEETS: u32 = Self::Fleets as u32;
}

/// Files of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExportKind {
    /// `vllm bench serve --save-result`.
    BenchJson,
    /// `--save-result --save-detailed`.
    BenchJsonDetailed,
    /// A row per request.
    RequestCsv,
    /// For ui.perfetto.dev.
    ChromeTrace,
    /// `profiler simulate --replicas-json`.
    EnginesJson,
}

/// What was dropped, and what it is good for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    /// A profile, valid.
    Profile {
        /// What it says of itself.
        card: Box<ProfileCard>,
    },
    /// A model's `config.json`.
    ModelConfig {
        /// The fields that profiles are matched by.
        model: ModelConfig,
        /// What the file calls the model; empty if nothing.
        name: String,
    },
    /// A checkpoint's `hf_quant_config.json`.
    QuantConfig,
    /// A GPU's operators.
    Pack,
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
#[derive(Debug, Clone, PartialEq)]
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
        content: Vec<u8>,
    },
    /// How far a run's figures may be off.
    Range {
        /// That of the request.
        id: u32,
        /// How far.
        range: Box<RangeAnswer>,
    },
    /// One run of many.
    Tried {
        /// That of the request.
        id: u32,
        /// What came of it.
        tried: Tried,
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

records! {
    RunInput { flags, profile_name, profile, is_of_lockstep, dataset }
    Asked { input, kind }
    ModelConfig {
        architecture, model_type, hidden_size, num_hidden_layers, intermediate_size, num_attention_heads,
        num_key_value_heads, head_dim, v_head_dim, vocab_size, dtype, max_position_embeddings, num_experts, kv_lora_rank,
        quantization,
    }
}

choices! {
    Request {
        0 Run { id id, input input }
        1 Requests { id id, sort_by sort_by, descending descending, offset offset, limit limit }
        2 Gantt { id id, range range, width width, max_requests max_requests, engine engine }
        3 Export { id id, kind kind, date date, range range }
        4 Read { id id, name name, content content }
        5 Range { id id, input input };
        6 Try { id id, setup setup, asked asked, trying trying }
    }
    LoadKind {
        0 Rate {}
        1 Concurrency {};
        2 Users {}
    }
    Limit {
        0 KvBlocks {}
        1 BatchSize {}
        2 TokenBudget {};
        3 PrefillInterval {}
    }
    ExportKind {
        0 BenchJson {}
        1 BenchJsonDetailed {}
        2 RequestCsv {}
        3 ChromeTrace {};
        4 EnginesJson {}
    }
    Found {
        0 Profile { card card }
        1 ModelConfig { model model, name name }
        2 Measured { 0 run }
        3 Trace { flags flags, summary summary }
        4 Command { text text }
        5 Link { fragment fragment }
        6 QuantConfig {};
        7 Pack {}
    }
    Reply {
        0 Progress { id id, done done, total total, sim_time sim_time }
        1 Answer { id id, answer answer }
        2 Requests { id id, rows rows }
        3 Gantt { id id, window window }
        4 Export { id id, file_name file_name, media_type media_type, content content }
        5 Found { id id, name name, found found }
        6 Fault { id id, message message }
        7 Range { id id, range range };
        8 Tried { id id, tried tried }
    }
}
