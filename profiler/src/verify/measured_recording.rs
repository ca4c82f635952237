//! A run of the real engine as a recording of the simulator, with the times that were measured: so that the same tables
//! and files are made of both.

use anyhow::{Context as _, Result, ensure};
use sim_core::metrics::emissions::EmissionIndex;
use sim_core::metrics::recorder::{Recording, WeightedGap};
use sim_core::profile::synthetic::SyntheticCosts;
use sim_core::profile::{StepTimeModel, StepTimeSettings};
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::time::SimTime;
use sim_core::workload::{Traffic, Workload};

use super::metrics::script_requests;
use super::replay::Admissions;
use crate::engine::{EngineFacts, Run, Script};

/// The recording of `run`, whose schedule must be the simulator's: that says which pass gave which token to whom.
/// `send_times_ns` are the requests' own, if they joined by the clock.
///
/// # Errors
/// If the passes are not the simulator's.
pub(crate) fn measured_recording(
    facts: &EngineFacts,
    script: &Script,
    run: &Run,
    send_times_ns: Option<&[u64]>,
) -> Result<Recording> {
    let mut recording = simulated(facts, script, run)?;
    let has_tokens = |at: &usize| run.passes[*at].iteration.s.as_ref().is_some_and(|parts| !parts.is_empty());
    let issued_at: Vec<usize> = (0..run.passes.len()).filter(has_tokens).collect();
    ensure!(issued_at.len() == recording.passes.len(), "the engine ran other passes than the simulator");
    // Iteration in which a pass's tokens came out; its own if scheduling is synchronous.
    let mut delivered_at: Vec<usize> = (0..run.passes.len()).collect();
    let mut joined_at = vec![0; recording.requests.len()];
    for (at, pass) in run.passes.iter().enumerate() {
        if let Some(issued_at) = pass.iteration.done {
            *delivered_at.get_mut(issued_at as usize).context("a result of an unknown pass")? = at;
        }
        for &request in &pass.iteration.add {
            *joined_at.get_mut(request as usize).context("an unknown request")? = pass.instants.begin;
        }
    }
    recording.passes.change(|index, record| {
        let at = issued_at[index];
        let (issued, delivered) = (run.passes[at].instants, run.passes[delivered_at[at]].instants);
        record.schedule_time = SimTime::from_nanos(issued.called);
        record.start_time = SimTime::from_nanos(issued.scheduled);
        record.end_time = SimTime::from_nanos(delivered.executed);
        record.output_time = SimTime::from_nanos(delivered.end);
        record.delivery_time = record.output_time;
    });
    recording.requests.change(|index, record| {
        record.queued_time = SimTime::from_nanos(joined_at[index]);
        let sent = send_times_ns.and_then(|times| times.get(index));
        record.send_time = sent.map_or(record.queued_time, |&time| SimTime::from_nanos(time));
        record.scheduled_send_time = record.send_time;
    });
    let index = EmissionIndex::new(&recording);
    let gaps = (0..recording.requests.len()).flat_map(|request| index.itls(request));
    recording.gaps = gaps.map(|gap| WeightedGap { gap, count: 1 }).collect();
    Ok(recording)
}

/// The same passes, at times of no interest.
fn simulated(facts: &EngineFacts, script: &Script, run: &Run) -> Result<Recording> {
    let profile = SyntheticCosts::default().profile();
    let config = &facts.config;
    let settings = StepTimeSettings::vllm_default(&profile, config.max_num_seqs, config.max_num_batched_tokens);
    let Admissions { queries_per_iter, aborts } = script_requests::admissions(script);
    let workload = Workload {
        requests: script_requests::requests(script, run)?,
        traffic: Traffic::QueriesPerIter { queries_per_iter, join_order: vec![], aborts },
        earlier: vec![],
    };
    let model = StepTimeModel::new(&profile, &settings)?;
    Ok(simulate(&workload, config, &model, SimulationOptions { record_emissions: true })?.recording)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine as _;
    use crate::engine::mock::MockEngine;
    use crate::verify::random_workload::random_workload;

    #[test]
    fn it_holds_the_instants_of_the_run() {
        for seed in 0..20 {
            let mut engine = MockEngine::tight(seed);
            let facts = engine.facts().clone();
            let script = random_workload(seed, &facts.config, 2048);
            let run = engine.run(&script).expect("a run");
            let recording = measured_recording(&facts, &script, &run, None).expect("the same passes");
            let mut num_finished = 0;
            for pass in &run.passes {
                for (request, _, num_output_tokens) in &pass.iteration.fin {
                    num_finished += 1;
                    let record = recording.requests.get(*request as usize).expect("a request");
                    let instants = recording.instants(record).expect("finished");
                    assert_eq!(instants.last_delivery.as_nanos(), pass.instants.end, "seed {seed}, request {request}");
                    assert_eq!(record.num_output_tokens, *num_output_tokens, "seed {seed}, request {request}");
                }
            }
            let finished = recording.requests.iter().filter(|record| record.is_finished);
            assert_eq!(finished.clone().count(), num_finished, "seed {seed}");
            let num_gaps: u32 = finished.map(|record| record.num_output_tokens - 1).sum();
            assert!(recording.gaps.len() >= num_gaps as usize, "seed {seed}: gaps of every request");
        }
    }
}
