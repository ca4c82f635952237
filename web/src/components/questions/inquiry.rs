//! What questions over many runs are asked about: what stands in the form, but for the load.

use leptos::prelude::*;
use sim_core::answers::capacity::{LoadKind, Question, TrialError};
use sim_core::scenario::{AskedBy, AskedFor, DatasetName, Scenario};

use crate::protocol::Asked;
use crate::simulation::input_of;
use crate::state::{AppState, DatasetFile, ProfileChoice};

/// Share of the requests that must meet the objectives, unless the link or the user says otherwise.
pub(super) const DEFAULT_SHARE: f64 = 0.99;
/// Runs at each load, likewise.
pub(super) const DEFAULT_SEEDS: u32 = 5;

/// Flags that a search sets by itself, or that only say what is reported.
const NOT_ASKED: [&str; 8] = [
    "request-rate",
    "max-concurrency",
    "num-users",
    "ramp-up-strategy",
    "ramp-up-start-rps",
    "ramp-up-end-rps",
    "percentile-metrics",
    "metric-percentiles",
];

/// Why users cannot be counted over a workload in which nobody asks again.
pub(super) const NEED_SESSIONS: &str = "Users read, think, and ask again: count them over conversations, which are the \
     dataset \"sessions\" under \"Workload & SLO\".";

const fn kind_of(by: AskedBy) -> LoadKind {
    match by {
        AskedBy::Rate => LoadKind::Rate,
        AskedBy::Concurrency => LoadKind::Concurrency,
        AskedBy::Users => LoadKind::Users,
    }
}

/// How far an answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    /// The answer is there, or nothing is asked.
    Idle,
    /// Runs are made.
    Running,
    /// The user stopped it.
    Cancelled,
    /// It cannot be answered: why.
    Failed(String),
}

/// All that an answer depends on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Inquiry {
    pub(super) scenario: Scenario,
    pub(super) question: Question,
    pub(super) profile: ProfileChoice,
    pub(super) dataset: Option<DatasetFile>,
}

impl Inquiry {
    /// What stands in the form; `None` while another question is asked than `of`, or the profile is not there. Followed.
    pub(super) fn of(state: AppState, of: AskedFor, num_seeds: u32) -> Option<Self> {
        let asking = state.asking.get();
        let is_made = state.is_made.get();
        let mut scenario = state.scenario.get();
        let profile = state.profile.get();
        state.dataset.track();
        if asking.question != of || !is_made {
            return None;
        }
        let dataset = state.dataset_of(&scenario);
        for flag in NOT_ASKED {
            scenario.unset(flag);
        }
        let question = Question {
            kind: kind_of(asking.by),
            dataset: scenario.workload().dataset_name(),
            goodput: scenario.report().goodput(),
            required_share: asking.share.unwrap_or(DEFAULT_SHARE),
            num_seeds: asking.num_seeds.unwrap_or(num_seeds),
        };
        Some(Self { scenario, question, profile: profile?, dataset })
    }

    /// Whether it can be answered.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.question.kind == LoadKind::Users && self.question.dataset != DatasetName::Sessions {
            return Err(NEED_SESSIONS.to_owned());
        }
        if self.question.kind.is_closed() && self.question.goodput.is_empty() {
            let who = if self.question.kind == LoadKind::Users { "Users" } else { "Requests at once" };
            return Err(format!(
                "{who} need objectives: any number of them is answered in the end. Give TTFT, TPOT or E2EL under \
                 \"Workload & SLO\", or ask for requests per second."
            ));
        }
        Ok(())
    }

    /// Whether requests come at the load that is varied, and not at times of their own.
    ///
    /// # Errors
    /// What the dataset is, and what to do.
    pub(super) fn check_times(&self) -> Result<(), String> {
        let dataset = self.scenario.workload().dataset_name();
        if dataset.has_times() && self.scenario.get("self-timed") != Some("false") {
            return Err(TrialError::TimedDataset(dataset.name().to_owned()).to_string());
        }
        Ok(())
    }

    /// The dataset's file, where there is one.
    ///
    /// # Errors
    /// Why it cannot be fetched.
    pub(super) async fn dataset(&self) -> Result<Option<Vec<u8>>, String> {
        let input = input_of(&self.scenario, &self.profile, self.dataset.as_ref()).await?;
        Ok(input.dataset)
    }

    /// The setup that `scenario` makes on its profile.
    ///
    /// # Errors
    /// Why the dataset cannot be fetched.
    pub(super) async fn asked(&self, scenario: &Scenario) -> Result<Asked, String> {
        let input = input_of(scenario, &self.profile, self.dataset.as_ref()).await?;
        Ok(Asked { input, kind: self.question.kind })
    }
}
