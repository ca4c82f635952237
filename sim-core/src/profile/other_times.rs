//! The same device with other times: all of them longer, or each another.

use super::host_times::ClientWork;
use super::offloading_link::OffloadingLink;
use super::pass_times::PassTimes;
use super::schema::PassNoise;
use super::step_time::StepTimeModel;
use super::tier_speeds::TierSpeeds;
use crate::time::SimDuration;

impl StepTimeModel {
    /// The same device, were each of its passes `factor` times as long: an end of a
    /// [`StatedRange`](super::uncertainty::StatedRange). Host and front end are no part of the device, and stay. A factor
    /// that is no positive number changes nothing.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        let is_factor = factor > 0.0 && factor <= f64::MAX;
        let mut other = self.clone();
        other.factor = if is_factor { factor } else { 1.0 };
        other
    }

    /// The same device with passes that differ as `noise` says, drawn by `seed`; [`Self::predict`] stays the expectation.
    #[must_use]
    pub fn with_noise(&self, noise: &PassNoise, seed: u64) -> Self {
        let mut other = self.clone();
        other.noise = Some(PassTimes::new(noise, seed));
        other
    }

    /// The same device, whose client's one thread works so long for each request and each token.
    #[must_use]
    pub fn with_client_work(mut self, per_request: SimDuration, per_token: SimDuration) -> Self {
        self.host = self.host.with_client_work(ClientWork { per_request, per_token });
        self
    }

    /// The same device with another link to the host's memory.
    #[must_use]
    pub fn with_offloading_link(mut self, link: OffloadingLink) -> Self {
        self.host = self.host.with_offloading_link(link);
        self
    }

    /// The same device with other tiers behind the host's memory.
    #[must_use]
    pub fn with_tier_speeds(mut self, speeds: TierSpeeds) -> Self {
        self.host = self.host.with_tier_speeds(speeds);
        self
    }

    /// The same with other draws of the noise; number 0 are its own. `None` without noise, where all would be alike.
    pub(crate) fn drawn_again(&self, draw: u64) -> Option<Self> {
        let mut other = self.clone();
        other.noise = Some(self.noise.as_ref()?.drawn_again(draw));
        Some(other)
    }

    /// The draws of a run; `None` if every pass takes what is predicted.
    pub(crate) fn noise(&self) -> Option<PassTimes> {
        self.noise.clone()
    }
}
