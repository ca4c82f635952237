//! What changes the form: a part that comes right after it, for it reads the values of all flags, makes profiles of them and
//! begins runs. What the user does before it is there is done then, in its order.

use sim_core::scenario::examples::Example;
use sim_core::scenario::{DatasetName, Part};

use crate::parts::part;
use crate::presets::Preset;
use crate::state::{AppState, NoticeKind};

/// The part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Editing {
    pub(crate) set_flag: fn(AppState, &str, &str) -> Result<(), String>,
    pub(crate) set_bound: fn(AppState, &str, &str) -> Result<(), String>,
    pub(crate) unset_flag: fn(AppState, &str),
    pub(crate) reset_part: fn(AppState, Part),
    pub(crate) load_preset: fn(AppState, &Preset),
    pub(crate) choose_dataset: fn(AppState, DatasetName),
    pub(crate) clear_dataset: fn(AppState),
    pub(crate) choose_model: fn(AppState, &str) -> Result<(), String>,
    pub(crate) choose_example: fn(AppState, &Example),
    pub(crate) choose_profile: fn(AppState, &str),
    pub(crate) load_gallery: fn(AppState),
    pub(crate) leave_whole: fn(AppState),
    pub(crate) load_models: fn(AppState),
    pub(crate) prepare: fn(AppState),
    pub(crate) compose: fn(AppState),
    pub(crate) ask_fits: fn(AppState),
    pub(crate) run: fn(AppState),
    pub(crate) cancel: fn(AppState),
    pub(crate) ask_reader: fn(AppState, String, Vec<u8>),
}

part! {
    /// What changes the form.
    fn editing() -> Editing {
        Editing {
            set_flag: AppState::set_flag,
            set_bound: AppState::set_bound,
            unset_flag: AppState::unset_flag,
            reset_part: AppState::reset_part,
            load_preset: AppState::load_preset,
            choose_dataset: AppState::choose_dataset,
            clear_dataset: AppState::clear_dataset,
            choose_model: AppState::choose_model,
            choose_example: AppState::choose_example,
            choose_profile: AppState::choose_profile,
            load_gallery: AppState::load_gallery,
            leave_whole: AppState::leave_whole,
            load_models: AppState::load_models,
            prepare: AppState::prepare,
            compose: AppState::compose,
            ask_fits: AppState::ask_fits,
            run: AppState::begin_run,
            cancel: AppState::stop_run,
            ask_reader: AppState::ask_reader,
        }
    } in profiles
}

impl AppState {
    /// Does `act` with what changes the form, as soon as that is there.
    pub(crate) fn edit(self, act: impl FnOnce(&Editing) + 'static) {
        edit(Box::new(act), Some(self));
    }
}

/// The same of what nobody has asked for: what does not come is not told.
pub(crate) fn edit_unasked(act: impl FnOnce(&Editing) + 'static) {
    edit(Box::new(act), None);
}

fn edit(act: Box<dyn FnOnce(&Editing)>, told: Option<AppState>) {
    leptos::task::spawn_local(async move {
        match (editing().await, told) {
            (Ok(editing), _) => act(&editing),
            (Err(missing), Some(state)) => {
                state.notify(NoticeKind::Error, &format!("Nothing was changed: {missing}."));
            }
            (Err(_), None) => {}
        }
    });
}
