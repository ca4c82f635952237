//! Which GPU: the model in the form on each GPU that was measured, with parallelism, number formats and a few flags, by
//! `sim_core::answers::recommend` over the pool of workers.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use leptos::prelude::*;
use sim_core::answers::recommend::exclusion::Kind;
use sim_core::answers::recommend::{Done, Exclusion, Job, JobKind, Objective, Plan, Recommend, Space};
use sim_core::operators::prices::Prices;
use sim_core::scenario::AskedFor;

use super::composing::Composing;
use super::engines::{Engines, Simulates};
use super::prices::compared;
use super::told::{Report, Told};
use crate::components::questions::inquiry::{Inquiry, Status};
use crate::files::{self, now_ms};
use crate::pool::{self, Setup, Stopped, Wish};
use crate::protocol::{Asked, Tried, Trying};
use crate::state::{AppState, OwnFile, Source};

/// Runs at each load of those searched to the end, unless somebody says otherwise; as the command line has it.
pub(super) const DEFAULT_SEEDS: u32 = 3;
/// GPUs of one kind that there are, unless somebody says otherwise; as the command line has it.
pub(super) const DEFAULT_GPUS: u32 = 8;
/// GPUs of one kind that are taken to be there. Followed.
pub(super) fn num_gpus(state: AppState) -> u32 {
    state.asking.get().num_gpus.unwrap_or(DEFAULT_GPUS)
}

/// Requests of a run, where the form does not say.
const DEFAULT_NUM_PROMPTS: u32 = 1000;

/// All that the answer depends on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) inquiry: Inquiry,
    model: Option<OwnFile>,
    pub(super) is_by_gpus: bool,
    pub(super) num_gpus: u32,
}

/// Runs that are over, and those that are asked for so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Runs {
    pub(super) done: u32,
    pub(super) asked: u32,
    /// Setups whose profile is being composed.
    pub(super) composing: Option<(u32, u32)>,
}

/// The question, its answer, and what is under way. A handle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gpus {
    pub(super) told: RwSignal<Told>,
    pub(super) runs: RwSignal<Runs>,
    pub(super) status: RwSignal<Status>,
    /// How long the answer took, in milliseconds.
    pub(super) wall_ms: RwSignal<f64>,
    /// The list of prices; `None` until it is there, or if it does not come.
    pub(super) list: RwSignal<Option<Prices>>,
    /// What the form asks; `None` while another question is asked or the profile is no composed one.
    key: Memo<Option<Key>>,
    /// What [`Self::told`] is of.
    pub(super) asked: RwSignal<Option<Key>>,
    wish: StoredValue<Wish, LocalStorage>,
}

/// Without what is tried.
fn key(state: AppState) -> Option<Key> {
    let mut inquiry = Inquiry::of(state, AskedFor::Gpu, DEFAULT_SEEDS)?;
    if state.source.get() != Source::Form {
        return None;
    }
    inquiry.scenario.unset("gpu");
    inquiry.scenario.unset("tensor-parallel-size");
    // The profile in the form is of one GPU; here each has its own.
    let profile = inquiry.profile.clone();
    inquiry.profile = crate::state::ProfileChoice { name: String::new(), file: std::sync::Arc::default(), ..profile };
    let (is_by_gpus, num_gpus) = (state.asking.get().is_for_throughput, num_gpus(state));
    Some(Key { inquiry, model: state.own_model.get(), is_by_gpus, num_gpus })
}

impl Gpus {
    /// Nothing is asked yet; prices are fetched.
    pub(super) fn new(state: AppState) -> Self {
        let gpus = Self {
            told: RwSignal::new(Told::default()),
            runs: RwSignal::new(Runs::default()),
            status: RwSignal::new(Status::Idle),
            wall_ms: RwSignal::new(0.0),
            list: RwSignal::new(None),
            key: Memo::new(move |_| key(state)),
            asked: RwSignal::new(None),
            wish: StoredValue::new_local(Wish::default()),
        };
        leptos::task::spawn_local(async move { gpus.fetch_prices().await.unwrap_or_default() });
        gpus
    }

    /// The list of prices, if it is not there.
    async fn fetch_prices(self) -> Result<(), String> {
        if self.list.with_untracked(Option::is_none) {
            let content = files::fetch("prices.json").await?;
            let list = Prices::from_json(&content).map_err(|error| error.to_string())?;
            self.list.try_set(Some(list));
        }
        Ok(())
    }

    /// Prices of the list with those of the form on top. Followed.
    pub(super) fn prices(self, state: AppState) -> Prices {
        let list = self.list.get().unwrap_or_default();
        state.scenario.with(|scenario| list.with(scenario.report().prices()))
    }

    /// Whether the form asks what can be compared.
    pub(super) fn can_ask(self) -> bool {
        self.key.with(Option::is_some)
    }

    /// Whether the answer is of other settings than those in the form.
    pub(super) fn is_old(self) -> bool {
        self.key.with(|key| key.is_some() && self.asked.with(|asked| asked.is_some() && asked != key))
    }

    /// Stops what is under way; what is known stays.
    pub(super) fn cancel(self) {
        self.wish.with_value(Wish::give_up);
        self.status.set(Status::Cancelled);
    }

    /// Recommends.
    pub(super) fn begin(self, state: AppState) {
        let Some(key) = self.key.get_untracked() else { return };
        self.wish.with_value(Wish::give_up);
        let wish = Wish::default();
        self.wish.set_value(wish.clone());
        self.asked.set(Some(key.clone()));
        self.told.set(Told::default());
        self.runs.set(Runs::default());
        if let Err(why) = key.inquiry.check().and_then(|()| key.inquiry.check_times()) {
            return self.status.set(Status::Failed(why));
        }
        self.status.set(Status::Running);
        leptos::task::spawn_local(async move {
            let began_ms = now_ms();
            let status = match self.recommend(state, &key, &wish).await {
                _ if wish.is_given_up() => return,
                Err(Stopped::GivenUp) => return,
                Err(Stopped::Fault(why)) => Status::Failed(why),
                Ok(()) => Status::Idle,
            };
            self.wall_ms.set(now_ms() - began_ms);
            self.status.set(status);
        });
    }

    async fn recommend(self, state: AppState, key: &Key, wish: &Wish) -> Result<(), Stopped> {
        let config = self.config(state).await?;
        let composing = Composing::new().map_err(Stopped::Fault)?;
        let prices = untrack(|| self.prices(state));
        // Where no price is known at all, money ranks nothing.
        let is_priced = compared().iter().any(|(gpu, _)| prices.of(gpu).is_some());
        let plan = plan(key, if key.is_by_gpus || !is_priced { Objective::Throughput } else { Objective::Cost });
        let mut engines = Engines::new((composing, Simulates::OneRank), config, key.model.clone(), prices);
        let space = Space::new(&key.inquiry.scenario, &[], key.num_gpus).map_err(|error| fault(&error))?;
        let mut recommend = Recommend::new(plan, space).map_err(|error| fault(&error))?;
        let dataset = key.inquiry.dataset().await.map_err(Stopped::Fault)?;
        let mut setups = Setups { kind: key.inquiry.question.kind, dataset: Rc::new(dataset), known: BTreeMap::new() };
        loop {
            let unknown = recommend.unknown();
            if !unknown.is_empty() {
                self.learn(&mut recommend, &mut engines, &unknown, wish).await?;
            } else if recommend.wanted().is_empty() {
                break;
            } else {
                let done = self.run(&recommend, &engines, &mut setups, wish).await?;
                recommend.take(done);
                self.tell(key, &recommend, false);
            }
        }
        self.tell(key, &recommend, true);
        Ok(())
    }

    /// The `config.json` of the model in the form; prices and models are fetched for it.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn config(self, state: AppState) -> Result<Vec<u8>, Stopped> {
        state.fetch_list().await.map_err(Stopped::Fault)?;
        // Without the list those of the form hold.
        self.fetch_prices().await.ok();
        match state.config_of(&state.recipe.get_untracked()) {
            Ok(Some(config)) => Ok(config),
            Ok(None) => Err(Stopped::Fault("the list of models is not there".to_owned())),
            Err(not_listed) => Err(Stopped::Fault(not_listed.message)),
        }
    }

    fn tell(self, key: &Key, recommend: &Recommend, is_over: bool) {
        let question = &key.inquiry.question;
        let num_runs = self.runs.with_untracked(|runs| sim_core::math::u32_to_usize(runs.done));
        self.told.set(Report { recommend, question, num_runs, is_over }.told());
    }

    /// Finds the engines of `unknown` out.
    async fn learn(
        self,
        recommend: &mut Recommend,
        engines: &mut Engines,
        unknown: &[usize],
        wish: &Wish,
    ) -> Result<(), Stopped> {
        let count = sim_core::math::usize_to_u32(unknown.len());
        let mut found = Vec::with_capacity(unknown.len());
        for (number, &place) in (1..).zip(unknown) {
            let Some(entry) = recommend.entries().get(place) else { continue };
            found.push(engines.of(&entry.candidate.scenario).await);
            if wish.is_given_up() {
                return Err(Stopped::GivenUp);
            }
            if number % 16 == 0 {
                self.runs.update(|runs| runs.composing = Some((number, count)));
            }
        }
        self.runs.update(|runs| runs.composing = None);
        recommend.know(found);
        Ok(())
    }

    /// Makes all runs that are wanted.
    async fn run(
        self,
        recommend: &Recommend,
        engines: &Engines,
        setups: &mut Setups,
        wish: &Wish,
    ) -> Result<Vec<Done>, Stopped> {
        let runs: Vec<(Rc<Setup>, Trying)> =
            recommend.wanted().iter().filter_map(|job| setups.order(recommend, engines, *job)).collect();
        let (before, more) = (self.runs.get_untracked(), sim_core::math::usize_to_u32(runs.len()));
        self.runs.set(Runs { asked: before.asked + more, ..before });
        let (done, told_ms) = (Cell::new(0), Cell::new(now_ms()));
        let count = move |_: &Tried| {
            done.set(done.get() + 1);
            // Each is drawn.
            if now_ms() - told_ms.get() > 100.0 {
                told_ms.set(now_ms());
                self.runs.update(|runs| runs.done = before.done + done.get());
            }
        };
        let tried = pool::each_tried(&runs, wish, Rc::new(count)).await?;
        self.runs.update(|runs| runs.done = before.done + more);
        Ok(tried.into_iter().map(done_of).collect())
    }
}

/// As `profiler recommend` plans without a demand.
fn plan(key: &Key, objective: Objective) -> Plan {
    let Inquiry { scenario, question, .. } = &key.inquiry;
    Plan {
        objective,
        kind: question.kind,
        has_goodput: !question.goodput.is_empty(),
        required_share: question.required_share,
        demand: None,
        num_gpus: key.num_gpus,
        first_seed: scenario.workload().seed(),
        num_seeds: question.num_seeds,
        num_prompts: scenario.get("num-prompts").and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_NUM_PROMPTS),
    }
}

pub(super) fn fault(error: &impl ToString) -> Stopped {
    Stopped::Fault(error.to_string())
}

pub(super) fn done_of(tried: Result<Tried, String>) -> Done {
    match tried {
        Ok(Tried::Saturated(rate)) => Done::Rate(rate),
        Ok(Tried::Trial(trial)) => Done::Trial(trial),
        // Nobody asks for one here.
        Ok(Tried::Routed(_)) => Done::Rate(0.0),
        Err(why) => Done::Excluded(Exclusion { kind: Kind::Refused, why }),
    }
}

/// The setups of candidates, as workers know them.
struct Setups {
    kind: sim_core::answers::capacity::LoadKind,
    dataset: Rc<Option<Vec<u8>>>,
    known: BTreeMap<usize, Rc<Setup>>,
}

impl Setups {
    fn order(&mut self, recommend: &Recommend, engines: &Engines, job: Job) -> Option<(Rc<Setup>, Trying)> {
        let trying = match job.kind {
            JobKind::Saturated { seed } => Trying::Saturated { seed },
            JobKind::Trial { load, seed, num_prompts } => Trying::Trial { load, seed, num_prompts: Some(num_prompts) },
        };
        if let Some(setup) = self.known.get(&job.candidate) {
            return Some((setup.clone(), trying));
        }
        let entry = recommend.entries().get(job.candidate)?;
        let made = engines.made(entry.engine.as_ref()?)?;
        let (flags, dataset, kind) = (entry.candidate.scenario.flags(), self.dataset.clone(), self.kind);
        let setup = Setup::new(move || Asked { input: made.input(&flags, (*dataset).clone()), kind });
        self.known.insert(job.candidate, setup.clone());
        Some((setup, trying))
    }
}
