//! A measured run, simulated again: the workload that a result of `vllm bench serve` states, or a refusal that names
//! what it does not say.
//!
//! A result of ours has every flag of its run (`simulation.flags`), and with them and the dataset's file it is the same
//! run. One of vLLM's has its traffic (`vllm/benchmarks/serve.py::main_async`), with `--save-detailed` each request's
//! lengths and sending time, and never prompts, dataset or seed: these come from flags, or from keys that somebody added
//! with `--metadata` under the flags' names. What is assumed is told in a sentence; what was made is held against the
//! file's own figures.

mod error;
mod flags;
mod held;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub use error::RepeatError;
pub use flags::{settings, stated_flags};

use super::link::fingerprint;
use super::{DatasetName, Scenario, TextTokens};
use crate::math;
use crate::metrics::json_measured::MeasuredResult;
use crate::request::TokenRun;
use crate::request_set::{NewRequest, RequestSet};
use crate::time::SimTime;
use crate::workload::dataset::Sample;
use crate::workload::{Traffic, Workload, WorkloadError};
use flags::Merged;

/// What a result and the flags beside it say.
#[derive(Debug)]
pub struct Stated<'a> {
    result: &'a MeasuredResult,
    merged: Merged,
    num_requests: u64,
}

/// A run that can be simulated: with the profile's engine it is what the file says, as far as is told.
#[derive(Debug)]
pub struct Repetition {
    /// The flags of engine and workload.
    pub scenario: Scenario,
    /// What is sent and when, what was sent before included.
    pub workload: Workload,
    /// What was assumed, in sentences.
    pub notes: Vec<String>,
}

impl<'a> Stated<'a> {
    /// Reads what `result` states; flags of engine and workload in `given` come on top.
    ///
    /// # Errors
    /// [`RepeatError`], if the run was not whole or a flag contradicts the file.
    pub fn new(result: &'a MeasuredResult, given: &Scenario) -> Result<Self, RepeatError> {
        let num_requests = held::num_requests(result)?;
        let mut merged = Merged::new(result, given)?;
        merged.scenario.workload().traffic().check()?;
        take_acceptance(result, &mut merged)?;
        Ok(Self { result, merged, num_requests })
    }

    /// The dataset whose file is needed, if one is.
    #[must_use]
    pub fn needed_file(&self) -> Option<DatasetName> {
        let name = self.merged.scenario.workload().dataset_name();
        let is_sampled = self.merged.is_whole || self.merged.has_dataset();
        Some(name).filter(|name| is_sampled && name.needs_file())
    }

    /// The flags so far.
    #[must_use]
    pub const fn scenario(&self) -> &Scenario {
        &self.merged.scenario
    }

    /// Makes the workload, of the dataset's `file` where it has one, and holds it against the result.
    ///
    /// # Errors
    /// See [`RepeatError`].
    pub fn repeat(mut self, file: Option<&[u8]>, counter: Option<TextTokens<'_>>) -> Result<Repetition, RepeatError> {
        let lengths = self.result.lists.lengths();
        let mut workload = match lengths {
            _ if self.merged.is_whole => self.sampled(file, counter)?,
            Some(lengths) if !self.merged.has_dataset() => self.listed(&lengths)?,
            Some(lengths) => match self.sampled(file, counter) {
                // Nobody asked for what the metadata says.
                Err(error) if !self.merged.was_given_dataset() => {
                    self.merged.notes.push(alloc::format!("The metadata's dataset was not used: {error}"));
                    self.listed(&lengths)?
                }
                sampled => sampled?,
            },
            None if self.merged.has_dataset() => match self.sampled(file, counter) {
                Err(error) if !self.merged.was_given_dataset() => {
                    self.merged.notes.push(alloc::format!("The metadata's dataset was not used: {error}"));
                    self.merged.forget_dataset();
                    self.assumed(file, counter)?
                }
                sampled => sampled?,
            },
            None => self.assumed(file, counter)?,
        };
        workload.send_before(&self.merged.scenario.workload().earlier())?;
        Ok(Repetition { scenario: self.merged.scenario, workload, notes: self.merged.notes })
    }

    /// The workload of the flags; sent when the file says, if it does.
    fn sampled(&mut self, file: Option<&[u8]>, counter: Option<TextTokens<'_>>) -> Result<Workload, RepeatError> {
        let args = self.merged.scenario.workload();
        let dataset = args.dataset_name();
        match (file, self.result.simulation.as_ref().and_then(|simulation| simulation.dataset)) {
            (None, _) if dataset.needs_file() => return Err(RepeatError::NoFile { dataset }),
            (Some(file), Some(stated)) if fingerprint(file) != stated => {
                return Err(RepeatError::OtherFile { dataset });
            }
            _ => {}
        }
        let (sample, traffic) = (args.sample(file, counter)?, args.traffic());
        let is_timed = sample.send_times.is_some() && traffic.self_timed != Some(false);
        held::totals(self.result, &sample.requests)?;
        held::lengths(self.result, &sample.requests)?;
        if !self.merged.is_whole
            && let Some(send_times) = self.send_times()
        {
            let send_times = in_order(&send_times);
            let traffic = Traffic::Timed { send_times, max_concurrency: traffic.max_concurrency };
            return Ok(Workload { requests: sample.requests, traffic, earlier: Vec::new() });
        }
        let workload = sample.into_workload(&traffic)?;
        self.hold_times(&workload)?;
        let is_drawn = (traffic.request_rate.is_finite() || traffic.ramp_up_strategy.is_some()) && !is_timed;
        if !self.merged.is_whole && is_drawn && self.merged.scenario.get("seed").is_none() {
            let seed = "The file does not say its seed: taken as vLLM's default, --seed 0".to_string();
            self.merged.notes.push(seed);
        }
        Ok(workload)
    }

    /// The requests of the file's lists. What was in their prompts is not there.
    fn listed(&mut self, lengths: &[(u32, u32)]) -> Result<Workload, RepeatError> {
        let traffic = self.merged.scenario.workload().traffic();
        let send_times = self.send_times();
        let draws = send_times.is_none() && (traffic.request_rate.is_finite() || traffic.ramp_up_strategy.is_some());
        let unused = ["seed", "self-timed"].into_iter().find(|flag| self.merged.given.contains(flag));
        if let Some(flag) = unused.filter(|&flag| flag != "seed" || !draws) {
            return Err(RepeatError::Unused { flag });
        }
        let note = "Prompts are not in the file: taken as having no tokens in common; if they had, say so with \
                    --dataset-name and its flags";
        self.merged.notes.push(note.to_string());
        let workload = match send_times {
            Some(times) => {
                // Lists are in sending order, but for clients that are not vLLM's.
                let mut order: Vec<usize> = (0..lengths.len().min(times.len())).collect();
                order.sort_by(|&a, &b| times[a].total_cmp(&times[b]));
                let lengths: Vec<(u32, u32)> = order.iter().map(|&place| lengths[place]).collect();
                let times: Vec<f64> = order.iter().map(|&place| times[place]).collect();
                let max_concurrency = traffic.max_concurrency;
                let traffic = Traffic::Timed { send_times: in_order(&times), max_concurrency };
                Workload { requests: unshared(&lengths)?, traffic, earlier: Vec::new() }
            }
            None => {
                let seed = self.merged.scenario.workload().seed();
                if draws {
                    let note = "The file has no start_times: times are drawn anew from its rate, with --seed ";
                    self.merged.notes.push(alloc::format!("{note}{seed}"));
                }
                Sample::of_requests(unshared(lengths)?, seed).into_workload(&traffic)?
            }
        };
        held::totals(self.result, &workload.requests)?;
        Ok(workload)
    }

    /// When each request was to be sent, in seconds; the wait for a place under the limit comes on top.
    fn send_times(&mut self) -> Option<Vec<f64>> {
        let lists = &self.result.lists;
        let starts = lists.start_times.as_ref()?;
        let traffic = self.merged.scenario.workload().traffic();
        let is_at_once = traffic.request_rate.is_infinite() && traffic.ramp_up_strategy.is_none();
        match (&lists.queue_times, traffic.max_concurrency) {
            (Some(queues), _) => {
                let wanted = starts.iter().zip(queues).map(|(start, queue)| math::max(start - queue, 0.0));
                Some(wanted.collect())
            }
            (None, Some(_)) if is_at_once => Some(alloc::vec![0.0; starts.len()]),
            (None, Some(_)) => {
                let note = "The file has no queue_times: taken as if each request had been wanted when it was sent";
                self.merged.notes.push(note.to_string());
                Some(starts.clone())
            }
            (None, None) => Some(starts.clone()),
        }
    }

    fn hold_times(&self, workload: &Workload) -> Result<(), RepeatError> {
        match &workload.traffic {
            Traffic::Timed { send_times, max_concurrency } => {
                held::times(self.result, send_times, max_concurrency.is_some())
            }
            // When an answer came is what is to be found out.
            Traffic::Answered { .. } | Traffic::QueriesPerIter { .. } => Ok(()),
        }
    }

    /// Equal lengths, where nothing says more and only where the totals allow it. A server ends answers where the model
    /// does, so that of a measured run only the prompts need to be equal.
    fn assumed(&mut self, file: Option<&[u8]>, counter: Option<TextTokens<'_>>) -> Result<Workload, RepeatError> {
        const NEED: &str = "given, as every result has it";
        let total = |key: &'static str| match held::total(self.result, key)? {
            Some(total) => Ok(total),
            None => Err(RepeatError::Number { key, value: "absent".to_string(), need: NEED }),
        };
        let (total_input_tokens, total_output_tokens) = (total("total_input_tokens")?, total("total_output_tokens")?);
        let num_requests = self.num_requests;
        let equal =
            |total: u64| Some(total / num_requests).filter(|&each| each > 0 && total.is_multiple_of(num_requests));
        let has_answers = !self.result.is_simulated && total_output_tokens >= num_requests;
        match (equal(total_input_tokens), equal(total_output_tokens)) {
            (Some(input), Some(output)) => {
                self.merged.scenario.set("random-input-len", Some(&input.to_string()))?;
                self.merged.scenario.set("random-output-len", Some(&output.to_string()))?;
                self.merged.notes.push(alloc::format!(
                    "The file does not say its dataset: taken as --dataset-name random with {input} prompt and {output} \
                     output tokens for each request, which its totals allow"
                ));
                self.sampled(file, counter)
            }
            (Some(input), None) if has_answers => self.of_mean_outputs(input, total_output_tokens),
            _ => Err(RepeatError::NoLengths { num_requests, total_input_tokens, total_output_tokens }),
        }
    }

    /// Prompts of `input` tokens, and answers that differ by one token at most.
    fn of_mean_outputs(&mut self, input: u64, total_output_tokens: u64) -> Result<Workload, RepeatError> {
        let short = |length: u64| u32::try_from(length).unwrap_or(u32::MAX);
        let before = |request: u64| total_output_tokens.saturating_mul(request) / self.num_requests;
        let lengths: Vec<(u32, u32)> = (0..self.num_requests)
            .map(|request| (short(input), short(before(request + 1) - before(request))))
            .collect();
        let mean = total_output_tokens / self.num_requests;
        self.merged.notes.push(alloc::format!(
            "The file does not say its dataset, and its answers ended at different lengths: taken as prompts of {input} \
             tokens that share none, and {mean} or {} output tokens for each; a file saved with --save-detailed says more",
            mean + 1
        ));
        let args = self.merged.scenario.workload();
        let workload = Sample::of_requests(unshared(&lengths)?, args.seed()).into_workload(&args.traffic())?;
        held::totals(self.result, &workload.requests)?;
        self.hold_times(&workload)?;
        Ok(workload)
    }
}

/// The share of accepted drafts that the file measured, where the flags say nothing.
fn take_acceptance(result: &MeasuredResult, merged: &mut Merged) -> Result<(), RepeatError> {
    let num_drafts = result.numbers.get("spec_decode_num_drafts").copied().unwrap_or(0.0);
    let Some(config) = &merged.scenario.engine().speculative_config else {
        return if num_drafts > 0.0 { Err(RepeatError::NoDrafter) } else { Ok(()) };
    };
    let flags = ["spec-acceptance-rates", "spec-acceptance-length", "spec-acceptance-sequence"];
    let is_said = config.rejection_sample_method.as_deref() == Some("synthetic")
        || flags.into_iter().any(|flag| merged.scenario.get(flag).is_some());
    let Some(rates) = result.lists.acceptance_rates.as_ref().filter(|rates| !is_said && !rates.is_empty()) else {
        return Ok(());
    };
    let mut before = 1.0;
    let conditional = rates.iter().map(|&rate| {
        let share = if before > 0.0 { math::min(rate / before, 1.0) } else { 0.0 };
        before = rate;
        alloc::format!("{share}")
    });
    let conditional = conditional.collect::<Vec<_>>().join(",");
    merged.scenario.set("spec-acceptance-rates", Some(&conditional))?;
    let note = "Which drafts were accepted is drawn anew, by the file's shares: --spec-acceptance-rates ";
    merged.notes.push(alloc::format!("{note}{conditional}"));
    Ok(())
}

/// Times from the first on, none before the one in front of it.
fn in_order(seconds: &[f64]) -> Vec<SimTime> {
    let first = seconds.iter().copied().fold(f64::INFINITY, math::min);
    let mut latest = SimTime::ZERO;
    let times = seconds.iter().map(|&time| {
        latest = latest.max(SimTime::from_secs_f64(time - first));
        latest
    });
    times.collect()
}

/// Requests of these prompt and output lengths that share no token.
///
/// # Errors
/// [`WorkloadError::Request`] for the first that cannot be.
pub fn unshared(lengths: &[(u32, u32)]) -> Result<RequestSet, WorkloadError> {
    let mut requests = RequestSet::with_capacity(lengths.len());
    for (index, &(prompt, output)) in (0_u32..).zip(lengths) {
        let request = NewRequest {
            prompt: &[TokenRun::segment(2 * index + 1, prompt)],
            output: &[TokenRun::segment(2 * index + 2, output)],
            max_tokens: output,
            stops: false,
            priority: 0,
            arrival_order: u64::from(index),
            id_rank: index,
            cache_salt: 0,
        };
        let index = math::u32_to_usize(index);
        requests.push(&request).map_err(|error| WorkloadError::Request { index, error })?;
    }
    Ok(requests)
}
