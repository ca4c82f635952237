//! How many drafts are accepted: what the workload says, or vLLM's synthetic method.

use super::{ScenarioError, WorkloadArgs};
use crate::config::{ConfigError, EngineArgs, EngineConfig};
use crate::speculative::Acceptance;

/// The acceptance of a run, on the engine that `config` became of `engine`.
///
/// # Errors
/// [`ScenarioError::NoAcceptance`] if an engine with a drafter is told nothing, [`ScenarioError::TwoAcceptances`] if it
/// is told two things, [`ScenarioError::AcceptanceWithoutDrafter`], [`ScenarioError::Acceptance`].
pub(super) fn acceptance(
    workload: &WorkloadArgs,
    engine: &EngineArgs,
    config: &EngineConfig,
) -> Result<Acceptance, ScenarioError> {
    let seed = u64::from(workload.seed());
    let rates = workload.spec_acceptance_rates.as_deref();
    let (length, sequence) = (workload.spec_acceptance_length, workload.spec_acceptance_sequence.as_ref());
    let mut given = workload.acceptance_flags();
    let (first, second) = (given.next(), given.next());
    let (Some(_), Some(args)) = (&config.speculative, &engine.speculative_config) else {
        return match first {
            Some(flag) => Err(ScenarioError::AcceptanceWithoutDrafter { flag }),
            None => Ok(Acceptance::None),
        };
    };
    let num_drafts = config.num_speculative_tokens();
    let refused = |error| ScenarioError::Config(ConfigError::Speculation(error));
    let synthetic = args.synthetic(num_drafts, seed).map_err(refused)?;
    let (first, second) = match (synthetic.is_some(), first) {
        (true, Some(flag)) => (Some("speculative-config"), Some(flag)),
        _ => (first, second),
    };
    if let (Some(first), Some(second)) = (first, second) {
        return Err(ScenarioError::TwoAcceptances { first, second });
    }
    if let Some(synthetic) = synthetic {
        return Ok(synthetic);
    }
    let made = match (rates, length, sequence) {
        (Some(rates), ..) => Acceptance::conditional(rates, num_drafts, seed),
        (_, Some(length), _) => Acceptance::even_rate(length, num_drafts, seed),
        (.., Some(sequence)) => Ok(Acceptance::Sequence(sequence.clone())),
        _ => return Err(ScenarioError::NoAcceptance { num_drafts }),
    };
    made.map_err(|error| ScenarioError::Acceptance { flag: first.unwrap_or("speculative-config"), error })
}

impl WorkloadArgs {
    /// The flags that were given of those that say how many drafts are accepted.
    pub(super) fn acceptance_flags(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            ("spec-acceptance-rates", self.spec_acceptance_rates.is_some()),
            ("spec-acceptance-length", self.spec_acceptance_length.is_some()),
            ("spec-acceptance-sequence", self.spec_acceptance_sequence.is_some()),
        ];
        given.into_iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }
}
