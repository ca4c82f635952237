//! The engines of either role, from flags and files: `--prefill-args`, `--prefill-profile` and the same of decode.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use sim_core::fleet::disaggregated::settings::prefill_workload;
use sim_core::scenario::{Prepared, Ranks, Role, RoleEngine};
use sim_core::workload::Workload;

use super::inputs::Inputs;

/// A role's own whole-pass profile.
#[derive(Debug, clap::Args)]
pub(crate) struct RoleProfiles {
    /// A whole-pass profile of the prefill replicas' step times [default: as for all]
    #[arg(long, value_name = "PATH")]
    prefill_profile: Option<PathBuf>,
    /// A whole-pass profile of the decode replicas' step times [default: as for all]
    #[arg(long, value_name = "PATH")]
    decode_profile: Option<PathBuf>,
}

impl RoleProfiles {
    const fn of(&self, role: Role) -> Option<&PathBuf> {
        match role {
            Role::Prefill => self.prefill_profile.as_ref(),
            Role::Decode => self.decode_profile.as_ref(),
        }
    }

    /// Refuses a profile of a role that is not there.
    ///
    /// # Errors
    /// Which flag that is.
    pub(crate) fn check(&self, has_roles: bool) -> Result<()> {
        for role in Role::ALL {
            ensure!(
                has_roles || self.of(role).is_none(),
                "--{role}-profile is of {role} replicas: give --prefill-replicas and --decode-replicas"
            );
        }
        Ok(())
    }

    /// The engine of either role: as `prepared`, each one of `ranks`, unless the role has a profile or flags of its own.
    ///
    /// # Errors
    /// If a file cannot be read, and what vLLM would refuse; it names the role.
    pub(crate) fn engines(&self, inputs: &Inputs, (prepared, ranks): (&Prepared, Ranks)) -> Result<[RoleEngine; 2]> {
        let prefill = prefill_workload(&prepared.workload);
        let engine = |role: Role, workload: &Workload| {
            let profile = self.of(role).map(PathBuf::as_path);
            if profile.is_none() && !inputs.scenario.has_own_args(role) {
                return Ok(RoleEngine::of_all(prepared, ranks, &inputs.choice.profile));
            }
            own_engine(role, inputs, profile, workload)
        };
        Ok([engine(Role::Prefill, &prefill)?, engine(Role::Decode, &prepared.workload)?])
    }
}

fn own_engine(role: Role, inputs: &Inputs, profile: Option<&Path>, workload: &Workload) -> Result<RoleEngine> {
    let scenario = inputs.scenario.of_role(role)?;
    let choice = inputs.choice.of_role(&scenario, profile).with_context(|| format!("{role} replicas"))?;
    Ok(RoleEngine::new(role, &scenario, (&choice.profile, choice.is_of_lockstep), workload)?)
}
