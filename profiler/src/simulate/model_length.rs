//! The length that a profile's engine has: the model's own, unless `--max-model-len` says another.

use anyhow::Result;
use sim_core::profile::Profile;
use sim_core::scenario::{Scenario, ScenarioError};

/// Gives `profile` the length that `flags` ask for, as vLLM would take it on start-up. A model whose own context the
/// memory does not hold makes a profile all the same: whoever serves it gives the flag, and is told so.
///
/// # Errors
/// If the length that was asked for does not fit, or is above the model's.
#[expect(clippy::print_stderr, reason = "doubts go to stderr, the profile to stdout")]
pub(crate) fn settle(profile: &mut Profile, flags: &Scenario) -> Result<()> {
    if let Some(length) = flags.get("max-model-len") {
        let mut asked = Scenario::default();
        asked.set("max-model-len", Some(length))?;
        profile.engine.max_model_len = asked.resolve(profile)?.config.max_model_len;
        return Ok(());
    }
    if let Err(error @ ScenarioError::Config(_)) = Scenario::default().resolve(profile) {
        eprintln!("note: {error}");
    }
    Ok(())
}
