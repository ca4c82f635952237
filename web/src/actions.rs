//! What changes the state: the form, comparing, telling.

use leptos::prelude::*;
use sim_core::scenario::command::{self, Program};
use sim_core::scenario::{Part, Scenario};

use crate::files;
use crate::presets::Preset;
use crate::simulation::next_id;
use crate::state::{AppState, Notice, NoticeKind};

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

    /// Puts the flags of one or several commands into the form. `Ok` tells what was taken; `Err` that nothing was.
    pub(crate) fn apply_command(self, text: &str) -> Result<String, String> {
        let before = self.scenario.get_untracked();
        let read = command::read(text, &before).map_err(|error| error.to_string())?;
        if !read.refused.is_empty() {
            let unknown = read.unknown.iter().map(ToString::to_string);
            return Err(read.refused.into_iter().chain(unknown).collect::<Vec<_>>().join("\n"));
        }
        let mut told = match read.scenario.given().count() {
            1 => "The form now gives 1 flag.".to_owned(),
            count => format!("The form now gives {count} flags."),
        };
        for flag in &read.unknown {
            told.push_str(&format!("\nNot taken: {flag}."));
        }
        for flag in &read.set_aside {
            told.push_str(&format!("\n{}: set aside, for {}.", flag.flag, flag.why));
        }
        let served = self.profile.with_untracked(|choice| choice.as_ref().map(|c| c.profile.model.name.clone()));
        if let (Some(model), Some(served)) = (&read.model, served)
            && *model != served
        {
            told.push_str(&format!("\nThe command serves {model}; the profile in use is of {served}."));
        }
        self.set_aside.set(read.set_aside);
        self.set_scenario(read.scenario);
        Ok(told)
    }

    /// The form as a command.
    pub(crate) fn command_text(self, program: Program) -> String {
        let target = self.profile.with(|choice| {
            let choice = choice.as_ref();
            match program {
                Program::Simulate => choice
                    .filter(|choice| choice.name != crate::gallery::DEFAULT_PROFILE)
                    .map(|choice| format!("{}.json", choice.name)),
                _ => choice.map(|choice| choice.profile.model.name.clone()),
            }
        });
        let target = target.unwrap_or_default();
        self.scenario
            .with(|scenario| self.set_aside.with(|set_aside| command::write(program, scenario, &target, set_aside)))
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

    /// Downloads what stands in the form as a file that can be dropped again: the share link's fragment.
    pub(crate) fn export_scenario(self) {
        let text = format!("{}\n", self.share().fragment);
        if let Err(error) = files::download("scenario.vllmsim.txt", "text/plain", text.as_bytes()) {
            self.notify(NoticeKind::Error, &format!("scenario.vllmsim.txt: {}", files::message(&error)));
        }
    }

    /// Tells the user something.
    pub(crate) fn notify(self, kind: NoticeKind, text: &str) {
        let notice = Notice { id: next_id(), kind, text: text.to_owned() };
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
