//! So many GPUs of the kind in the form: how many replicas are to compute prompts and how many to answer, or do all of them
//! both? By `sim_core::answers::recommend::splits` over the pool of workers, as `profiler recommend --disaggregated`.

use std::cell::Cell;
use std::rc::Rc;

use leptos::prelude::*;
use sim_core::answers::cost::usd_per_gpu_hour;
use sim_core::answers::recommend::splits::told::{self, Row};
use sim_core::answers::recommend::splits::{Split, Splits};
use sim_core::answers::recommend::{Done, JobKind};
use sim_core::scenario::{AskedFor, DEFAULT_GPU, Role, Scenario};

use super::ask::{DEFAULT_SEEDS, Gpus, Runs, done_of, fault, num_gpus};
use super::composing::Composing;
use super::engines::{Engines, Made, Simulates};
use crate::components::questions::inquiry::{Inquiry, Status};
use crate::files::now_ms;
use crate::pool::{self, Setup, Stopped, Wish};
use crate::protocol::{Asked, Tried, Trying};
use crate::state::{AppState, OwnFile, ProfileChoice, Source};

/// All that the answer depends on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) inquiry: Inquiry,
    model: Option<OwnFile>,
    has_own_gpu: bool,
    pub(super) num_gpus: u32,
}

/// What is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Told {
    pub(super) rows: Vec<Row>,
    /// Once all is known.
    pub(super) sentences: Vec<String>,
    pub(super) digest: u64,
    pub(super) is_any: bool,
    pub(super) is_over: bool,
}

/// The question, its answer, and what is under way. A handle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Divided {
    gpus: Gpus,
    pub(super) told: RwSignal<Told>,
    pub(super) runs: RwSignal<Runs>,
    pub(super) status: RwSignal<Status>,
    /// How long the answer took, in milliseconds.
    pub(super) wall_ms: RwSignal<f64>,
    key: Memo<Option<Key>>,
    /// What [`Self::told`] is of.
    pub(super) asked: RwSignal<Option<Key>>,
    wish: StoredValue<Wish, LocalStorage>,
}

fn key(state: AppState) -> Option<Key> {
    let mut inquiry = Inquiry::of(state, AskedFor::Gpu, DEFAULT_SEEDS)?;
    if state.source.get() != Source::Form {
        return None;
    }
    inquiry.scenario = Split::without(&inquiry.scenario);
    // It is composed anew, with the model named, as the command line does.
    let profile = inquiry.profile.clone();
    inquiry.profile = ProfileChoice { name: String::new(), file: std::sync::Arc::default(), ..profile };
    let num_gpus = num_gpus(state);
    Some(Key { inquiry, model: state.own_model.get(), has_own_gpu: state.own_gpu.get().is_some(), num_gpus })
}

impl Divided {
    /// Nothing is asked yet.
    pub(super) fn new(state: AppState, gpus: Gpus) -> Self {
        Self {
            gpus,
            told: RwSignal::new(Told::default()),
            runs: RwSignal::new(Runs::default()),
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

    /// Whether the answer is of other settings than those in the form.
    pub(super) fn is_old(self) -> bool {
        self.key.with(|key| key.is_some() && self.asked.with(|asked| asked.is_some() && asked != key))
    }

    /// Stops what is under way; what is known stays.
    pub(super) fn cancel(self) {
        self.wish.with_value(Wish::give_up);
        self.status.set(Status::Cancelled);
    }

    /// Compares all splits.
    pub(super) fn begin(self, state: AppState) {
        let Some(key) = self.key.get_untracked() else { return };
        self.wish.with_value(Wish::give_up);
        let wish = Wish::default();
        self.wish.set_value(wish.clone());
        self.asked.set(Some(key.clone()));
        self.told.set(Told::default());
        self.runs.set(Runs::default());
        if let Err(why) = key.check() {
            return self.status.set(Status::Failed(why));
        }
        self.status.set(Status::Running);
        leptos::task::spawn_local(async move {
            let began_ms = now_ms();
            let status = match self.compare(state, &key, &wish).await {
                _ if wish.is_given_up() => return,
                Err(Stopped::GivenUp) => return,
                Err(Stopped::Fault(why)) => Status::Failed(why),
                Ok(()) => Status::Idle,
            };
            self.wall_ms.set(now_ms() - began_ms);
            self.status.set(status);
        });
    }

    async fn compare(self, state: AppState, key: &Key, wish: &Wish) -> Result<(), Stopped> {
        let config = self.gpus.config(state).await?;
        let composing = Composing::new().map_err(Stopped::Fault)?;
        let prices = untrack(|| self.gpus.prices(state));
        let mut base = key.inquiry.scenario.clone();
        if base.composition().is_none() {
            base.set("gpu", Some(DEFAULT_GPU)).map_err(|error| fault(&error))?;
        }
        let gpu = base.composition().map(|composition| composition.gpu_key().to_owned());
        let usd_per_gpu_hour = usd_per_gpu_hour(&prices, gpu.as_deref()).ok();
        let mut engines = Engines::new((composing, Simulates::AllRanks), config, key.model.clone(), prices);
        let (together, made) = replica(&mut engines, &base).await?;
        let mut of_replica = [together, 0, 0];
        for (role, num_gpus) in Role::ALL.into_iter().zip(&mut of_replica[1..]) {
            let of_role = base.of_role(role).map_err(|error| fault(&error))?;
            (*num_gpus, _) = replica(&mut engines, &of_role).await?;
        }
        let [together, prefill, decode] = of_replica;
        let all = Split::all(key.num_gpus, together, [prefill, decode]).map_err(|error| fault(&error))?;
        if all.is_empty() {
            return Err(Stopped::Fault(format!(
                "{} GPUs: a replica has {together} GPUs, one of prefill {prefill}, one of decode {decode}; nothing fits",
                key.num_gpus
            )));
        }
        let dataset = Rc::new(key.inquiry.dataset().await.map_err(Stopped::Fault)?);
        let setups = all.iter().map(|split| setup(key, (*split, &base), &made, &dataset));
        let setups = setups.collect::<Result<Vec<_>, _>>()?;
        let question = &key.inquiry.question;
        let seeds = (base.workload().seed(), question.num_seeds);
        let mut splits = Splits::new(all, (question.kind, question.required_share), seeds);
        let told_of = told::Setup { num_gpus: key.num_gpus, of_replica, usd_per_gpu_hour };
        loop {
            let done = self.run(&splits, &setups, wish).await?;
            let is_over = done.is_empty();
            splits.take(done);
            let sentences = if is_over { told::sentences(&splits, question, &told_of) } else { Vec::new() };
            let (rows, digest) = (told::rows(&splits, &told_of), splits.digest());
            self.told.set(Told { rows, sentences, digest, is_any: splits.best().is_some(), is_over });
            if is_over {
                return Ok(());
            }
        }
    }

    /// Makes all runs that are wanted.
    async fn run(self, splits: &Splits, setups: &[Rc<Setup>], wish: &Wish) -> Result<Vec<Done>, Stopped> {
        let runs: Vec<(Rc<Setup>, Trying)> = splits
            .wanted()
            .iter()
            .filter_map(|job| {
                let trying = match job.kind {
                    JobKind::Saturated { seed } => Trying::SaturatedOfAll { seed },
                    JobKind::Trial { load, seed, .. } => Trying::TrialOfAll { load, seed },
                };
                Some((setups.get(job.candidate)?.clone(), trying))
            })
            .collect();
        let (before, more) = (self.runs.get_untracked(), sim_core::math::usize_to_u32(runs.len()));
        self.runs.set(Runs { asked: before.asked + more, ..before });
        let done = Cell::new(0);
        let count = move |_: &Tried| {
            done.set(done.get() + 1);
            self.runs.update(|runs| runs.done = before.done + done.get());
        };
        let tried = pool::each_tried(&runs, wish, Rc::new(count)).await?;
        self.runs.update(|runs| runs.done = before.done + more);
        Ok(tried.into_iter().map(done_of).collect())
    }
}

impl Key {
    /// Whether it can be answered.
    fn check(&self) -> Result<(), String> {
        self.inquiry.check().and_then(|()| self.inquiry.check_times())?;
        if self.has_own_gpu {
            return Err(
                "The GPU is a file of your own: `profiler recommend --disaggregated` takes it, this page compares \
                 splits of the GPUs that it knows."
                    .to_owned(),
            );
        }
        // What is said of roles waits for these.
        let is_eventful = self.inquiry.scenario.is_eventful();
        if is_eventful.map_err(|error| error.to_string())? {
            return Err("Outages and autoscalers are not of this question: take them out of the fleet.".to_owned());
        }
        Ok(())
    }
}

/// GPUs of a replica of `scenario`, its data-parallel ranks together, and the profile of one.
async fn replica(engines: &mut Engines, scenario: &Scenario) -> Result<(u32, Rc<Made>), Stopped> {
    let engine = engines.of(scenario).await.map_err(|exclusion| Stopped::Fault(exclusion.why))?;
    let made = engines.made(&engine).ok_or_else(|| Stopped::Fault("nothing was composed".to_owned()))?;
    let ranks = scenario.ranks(made.composed.is_of_lockstep).map_err(|error| fault(&error))?;
    Ok((engine.hardware.num_gpus * ranks.count, made))
}

/// A split's setup, as workers know it.
fn setup(
    key: &Key,
    (split, base): (Split, &Scenario),
    made: &Rc<Made>,
    dataset: &Rc<Option<Vec<u8>>>,
) -> Result<Rc<Setup>, Stopped> {
    let flags = split.scenario(base).map_err(|error| fault(&error))?.flags();
    let (made, dataset, kind) = (made.clone(), dataset.clone(), key.inquiry.question.kind);
    Ok(Setup::new(move || Asked { input: made.input(&flags, (*dataset).clone()), kind }))
}
