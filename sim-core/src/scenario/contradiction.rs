//! Flags that contradict each other whatever the profile is.

use super::{Scenario, ScenarioError, WorkloadArgs};
use crate::config::{ConfigError, EngineArgs};

impl Scenario {
    /// The first contradiction between flags that needs no profile and no file to be seen; [`super::prepare()`] refuses
    /// it, too. `None` is no promise that the scenario runs.
    #[must_use]
    pub fn contradiction(&self) -> Option<ScenarioError> {
        let (workload, engine) = (self.workload(), self.engine());
        let checked = workload
            .check_used(workload.dataset_name())
            .and_then(|()| Ok(workload.traffic().check()?))
            .and_then(|()| Ok(scheduler(engine)?))
            .and_then(|()| acceptance(workload, engine));
        checked.err()
    }
}

/// Of `SchedulerConfig.verify_max_model_len` what is decided by values that were given.
fn scheduler(args: &EngineArgs) -> Result<(), ConfigError> {
    let max_model_len = args.max_model_len.and_then(|length| u32::try_from(length).ok());
    if let (Some(max_num_batched_tokens), Some(max_model_len), Some(false)) =
        (args.max_num_batched_tokens, max_model_len, args.enable_chunked_prefill)
        && max_num_batched_tokens < i64::from(max_model_len)
    {
        return Err(ConfigError::MaxNumBatchedTokensBelowMaxModelLen { max_num_batched_tokens, max_model_len });
    }
    if let (Some(max_num_batched_tokens), Some(max_num_seqs)) = (args.max_num_batched_tokens, args.max_num_seqs)
        && max_num_batched_tokens < max_num_seqs
    {
        return Err(ConfigError::MaxNumBatchedTokensBelowMaxNumSeqs { max_num_batched_tokens, max_num_seqs });
    }
    if let (Some(max_num_active_seqs), Some(max_num_seqs)) = (args.max_num_active_seqs, args.max_num_seqs)
        && max_num_active_seqs > max_num_seqs
    {
        return Err(ConfigError::MaxNumActiveSeqsAboveMaxNumSeqs { max_num_active_seqs, max_num_seqs });
    }
    if let (Some(long_prefill_token_threshold), Some(max_model_len)) =
        (args.long_prefill_token_threshold, max_model_len)
        && long_prefill_token_threshold > i64::from(max_model_len)
    {
        let error =
            ConfigError::LongPrefillTokenThresholdAboveMaxModelLen { long_prefill_token_threshold, max_model_len };
        return Err(error);
    }
    Ok(())
}

/// Whether what is said of accepted drafts is said once, and of the drafter that there is.
fn acceptance(workload: &WorkloadArgs, engine: &EngineArgs) -> Result<(), ScenarioError> {
    let mut given = workload.acceptance_flags();
    let (first, second) = (given.next(), given.next());
    let Some(drafter) = &engine.speculative_config else {
        return first.map_or(Ok(()), |flag| Err(ScenarioError::AcceptanceWithoutDrafter { flag }));
    };
    let is_synthetic = drafter.rejection_sample_method.as_deref() == Some("synthetic");
    let (first, second) = if is_synthetic { (Some("speculative-config"), first) } else { (first, second) };
    match (first, second) {
        (Some(first), Some(second)) => Err(ScenarioError::TwoAcceptances { first, second }),
        _ => Ok(()),
    }
}
