//! `profiler recommend --disaggregated`: the runs of all splits over all cores, and what is told of them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use rayon::prelude::*;
use serde_json::{Value, json};
use sim_core::answers::capacity::{Asked, Question, TrialError};
use sim_core::answers::cost::usd_per_gpu_hour;
use sim_core::answers::recommend::splits::told::{Setup, text};
use sim_core::answers::recommend::splits::{AskedOfEngines, Split, SplitEntry, Splits};
use sim_core::answers::recommend::{Done, Exclusion, Job, JobKind, Objective};
use sim_core::operators::prices::Prices;
use sim_core::scenario::{Role, Scenario};

use super::question::{Aim, Told};
use crate::capacity::run::{Counter, plain};
use crate::simulate::inputs::Inputs;
use crate::simulate::profile_choice::ProfileChoice;
use crate::simulate::run::bar;
use crate::simulate::token_counter::load_token_counter;

/// Engines of all, of prefill replicas and of decode replicas.
struct Choices<'a> {
    of_all: &'a ProfileChoice,
    of_roles: [ProfileChoice; 2],
}

impl Choices<'_> {
    /// GPUs of a replica of each kind: of its data-parallel ranks together.
    fn gpus_of_replicas(&self, scenario: &Scenario) -> Result<[u32; 3]> {
        let gpus = |scenario: &Scenario, choice: &ProfileChoice| -> Result<u32> {
            let num_stages = scenario.resolve(&choice.profile)?.config.pipeline_parallel_size;
            let ranks = scenario.ranks(choice.is_of_lockstep)?;
            Ok(choice.profile.hardware.num_devices * num_stages * ranks.count)
        };
        let of_role = |role: Role, choice| gpus(&scenario.of_role(role)?, choice);
        Ok([
            gpus(scenario, self.of_all)?,
            of_role(Role::Prefill, &self.of_roles[0])?,
            of_role(Role::Decode, &self.of_roles[1])?,
        ])
    }
}

impl Aim {
    /// [`Self::splits`] at `prices` and those of the flags, with the model's tokenizer where texts are counted.
    ///
    /// # Errors
    /// Those, and if the tokenizer cannot be read.
    pub(crate) fn answer_splits(
        &self,
        inputs: &Inputs,
        prices: &Prices,
        tokenizer: Option<&Path>,
        go_on: (bool, &AtomicBool),
    ) -> Result<Told> {
        let needs_tokenizer = inputs.scenario.workload().dataset_name().needs_tokenizer();
        let counter = tokenizer.filter(|_| needs_tokenizer).map(load_token_counter).transpose()?;
        let counter: Counter<'_> = counter.as_ref().map(|count| count as &(dyn Fn(&str) -> usize + Sync));
        self.splits(inputs, &prices.clone().with(inputs.scenario.report().prices()), counter, go_on)
    }

    /// Which split of the GPUs carries most: `inputs` say what an engine is, and what it is asked.
    ///
    /// # Errors
    /// If the question contradicts itself, a role's engine cannot be, or `is_cancelled` is set on the way.
    fn splits(
        &self,
        inputs: &Inputs,
        prices: &Prices,
        counter: Counter<'_>,
        (quiet, is_cancelled): (bool, &AtomicBool),
    ) -> Result<Told> {
        let scenario = Split::without(&inputs.scenario);
        self.check_splits(&scenario)?;
        let of_role = |role: Role| {
            let choice = inputs.choice.of_role(&scenario.of_role(role)?, None);
            choice.with_context(|| format!("{role} replicas"))
        };
        let choices = Choices { of_all: &inputs.choice, of_roles: [of_role(Role::Prefill)?, of_role(Role::Decode)?] };
        let of_replica = choices.gpus_of_replicas(&scenario)?;
        let [together, prefill, decode] = of_replica;
        let all = Split::all(self.num_gpus, together, [prefill, decode])?;
        ensure!(
            !all.is_empty(),
            "--num-gpus {}: a replica has {together} GPUs, one of prefill {prefill}, one of decode {decode}; nothing fits",
            self.num_gpus
        );
        let seeds = (scenario.workload().seed(), self.num_seeds);
        let mut splits = Splits::new(all, (self.kind, self.share), seeds);
        let dataset = inputs.dataset.as_deref();
        search(&mut splits, (&scenario, &choices, dataset, self), counter, (quiet, is_cancelled))?;
        let question = Question {
            kind: self.kind,
            dataset: scenario.workload().dataset_name(),
            goodput: scenario.report().goodput(),
            required_share: self.share,
            num_seeds: self.num_seeds,
        };
        let gpu = scenario.composition().map(|composition| composition.gpu_key().to_owned());
        let usd_per_gpu_hour = usd_per_gpu_hour(prices, gpu.as_deref()).ok();
        let setup = Setup { num_gpus: self.num_gpus, of_replica, usd_per_gpu_hour };
        let is_any = splits.best().is_some();
        Ok(Told { json: to_json(&splits, &question, &setup), text: text(&splits, &question, &setup), is_any })
    }

    fn check_splits(&self, scenario: &Scenario) -> Result<()> {
        ensure!(
            self.vary.is_empty() && matches!(self.objective, Objective::Cost | Objective::Throughput),
            "--disaggregated compares splits of the GPUs by the load that they carry: leave out --vary and --for latency or \
             interactivity"
        );
        ensure!(
            !self.kind.is_closed() || !scenario.report().goodput().is_empty(),
            "--by concurrency and --by users need objectives: give --goodput, such as `--goodput ttft:500 tpot:50`"
        );
        ensure!(!scenario.is_eventful()?, "--disaggregated: outages and autoscalers are not of this question");
        Ok(())
    }
}

fn search(
    splits: &mut Splits,
    (scenario, choices, dataset, aim): (&Scenario, &Choices<'_>, Option<&[u8]>, &Aim),
    counter: Counter<'_>,
    (quiet, is_cancelled): (bool, &AtomicBool),
) -> Result<()> {
    let of_choice = |choice: &ProfileChoice| choice.is_of_lockstep;
    let bar = bar(0, "{bar:20} {pos} of {len} runs and more", quiet);
    loop {
        let wanted = splits.wanted();
        if wanted.is_empty() {
            break;
        }
        bar.inc_length(wanted.len() as u64);
        let run = |job: &Job| -> Result<Done, TrialError> {
            let scenario = splits.entries()[job.candidate].split.scenario(scenario)?;
            let [prefill, decode] = &choices.of_roles;
            let asked = Asked { scenario: &scenario, profile: &choices.of_all.profile, dataset, kind: aim.kind };
            let asked = AskedOfEngines {
                asked,
                is_lockstep: of_choice(choices.of_all),
                roles: [(&prefill.profile, of_choice(prefill)), (&decode.profile, of_choice(decode))],
            };
            Ok(match job.kind {
                JobKind::Saturated { seed } => Done::Rate(asked.saturated(seed, plain(counter))?),
                JobKind::Trial { load, seed, .. } => Done::Trial(Box::new(asked.run(load, seed, plain(counter))?)),
            })
        };
        let one = |job: &Job| {
            let is_wanted = !is_cancelled.load(Ordering::Relaxed);
            let done = is_wanted.then(|| run(job).unwrap_or_else(|error| Done::Excluded(Exclusion::from(&error))));
            bar.inc(1);
            done
        };
        let all: Option<Vec<Done>> =
            wanted.par_iter().with_max_len(1).map(one).collect::<Vec<_>>().into_iter().collect();
        splits.take(all.context("cancelled before it was over")?);
    }
    bar.finish_and_clear();
    Ok(())
}

fn to_json(splits: &Splits, question: &Question, setup: &Setup) -> Value {
    let best = splits.best();
    let of_entry = |entry: &SplitEntry| {
        let answer = entry.answer();
        let [prefill, decode, replicas] = match entry.split {
            Split::Together { replicas } => [None, None, Some(replicas)],
            Split::Apart { prefill, decode } => [Some(prefill), Some(decode), None],
        };
        json!({
            "replicas": replicas, "prefill_replicas": prefill, "decode_replicas": decode,
            "capacity": answer.as_ref().and_then(|answer| answer.capacity),
            "interval": answer.as_ref().and_then(|answer| answer.interval).map(|(low, high)| [low, high]),
            "is_limited": answer.as_ref().map(|answer| answer.is_limited),
            "excluded": entry.excluded,
        })
    };
    json!({
        "num_gpus": setup.num_gpus,
        "gpus_of_replica":
            {"together": setup.of_replica[0], "prefill": setup.of_replica[1], "decode": setup.of_replica[2]},
        "unit": question.unit(),
        "splits": splits.entries().iter().map(of_entry).collect::<Vec<_>>(),
        "best": best.as_ref().map(|best| best.place),
        "ties": best.as_ref().map(|best| &best.ties),
        "gain_over_together": best.as_ref().and_then(|best| best.gain),
        "digest": format!("{:016x}", splits.digest()),
    })
}
