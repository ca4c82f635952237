//! The profile of a measurement.

use anyhow::{Context as _, Result};
use sim_core::profile::schema::{
    Basis, Bytes, Cost, Drafter, FrontEnd, OutputLatency, OverTokens, Provenance, ProvenanceKind, RequestLatency,
    Source, Validation, ValidationStep,
};
use sim_core::profile::{CaptureSizes, Profile, StepTimeModel};

use super::coverage::Coverage;
use super::fit::host::host;
use super::fit::observation::{Observation, of_points};
use super::fit::support::measured_design;
use super::fit::tables::tables;
use super::fit::{Fit, fit};
use super::limits::chunk_pairs;
use super::plan::{Plan, Role};
use super::point_times::undisturbed;
use super::sample::{Visit, micros};
use super::warnings::Warning;
use crate::engine::EngineFacts;
use crate::engine::step_times::step_time_settings;

/// Fits the samples and puts a profile together, held-out passes compared.
///
/// # Errors
/// If too little was measured for its tables, or the facts make no valid profile.
pub(crate) fn assemble(
    facts: &EngineFacts,
    plan: &Plan,
    visits: &[Visit],
    coverage: &Coverage,
    drift: Option<(f64, f64)>,
    warnings: &[Warning],
) -> Result<Profile> {
    let undisturbed = undisturbed(plan, visits);
    let points = of_points(plan, &undisturbed);
    let of_role = |role: Role| {
        let all = plan.points.iter().zip(&points).filter(move |(point, _)| point.role == role);
        all.filter_map(|(_, observation)| observation.as_ref())
    };
    let observations: Vec<Observation> = of_role(Role::Fit).cloned().collect();
    let design = measured_design(plan, &facts.capture_sizes, &observations)?;
    let fit = fit(design, &observations);
    let mut profile = profile(facts, &undisturbed, &fit, &observations);
    profile.provenance.notes = notes(facts, plan, visits, coverage, warnings);
    profile.provenance.notes.extend(drift.map(drift_note));
    let model = step_time_model(facts, &profile)?;
    profile.validation.steps = of_role(Role::HeldOut).map(|observation| held_out_step(observation, &model)).collect();
    profile.validate().context("the measurement makes no valid profile")?;
    Ok(profile)
}

fn profile(facts: &EngineFacts, undisturbed: &[&Visit], fit: &Fit, observations: &[Observation]) -> Profile {
    Profile {
        version: Profile::VERSION,
        provenance: Provenance {
            kind: ProvenanceKind::Measured,
            tool: "profiler".to_owned(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            date: jiff::Zoned::now().strftime("%Y-%m-%d").to_string(),
            sources: vec![Source {
                name: "vLLM".to_owned(),
                version: facts.engine.vllm_version.clone(),
                licence: "Apache-2.0".to_owned(),
                url: "https://github.com/vllm-project/vllm".to_owned(),
            }],
            host: Some(facts.host.clone()),
            range: None,
            notes: vec![],
        },
        model: facts.model.clone(),
        hardware: facts.hardware.clone(),
        engine: facts.engine.clone(),
        memory: facts.memory.clone(),
        step_time: tables(fit, observations),
        drafters: drafters(facts),
        host: host(undisturbed),
        front_end: no_front_end(),
        validation: Validation::default(),
        smoothing: vec![],
    }
}

/// The drafter, whose own time is within the passes: n-grams are looked up before the engine has a pass's tokens.
fn drafters(facts: &EngineFacts) -> Vec<Drafter> {
    let drafter = facts.config.speculative.as_ref().map(|drafter| Drafter {
        method: drafter.method.name().to_owned(),
        model: None,
        kv_cache_layers: vec![],
        memory: Bytes { bytes: 0, basis: Basis::Derived, reason: "A drafter by n-grams has no weights.".to_owned() },
        first_run: OverTokens {
            num_tokens: vec![1, facts.config.max_num_batched_tokens.max(2)],
            time_us: vec![0.0, 0.0],
            num_samples: None,
            spread_us: None,
        },
        next_run: None,
    });
    drafter.into_iter().collect()
}

/// The engine runs in the process that measures it.
fn no_front_end() -> FrontEnd {
    let none = || Cost {
        time_us: 0.0,
        basis: Basis::Measured,
        reason: "In-process engine: there is no front end.".to_owned(),
    };
    FrontEnd {
        request_latency: RequestLatency { per_request: none(), per_prompt_token: none() },
        output_latency: OutputLatency { per_pass: none(), per_token: none() },
        work: None,
    }
}

/// What a reader must know: how it was measured, how much of the plan, and all doubts.
fn notes(facts: &EngineFacts, plan: &Plan, visits: &[Visit], coverage: &Coverage, warnings: &[Warning]) -> Vec<String> {
    let total = coverage.total();
    let seconds = micros(visits.iter().map(|visit| visit.spent_ns).sum()) / 1e6;
    let versions: Vec<String> = facts.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let mut notes = vec![
        format!(
            "Whole passes were timed; the tables are a fit to their medians, and the samples and the spread beside a \
             value are those of the passes it has a large part in. Measured with {}.",
            versions.join(", ")
        ),
        format!(
            "{} of {} planned passes were measured in {seconds:.0} s: {} samples, {} outliers rejected.",
            total.num_measured, total.num_points, total.num_samples, total.num_outliers
        ),
    ];
    if let Some(num_drafts) = plan.limits.num_drafts {
        notes.push(format!(
            "Verifications of {num_drafts} drafts were measured with drafts of no meaning in the place of the drafter's. \
             Its own time is in all passes, and its time in drafters is 0."
        ));
    }
    if !plan.limits.has_prefix_caching {
        notes.push("Prefix caching is off: prompt parts over earlier tokens were measured as ends of prompts.".into());
    }
    notes.extend(warnings.iter().map(Warning::to_string));
    notes
}

fn drift_note((fastest, slowest): (f64, f64)) -> String {
    format!(
        "Corrected for drift: points that were visited again and again took from {:+.1} % to {:+.1} % of their usual time; \
         each pass's time is as of a machine that stays usual.",
        100.0 * fastest,
        100.0 * slowest
    )
}

fn step_time_model(facts: &EngineFacts, profile: &Profile) -> Result<StepTimeModel> {
    let capture_sizes = if facts.capture_sizes.is_empty() {
        CaptureSizes::none()
    } else {
        CaptureSizes::explicit(&facts.capture_sizes, facts.config.max_num_batched_tokens)?
    };
    let settings = step_time_settings(&facts.config, capture_sizes);
    StepTimeModel::new(profile, &settings).context("the measurement makes no valid profile")
}

fn held_out_step(observation: &Observation, model: &StepTimeModel) -> ValidationStep {
    let batch = &observation.batch;
    ValidationStep {
        prefill_chunks: chunk_pairs(batch),
        num_decodes: batch.num_decodes,
        decode_context_tokens: batch.decode_context_tokens,
        measured_us: (observation.time.median * 1e3).round() / 1e3,
        predicted_us: micros(model.predict(batch).duration.as_nanos()),
    }
}
