//! What the page knows, as signals: the canonical state, changed only by the methods in `actions.rs`.

use std::sync::Arc;

use leptos::prelude::{Get, GetUntracked, Memo, RwSignal, Set};
use sim_core::config::ResolvedEngine;
use sim_core::profile::Profile;
use sim_core::scenario::command::SetAside;
use sim_core::scenario::{Asking, Scenario};

use crate::answer::{Answer, RangeAnswer};
use crate::commands::Taken;
use crate::detail::{GanttWindow, MeasuredRun, RequestRow};
use crate::gallery::GalleryEntry;
use crate::profiles::Profiles;
use crate::recipe::Recipe;

/// Where a profile comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Origin {
    /// It was composed of what the form says of model and GPU; the first visit's was made before.
    Composed(Box<Recipe>),
    /// The site's own, measured as a whole.
    Gallery,
    /// The user's file, by its name.
    Dropped(String),
    /// A share link carried it.
    Link,
}

/// Where the profile is to come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Source {
    /// Nothing is opened yet.
    #[default]
    Unset,
    /// It is composed of what the form says.
    Form,
    /// It is a file's, a link's or the site's, whatever the form says of model and GPU.
    Whole,
}

/// A [`Source`] as a signal; as a number, for each type of a signal is code of its own in what a first visit loads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourceSignal(RwSignal<u32>);

impl SourceSignal {
    pub(crate) fn new() -> Self {
        Self(RwSignal::new(0))
    }

    const fn of(number: u32) -> Source {
        match number {
            0 => Source::Unset,
            1 => Source::Form,
            _ => Source::Whole,
        }
    }

    pub(crate) fn get(self) -> Source {
        Self::of(self.0.get())
    }

    pub(crate) fn get_untracked(self) -> Source {
        Self::of(self.0.get_untracked())
    }

    pub(crate) fn set(self, source: Source) {
        let number = match source {
            Source::Unset => 0,
            Source::Form => 1,
            Source::Whole => 2,
        };
        if self.0.get_untracked() != number {
            self.0.set(number);
        }
    }
}

/// A model or a GPU of the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnFile {
    /// What it is, in a few words.
    pub(crate) name: String,
    /// The file's name.
    pub(crate) file_name: String,
    /// Its content.
    pub(crate) content: Arc<Vec<u8>>,
}

/// How far a profile of what stands in the form is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Making {
    /// It is there, or nothing is to be made.
    #[default]
    Idle,
    /// A file is on its way: what it is, and bytes so far.
    Loading(String, u32),
    /// The worker composes it.
    Composing,
    /// It cannot be made.
    Failed {
        /// Why.
        message: String,
        /// Names of models that may be meant.
        suggestions: Vec<String>,
        /// Whether it may be there at another try.
        can_retry: bool,
    },
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
    /// Whether it is of one of several data-parallel ranks that have experts in common, and so step together.
    pub(crate) is_of_lockstep: bool,
    /// What has read it.
    pub(crate) profiles: Profiles,
}

impl PartialEq for ProfileChoice {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.is_of_lockstep == other.is_of_lockstep && self.file == other.file
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
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notice {
    /// Tells notices apart.
    pub(crate) id: u32,
    /// How urgent it is.
    pub(crate) kind: NoticeKind,
    /// What is said.
    pub(crate) text: String,
    /// The command that it is about, if it is about one.
    pub(crate) taken: Option<Arc<Taken>>,
}

/// Every signal of the page. A context: `expect_context::<AppState>()`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AppState {
    /// What is asked about them.
    pub(crate) asking: RwSignal<Asking>,
    /// The flags in the form.
    pub(crate) scenario: RwSignal<Scenario>,
    /// Flags of a pasted command that change nothing here, kept for the command boxes.
    pub(crate) set_aside: RwSignal<Vec<SetAside>>,
    /// The profile; `None` until the first is loaded. While another is made it is the one before.
    pub(crate) profile: RwSignal<Option<ProfileChoice>>,
    /// Where it is to come from.
    pub(crate) source: SourceSignal,
    /// The user's own model, in place of `--model`.
    pub(crate) own_model: RwSignal<Option<OwnFile>>,
    /// The user's own GPU, in place of `--gpu`.
    pub(crate) own_gpu: RwSignal<Option<OwnFile>>,
    /// What the form says of model and GPU.
    pub(crate) recipe: Memo<Recipe>,
    /// Whether the profile is what the form says.
    pub(crate) is_made: Memo<bool>,
    /// How far it is.
    pub(crate) making: RwSignal<Making>,
    /// Counts what is loaded or found out: the list of models, packs, which numbers of GPUs are enough.
    pub(crate) num_loaded: RwSignal<u32>,
    /// The dataset's file.
    pub(crate) dataset: RwSignal<Option<DatasetFile>>,
    /// The site's profiles that are whole.
    pub(crate) gallery: RwSignal<Vec<GalleryEntry>>,
    /// The engine that vLLM would start with, or why it would not; `None` until there is a profile.
    pub(crate) engine: Memo<Option<Result<Arc<ResolvedEngine>, String>>>,
    /// What is being run.
    pub(crate) run_state: RwSignal<RunState>,
    /// The last run that was done.
    pub(crate) current: RwSignal<Option<Run>>,
    /// How far the figures of [`Self::current`] may be off, once that is known.
    pub(crate) range: RwSignal<Option<Arc<RangeAnswer>>>,
    /// Whether the user wishes to see that; `None` if nothing was said.
    pub(crate) range_wish: RwSignal<Option<bool>>,
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
