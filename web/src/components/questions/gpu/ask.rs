//! Which GPU: the model in the form on each GPU that was measured, on one, two, four and eight of them.

use std::rc::Rc;

use leptos::prelude::*;
use sim_core::operators::gpu_table;
use sim_core::scenario::{AskedFor, Scenario};

use super::composing::Composing;
use crate::components::questions::inquiry::{Inquiry, Status};
use crate::components::questions::lanes::lanes;
use crate::files::now_ms;
use crate::fitting::NUM_GPUS;
use crate::pool::{Stopped, Wish};
use crate::protocol::{Asked, RunInput};
use crate::recipe::Recipe;
use crate::searching::search;
use crate::state::{AppState, OwnFile, Source};

/// Runs at each load, unless somebody says otherwise: GPUs differ by more than seeds do.
pub(super) const ONE_SEED: u32 = 1;

/// A GPU, and what comes of each number of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) key: String,
    pub(super) label: String,
    /// For each of [`NUM_GPUS`]: `None` until it is known; else what is carried, or why there is no such setup.
    pub(super) carried: [Option<Result<Option<f64>, String>>; NUM_GPUS.len()],
}

/// All that the answer depends on.
#[derive(Debug, Clone, PartialEq)]
struct Key {
    inquiry: Inquiry,
    recipe: Recipe,
    model: Option<OwnFile>,
}

/// The question, its answer, and what is under way. A handle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gpus {
    pub(super) rows: RwSignal<Vec<Row>>,
    pub(super) status: RwSignal<Status>,
    /// How long the answer took, in milliseconds.
    pub(super) wall_ms: RwSignal<f64>,
    /// What the form asks; `None` while another question is asked or the profile is no composed one.
    key: Memo<Option<Key>>,
    asked: RwSignal<Option<Key>>,
    wish: StoredValue<Wish, LocalStorage>,
}

/// Without what the table varies.
fn key(state: AppState) -> Option<Key> {
    let mut inquiry = Inquiry::of(state, AskedFor::Gpu, ONE_SEED)?;
    if state.source.get() != Source::Form {
        return None;
    }
    inquiry.scenario.unset("gpu");
    inquiry.scenario.unset("tensor-parallel-size");
    // The profile in the form is of one GPU; here each has its own.
    let profile = inquiry.profile.clone();
    inquiry.profile = crate::state::ProfileChoice { name: String::new(), file: std::sync::Arc::default(), ..profile };
    let recipe = state.recipe.get().on("", 0);
    Some(Key { inquiry, recipe, model: state.own_model.get() })
}

impl Gpus {
    /// Nothing is asked yet.
    pub(super) fn new(state: AppState) -> Self {
        Self {
            rows: RwSignal::new(Vec::new()),
            status: RwSignal::new(Status::Idle),
            wall_ms: RwSignal::new(0.0),
            key: Memo::new(move |_| key(state)),
            asked: RwSignal::new(None),
            wish: StoredValue::new_local(Wish::default()),
        }
    }

    /// Whether the form asks what can be compared.
    pub(super) fn can_ask(self) -> bool {
        self.key.with(Option::is_some)
    }

    /// Whether the table is of other settings than those in the form.
    pub(super) fn is_old(self) -> bool {
        self.key.with(|key| key.is_some() && self.asked.with(|asked| asked.is_some() && asked != key))
    }

    /// Stops what is under way; what is known stays.
    pub(super) fn cancel(self) {
        self.wish.with_value(Wish::give_up);
        self.status.set(Status::Cancelled);
    }

    /// Compares.
    pub(super) fn begin(self, state: AppState) {
        let Some(key) = self.key.get_untracked() else { return };
        self.wish.with_value(Wish::give_up);
        let wish = Wish::default();
        self.wish.set_value(wish.clone());
        self.asked.set(Some(key.clone()));
        if let Err(why) = key.inquiry.check() {
            return self.status.set(Status::Failed(why));
        }
        let measured =
            gpu_table::known().into_iter().filter(|gpu| gpu_table::measured(&gpu.key) == Some(gpu.key.as_str()));
        let rows: Vec<Row> =
            measured.map(|gpu| Row { key: gpu.key, label: gpu.label, carried: Default::default() }).collect();
        self.rows.set(rows.clone());
        self.status.set(Status::Running);
        leptos::task::spawn_local(async move {
            let began_ms = now_ms();
            let composing = match (state.fetch_list().await, Composing::new()) {
                (Ok(()), Ok(composing)) => Rc::new(composing),
                (Err(why), _) | (_, Err(why)) => return self.status.set(Status::Failed(why)),
            };
            let (key, keys) = (Rc::new(key), rows.into_iter().map(|row| row.key).collect::<Vec<_>>());
            let count = keys.len();
            let work = {
                let wish = wish.clone();
                move |place: usize| {
                    let (key, composing, wish) = (key.clone(), composing.clone(), wish.clone());
                    let gpu = keys.get(place).cloned().unwrap_or_default();
                    async move { self.compare(state, &key, &composing, (place, &gpu), &wish).await }
                }
            };
            lanes(count, &wish, work, move || {
                self.wall_ms.set(now_ms() - began_ms);
                self.status.set(Status::Idle);
            });
        });
    }

    /// One GPU, in each number.
    async fn compare(self, state: AppState, key: &Key, composing: &Composing, (row, gpu): (usize, &str), wish: &Wish) {
        let kept = composing.keep(gpu).await;
        for (place, num_gpus) in NUM_GPUS.into_iter().enumerate() {
            let outcome = match &kept {
                Ok(()) => Self::carried(state, key, composing, (gpu, num_gpus), wish).await,
                Err(why) => Err(Stopped::Fault(why.clone())),
            };
            let carried = match outcome {
                _ if wish.is_given_up() => return,
                Err(Stopped::GivenUp) => return,
                Ok(carried) => Ok(carried),
                Err(Stopped::Fault(why)) => Err(why),
            };
            self.rows.update(|rows| {
                if let Some(cell) = rows.get_mut(row).and_then(|row| row.carried.get_mut(place)) {
                    *cell = Some(carried);
                }
            });
        }
    }

    async fn carried(
        state: AppState,
        key: &Key,
        composing: &Composing,
        (gpu, num_gpus): (&str, u32),
        wish: &Wish,
    ) -> Result<Option<f64>, Stopped> {
        let Inquiry { scenario, question, dataset, .. } = &key.inquiry;
        let recipe = key.recipe.on(gpu, num_gpus);
        let config = match state.config_of(&recipe) {
            Ok(Some(config)) => config,
            Ok(None) => return Err(Stopped::Fault("the list of models is not there".to_owned())),
            Err(not_listed) => return Err(Stopped::Fault(not_listed.message)),
        };
        let (profile_name, profile) = composing.compose(recipe, config).await.map_err(Stopped::Fault)?;
        let scenario = on(scenario, gpu, num_gpus).map_err(Stopped::Fault)?;
        let dataset = dataset.as_ref().map(|file| file.content.to_vec());
        let input = RunInput { flags: scenario.flags(), profile_name, profile, dataset };
        let asked = Asked { input, kind: question.kind };
        let found = search(asked, *question, scenario.workload().seed(), wish, |_| {}).await?;
        Ok(found.answer.capacity)
    }
}

/// The flags on a number of GPUs.
fn on(scenario: &Scenario, gpu: &str, num_gpus: u32) -> Result<Scenario, String> {
    let mut scenario = scenario.clone();
    for (flag, value) in [("gpu", gpu), ("tensor-parallel-size", &num_gpus.to_string())] {
        scenario.set(flag, Some(value)).map_err(|error| error.to_string())?;
    }
    Ok(scenario)
}
