//! Runs the simulator's engine over a recorded workload and writes down what the recorder wrote down.

use sim_core::config::EngineConfig;
use sim_core::engine_core::EngineCore;
use sim_core::request::{FinishReason, RequestId};
use sim_core::request_set::RequestSet;
use sim_core::sched::connector::tiers::TierPass;
use sim_core::sched::output::SchedulerOutput;

use super::recorded_events::HashNumbers;
use super::recorded_trace::Iteration;

/// When requests join and leave.
#[derive(Debug)]
pub(crate) struct Admissions {
    pub(crate) queries_per_iter: Vec<u32>,
    pub(crate) aborts: Vec<(u32, RequestId)>,
}

/// Calls `see` with every iteration of the engine until it returns false or the work is done.
pub(crate) fn replay(
    config: &EngineConfig,
    requests: &RequestSet,
    admissions: &Admissions,
    see: impl FnMut(Iteration) -> bool,
) {
    replay_on(EngineCore::new(config, requests), config, admissions, see);
}

/// The same by the engine of simulations, which counts requests that get a token in every pass: they are not among the
/// scheduled ones.
pub(crate) fn replay_counting(
    config: &EngineConfig,
    requests: &RequestSet,
    admissions: &Admissions,
    see: impl FnMut(Iteration) -> bool,
) {
    replay_on(EngineCore::counting_steady(config, requests), config, admissions, see);
}

/// The same by an engine that is made for it.
pub(crate) fn replay_on(
    mut engine: EngineCore<'_>,
    config: &EngineConfig,
    admissions: &Admissions,
    mut see: impl FnMut(Iteration) -> bool,
) {
    // Iteration at which each pass was issued.
    let mut issued_at = vec![];
    let mut hashes = HashNumbers::default();
    let mut next = 0;
    for i in 0.. {
        let mut iteration = Iteration { i, ..Iteration::default() };
        for &(_, id) in admissions.aborts.iter().filter(|abort| abort.0 == i) {
            engine.abort_request(id);
            iteration.abort.push(id.0);
        }
        let joining = admissions.queries_per_iter.get(i as usize).copied();
        for id in next..next + joining.unwrap_or(0) {
            engine.add_request(RequestId(id));
            iteration.add.push(id);
        }
        next += joining.unwrap_or(0);
        if joining.is_none() && !engine.has_work() {
            return;
        }
        let step = engine.step(|_, output| {
            issued_at.push(i);
            write_pass(config, output, &mut iteration);
        });
        if let Some(pass) = step.processed {
            iteration.kv = hashes.recorded(engine.take_kv_cache_events());
            let outputs = engine.outputs();
            iteration.done = Some(issued_at[pass as usize]);
            let tokens = outputs.tokens.iter().map(|tokens| tokens.num_tokens);
            iteration.ntok = tokens.sum::<u32>() + outputs.num_steady_tokens;
            let verifications = outputs.verifications.iter();
            iteration.acc =
                verifications.map(|one| (one.id.0, one.num_draft_tokens, one.num_accepted_tokens)).collect();
            let finished = outputs.finished.iter().map(|finished| {
                let reason = match finished.reason {
                    FinishReason::Stop => "stop",
                    FinishReason::Length => "length",
                    FinishReason::Abort => "abort",
                    FinishReason::Error => "error",
                };
                (finished.id.0, reason.to_owned(), finished.num_output_tokens)
            });
            iteration.fin = finished.collect();
            if let Some(pass) = &engine.processed().kv_connector {
                iteration.recv = pass.report.finished_recving.iter().map(|id| id.0).collect();
                iteration.sent = pass.report.finished_sending.iter().map(|id| id.0).collect();
                iteration.jobs.clone_from(&pass.report.completed_jobs);
            }
        }
        iteration.free_end = Some(engine.scheduler().kv_cache().num_free_blocks());
        if !see(iteration) {
            return;
        }
    }
}

fn write_pass(config: &EngineConfig, output: &SchedulerOutput, iteration: &mut Iteration) {
    let scheduled = output.scheduled.iter();
    let drafts = scheduled.clone().filter(|part| part.num_draft_tokens > 0);
    iteration.spec = drafts.map(|part| (part.id.0, u32::from(part.num_draft_tokens))).collect();
    iteration.skip = u32::from(output.skips_drafts && output.has_tokens());
    let num_drafts = output.num_spec_tokens_to_schedule;
    iteration.k = (num_drafts != config.num_speculative_tokens()).then_some(num_drafts);
    iteration.s =
        Some(scheduled.map(|part| (part.id.0, part.num_scheduled_tokens, part.num_computed_tokens)).collect());
    iteration.new = output.new_reqs.iter().map(|new| (new.id.0, new.num_cached_tokens)).collect();
    iteration.res = output.resumed_reqs.iter().map(|resumed| (resumed.id.0, resumed.num_cached_tokens)).collect();
    iteration.pre = output.preempted_reqs.iter().map(|id| id.0).collect();
    iteration.free = Some(output.num_free_blocks);
    iteration.run = Some(output.num_running_reqs);
    iteration.wait = Some(output.num_waiting_reqs);
    if let Some(pass) = &output.kv_connector {
        let loads = pass.async_loads.iter();
        iteration.load = loads.map(|load| (load.id.0, load.num_computed_tokens, load.num_external_tokens)).collect();
        iteration.ext = pass.sync_loads.iter().map(|load| (load.id.0, load.num_external_tokens)).collect();
        iteration.ready = pass.ready.iter().map(|&(id, num_computed_tokens)| (id.0, num_computed_tokens)).collect();
        iteration.hold = pass.num_holding;
        let stores = pass.jobs.iter().filter(|job| job.is_store);
        iteration.store = stores.map(|job| (job.id, job.request.0, job.num_blocks)).collect();
        iteration.flush.clone_from(&pass.jobs_to_flush);
        iteration.tier = pass.num_resident_chunks;
        write_tiers(&pass.tiers, iteration);
    }
}

fn write_tiers(tiers: &TierPass, iteration: &mut Iteration) {
    let begun = |is_promotion| {
        let jobs = tiers.begun.iter().filter(move |job| job.is_promotion == is_promotion);
        jobs.map(|job| (job.id, job.tier, job.request.0, job.num_chunks)).collect()
    };
    (iteration.cascade, iteration.promote) = (begun(false), begun(true));
    iteration.ask = tiers.lookups.iter().map(|asked| (asked.tier, asked.num_requests, asked.num_chunks)).collect();
    iteration.polled.clone_from(&tiers.over);
    iteration.polled.sort_unstable();
    if tiers.num_chunks.iter().any(|&num| num > 0) {
        iteration.files.clone_from(&tiers.num_chunks);
    }
    iteration.disk = tiers.loaded.iter().map(|&(id, num_tokens)| (id.0, num_tokens)).collect();
}
