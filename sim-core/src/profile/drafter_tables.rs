//! What a drafter takes behind a pass.

use alloc::format;

use super::error::ProfileError;
use super::schema::Profile;
use super::step_time_settings::Drafting;
use super::table::Curve;

/// A drafter's runs behind a pass.
#[derive(Debug, Clone)]
pub(super) struct DrafterTables {
    pub(super) first_run: Curve,
    pub(super) next_run: Option<Curve>,
}

impl DrafterTables {
    /// Those of the profile's drafter by `drafting`'s method.
    ///
    /// # Errors
    /// [`ProfileError::Settings`] if the profile has none.
    pub(super) fn new(profile: &Profile, drafting: &Drafting) -> Result<Self, ProfileError> {
        let method = drafting.method.name();
        let Some(drafter) = profile.drafters.iter().find(|drafter| drafter.method == method) else {
            let message = format!("the profile has no times of a drafter by {method}");
            return Err(ProfileError::Settings { setting: "drafters", message });
        };
        Ok(Self {
            first_run: Curve::new(&drafter.first_run.num_tokens, &drafter.first_run.time_us),
            next_run: drafter.next_run.as_ref().map(|next| Curve::new(&next.num_seqs, &next.time_us)),
        })
    }
}
