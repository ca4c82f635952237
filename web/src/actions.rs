//! What changes the state: the form, comparing, telling.

use std::sync::Arc;

use leptos::prelude::*;
use sim_core::scenario::command::{self, Program};
use sim_core::scenario::{Part, Scenario};

use crate::commands::Taken;
use crate::presets::Preset;
use crate::recipe::Recipe;
use crate::simulation::next_id;
use crate::state::{AppState, Notice, NoticeKind, Source};

impl AppState {
    /// Sets a flag of the form; an empty value forgets it.
    pub(crate) fn set_flag(self, name: &str, value: &str) -> Result<(), String> {
        let mut scenario = self.scenario.get_untracked();
        if value.trim().is_empty() {
            scenario.unset(name);
        } else {
            scenario.set(name, Some(value)).map_err(|error| error.to_string())?;
        }
        self.set_scenario(scenario);
        Ok(())
    }

    /// Forgets a flag.
    pub(crate) fn unset_flag(self, name: &str) {
        let mut scenario = self.scenario.get_untracked();
        scenario.unset(name);
        self.set_scenario(scenario);
    }

    /// Forgets every flag of a part.
    pub(crate) fn reset_part(self, part: Part) {
        let mut scenario = self.scenario.get_untracked();
        let names: Vec<&str> =
            scenario.given().filter(|(flag, _)| flag.part == part).map(|(flag, _)| flag.name).collect();
        for name in names {
            scenario.unset(name);
        }
        self.set_scenario(scenario);
    }

    /// Replaces workload and report by a preset's.
    pub(crate) fn load_preset(self, preset: &Preset) {
        let mut scenario = self.scenario.get_untracked();
        let parts = [Part::Workload, Part::Report];
        let given: Vec<&str> =
            scenario.given().filter(|(flag, _)| parts.contains(&flag.part)).map(|(flag, _)| flag.name).collect();
        for name in given {
            scenario.unset(name);
        }
        for (name, value) in preset.flags {
            if let Err(error) = scenario.set(name, Some(value)) {
                self.notify(NoticeKind::Error, &format!("preset {}: {error}", preset.name));
            }
        }
        self.dataset.set(None);
        self.set_scenario(scenario);
    }

    pub(crate) fn set_scenario(self, scenario: Scenario) {
        if self.scenario.with_untracked(|old| *old != scenario) {
            self.is_example.set(false);
            self.scenario.set(scenario);
        }
    }

    /// The form as a command.
    pub(crate) fn command_text(self, program: Program) -> String {
        self.scenario.with(|scenario| self.command_of(program, scenario))
    }

    /// `scenario` as a command, on the profile in use.
    pub(crate) fn command_of(self, program: Program, scenario: &Scenario) -> String {
        let whole = self.profile.with(|choice| choice.clone().filter(|_| self.source.get() == Source::Whole));
        let target = match (program, whole) {
            (Program::Simulate, whole) => whole.map(|choice| format!("{}.json", choice.name)),
            (_, Some(choice)) => Some(choice.profile.model.name.clone()),
            (_, None) => {
                let own = self.own_model.with(|own| own.as_ref().map(|own| own.name.clone()));
                own.or_else(|| Some(self.recipe.with(Recipe::model_name)))
            }
        };
        let target = target.unwrap_or_default();
        self.set_aside.with(|set_aside| command::write(program, scenario, &target, set_aside))
    }

    /// Keeps the last run to compare with.
    pub(crate) fn pin(self) {
        self.pinned.set(self.current.get_untracked());
    }

    /// Compares no longer.
    pub(crate) fn unpin(self) {
        self.pinned.set(None);
    }

    /// Compares with no measurement any longer.
    pub(crate) fn clear_measured(self) {
        self.measured.set(None);
    }

    /// Tells the user something.
    pub(crate) fn notify(self, kind: NoticeKind, text: &str) {
        self.push_notice(Notice { id: next_id(), kind, text: text.to_owned(), taken: None });
    }

    /// Tells the user what came of a command, and asks about what it does not say.
    pub(crate) fn notify_taken(self, name: &str, taken: Arc<Taken>) {
        let text = format!("Read {name} as a command. {}", taken.lead);
        self.push_notice(Notice { id: next_id(), kind: taken.kind(), text, taken: Some(taken) });
    }

    fn push_notice(self, notice: Notice) {
        self.notices.update(|notices| {
            notices.retain(|old| old.text != notice.text);
            notices.push(notice);
            if notices.len() > 5 {
                notices.remove(0);
            }
        });
    }

    /// Takes a notice away.
    pub(crate) fn dismiss(self, id: u32) {
        self.notices.update(|notices| notices.retain(|notice| notice.id != id));
    }
}
