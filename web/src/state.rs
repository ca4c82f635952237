//! What the page knows, as signals: the canonical state, changed only by the methods in `actions.rs`.

use std::sync::Arc;

use leptos::prelude::{Memo, RwSignal};
use sim_core::config::ResolvedEngine;
use sim_core::profile::Profile;
use sim_core::scenario::Scenario;
use sim_core::scenario::command::SetAside;

use crate::answer::Answer;
use crate::detail::{GanttWindow, MeasuredRun, RequestRow};
use crate::gallery::GalleryEntry;

/// Where a profile comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The site's own.
    Gallery,
    /// The user's file, by its name.
    Dropped(String),
    /// A share link carried it.
    Link,
}

/// The profile in use.
#[derive(Debug, Clone)]
pub(crate) struct ProfileChoice {
    /// Its name: letters, digits, dots, dashes, underscores.
    pub(crate) name: String,
    /// The file.
    pub(crate) file: Arc<Vec<u8>>,
    /// What it says.
    pub(crate) profile: Arc<Profile>,
    /// Where it comes from.
    pub(crate) origin: Origin,
}

impl PartialEq for ProfileChoice {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.file == other.file
    }
}

/// The file of the dataset in use.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DatasetFile {
    /// Its name, as `--dataset-path` has it.
    pub(crate) name: String,
    /// Its content.
    pub(crate) content: Arc<Vec<u8>>,
    /// What it was taken for: a sentence.
    pub(crate) summary: String,
}

/// What is being run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RunState {
    /// Nothing.
    Idle,
    /// A run is under way.
    Running {
        /// Requests that ended.
        done: u32,
        /// Requests in all; 0 until known.
        total: u32,
        /// Simulated seconds.
        sim_time: f64,
    },
    /// The last run could not be made: why.
    Failed(String),
    /// The user stopped the last run.
    Cancelled,
}

/// A run that is done, with what it was made from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Run {
    /// What came of it.
    pub(crate) answer: Arc<Answer>,
    /// Its flags.
    pub(crate) scenario: Scenario,
    /// Its profile.
    pub(crate) profile: ProfileChoice,
    /// Its dataset, if that was a file.
    pub(crate) dataset: Option<DatasetFile>,
}

/// How urgent a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoticeKind {
    /// It was done.
    Info,
    /// It was done, but.
    Warn,
    /// It was not done.
    Error,
}

/// Something the user is told until it is dismissed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Tells notices apart.
    pub(crate) id: u32,
    /// How urgent it is.
    pub(crate) kind: NoticeKind,
    /// What is said.
    pub(crate) text: String,
}

/// Every signal of the page. A context: `expect_context::<AppState>()`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AppState {
    /// The flags in the form.
    pub(crate) scenario: RwSignal<Scenario>,
    /// Flags of a pasted command that change nothing here, kept for the command boxes.
    pub(crate) set_aside: RwSignal<Vec<SetAside>>,
    /// The profile; `None` until the first is loaded.
    pub(crate) profile: RwSignal<Option<ProfileChoice>>,
    /// The dataset's file.
    pub(crate) dataset: RwSignal<Option<DatasetFile>>,
    /// The site's profiles.
    pub(crate) gallery: RwSignal<Vec<GalleryEntry>>,
    /// The engine that vLLM would start with, or why it would not; `None` until there is a profile.
    pub(crate) engine: Memo<Option<Result<Arc<ResolvedEngine>, String>>>,
    /// What is being run.
    pub(crate) run_state: RwSignal<RunState>,
    /// The last run that was done.
    pub(crate) current: RwSignal<Option<Run>>,
    /// Whether the form says something else than [`Self::current`] was made from.
    pub(crate) is_stale: Memo<bool>,
    /// The run to compare with.
    pub(crate) pinned: RwSignal<Option<Run>>,
    /// The measurement to compare with.
    pub(crate) measured: RwSignal<Option<Arc<MeasuredRun>>>,
    /// Whether it is the built-in example that is shown.
    pub(crate) is_example: RwSignal<bool>,
    /// Rows of the request table, as asked for last.
    pub(crate) rows: RwSignal<Arc<Vec<RequestRow>>>,
    /// The stretch in the pass view, as asked for last.
    pub(crate) gantt: RwSignal<Option<Arc<GanttWindow>>>,
    /// What the user is told.
    pub(crate) notices: RwSignal<Vec<Notice>>,
}
