//! Pasted commands: what they put into the form, what is told of them, and how it is taken back.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use leptos::prelude::*;
use sim_core::scenario::command::{self, EarlierFlag, Program, ReadCommand, SetAside};
use sim_core::scenario::{DEFAULT_MODEL, Scenario};

use crate::choosing::with_model_of;
use crate::making::{check_whole, known_models};
use crate::models::recognised;
use crate::state::{AppState, NoticeKind, Origin, OwnFile, Source};

/// What came of a command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Taken {
    /// How much there is now.
    pub(crate) lead: String,
    /// What else is to be said: a sentence each.
    pub(crate) lines: Vec<String>,
    /// Flags that it does not name and that stayed.
    pub(crate) kept: Vec<EarlierFlag>,
    /// Whether part of it was not taken, or part of the form has yielded.
    is_partial: bool,
    before: Before,
    after: Scenario,
}

/// The form before a command.
#[derive(Debug, Clone, PartialEq)]
struct Before {
    scenario: Scenario,
    set_aside: Vec<SetAside>,
    own_model: Option<OwnFile>,
    source: Source,
}

/// What the form is since a command was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// As the command left it.
    Taken,
    /// The same, with what was kept set back.
    SetBack,
    /// As it was before the command.
    Undone,
    /// It was changed.
    Changed,
}

impl Taken {
    /// How urgent it is.
    pub(crate) const fn kind(&self) -> NoticeKind {
        if self.is_partial { NoticeKind::Warn } else { NoticeKind::Info }
    }

    /// What became of the form since.
    pub(crate) fn since(&self, now: &Scenario) -> Since {
        if *now == self.after {
            Since::Taken
        } else if *now == self.set_back() {
            Since::SetBack
        } else if *now == self.before.scenario {
            Since::Undone
        } else {
            Since::Changed
        }
    }

    /// The form with vLLM's defaults in place of what was kept.
    fn set_back(&self) -> Scenario {
        let mut scenario = self.after.clone();
        for flag in &self.kept {
            scenario.unset(flag.flag);
        }
        scenario
    }
}

impl AppState {
    async fn apply(self, text: &str) -> Result<Arc<Taken>, String> {
        let before = Before {
            scenario: self.scenario.get_untracked(),
            set_aside: self.set_aside.get_untracked(),
            own_model: self.own_model.get_untracked(),
            source: self.source.get_untracked(),
        };
        let read = command::read(text, &before.scenario).map_err(|error| error.to_string())?;
        if !read.refused.is_empty() {
            let unknown = read.unknown.iter().map(ToString::to_string);
            return Err(read.refused.into_iter().chain(unknown).collect::<Vec<_>>().join("\n"));
        }
        if read.scenario.get("model").is_some() {
            // Without the list the name is taken as it is, and what is wrong is told at the model.
            self.fetch_list().await.ok();
        }
        let (after, about_model, has_other_model) = self.with_model(&read, &before.scenario);
        let lead = match after.given().count() {
            1 => "The form now gives 1 flag.".to_owned(),
            count => format!("The form now gives {count} flags."),
        };
        let is_partial = has_other_model || !read.yielded.is_empty();
        let lines = about_model.into_iter().chain(lines(&read)).collect();
        self.set_aside.update(|set_aside| {
            set_aside.retain(|flag| !read.programs.contains(&flag.program));
            set_aside.extend(read.set_aside);
        });
        self.set_scenario(after.clone());
        Ok(Arc::new(Taken { lead, lines, kept: read.kept, is_partial, before, after }))
    }

    /// Gives what a command left as it was back to vLLM's defaults.
    pub(crate) fn set_kept_back(self, taken: &Taken) {
        self.set_scenario(taken.set_back());
    }

    /// Makes the form what it was before a command.
    pub(crate) fn undo_command(self, taken: &Taken) {
        let Before { scenario, set_aside, own_model, source } = taken.before.clone();
        self.own_model.set(own_model);
        self.set_aside.set(set_aside);
        self.source.set(source);
        self.set_scenario(scenario);
    }

    /// The scenario of a command with the model that it can have, what is to be said of it, and whether it asked for
    /// another.
    fn with_model(self, read: &ReadCommand, before: &Scenario) -> (Scenario, Option<String>, bool) {
        let scenario = &read.scenario;
        let is_server = read.programs.iter().any(|program| *program != Program::BenchServe);
        // A call without a model is of the one that there is.
        let is_named = is_server && read.model.as_deref() == scenario.get("model");
        let Some(name) = scenario.get("model").filter(|_| is_named) else {
            return (scenario.clone(), None, false);
        };
        if self.source.get_untracked() == Source::Whole
            && let Some(choice) = self.profile.get_untracked()
            && let Err(error) = check_whole(scenario, &choice.profile)
        {
            if choice.origin == Origin::Gallery {
                self.source.set(Source::Form);
            } else {
                let told = format!("Model and GPUs stay those of the profile {}: {error}.", choice.name);
                return (with_model_of(scenario, before), Some(told), true);
            }
        }
        let found = known_models().map(|known| {
            known.list.find(name).map(|found| recognised(&found, name)).map_err(|error| error.to_string())
        });
        match found {
            // Their own config.json says what it is, whatever it is called.
            Some(Err(_)) if self.own_model.with_untracked(Option::is_some) => (scenario.clone(), None, false),
            Some(Err(error)) => {
                let told = format!("Model and GPUs stay as they were: {error}.");
                (with_model_of(scenario, before), Some(told), true)
            }
            Some(Ok(other)) => {
                self.own_model.set(None);
                let mut scenario = scenario.clone();
                if name == DEFAULT_MODEL {
                    // What holds without a word is not said: its profile is there already.
                    scenario.unset("model");
                }
                let told = other.map(|other| format!("The model is taken to be {other}."));
                (scenario, told, false)
            }
            None => (scenario.clone(), None, false),
        }
    }
}

/// A command on its way into the form.
pub(crate) type Applying = Pin<Box<dyn Future<Output = Result<Arc<Taken>, String>>>>;

/// Puts the flags of one or several commands into the form. `Ok` tells what was taken; `Err` that nothing was.
pub(crate) fn applying(state: AppState, text: String) -> Applying {
    Box::pin(async move { state.apply(&text).await })
}

/// What is to be said of a command besides what the form shows, the weightiest first.
fn lines(read: &ReadCommand) -> Vec<String> {
    let yielded =
        read.yielded.iter().map(|yielded| format!("Given up for the command: {} ({}).", yielded.flag, yielded.why));
    let unknown = read.unknown.iter().map(|flag| format!("Not taken: {flag}."));
    let left_over = read.left_over.iter().map(|left| format!("Not read: {left}."));
    let set_aside = read.set_aside.iter().map(|flag| format!("{}: set aside, for {}.", flag.flag, flag.why));
    yielded.chain(unknown).chain(left_over).chain(set_aside).collect()
}
