//! The numbers of a profile that may be fitted to runs.

use sim_core::profile::Profile;
use sim_core::profile::schema::{Basis, Cost};

/// A number of a profile that may be fitted; all are microseconds and at least 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Term {
    /// `host.schedule.per_pass`.
    SchedulePerPass,
    /// `host.schedule.per_request`.
    SchedulePerRequest,
    /// `host.update.per_pass`.
    UpdatePerPass,
    /// `host.update.per_request`.
    UpdatePerRequest,
    /// `front_end.request_latency.per_request`.
    RequestPerRequest,
    /// `front_end.request_latency.per_prompt_token`.
    RequestPerPromptToken,
    /// `front_end.output_latency.per_pass`.
    OutputPerPass,
    /// `front_end.output_latency.per_token`.
    OutputPerToken,
    /// `host.between_passes.per_pass`.
    BetweenPassesPerPass,
    /// `host.between_passes.per_request`.
    BetweenPassesPerRequest,
    /// `front_end.work.per_request`, of profiles whose front end queues.
    WorkPerRequest,
    /// `front_end.work.per_pass`, likewise.
    WorkPerPass,
    /// `front_end.work.per_token`, likewise.
    WorkPerToken,
}

impl Term {
    /// All of them.
    #[cfg(test)]
    const ALL: [Self; 13] = [
        Self::BetweenPassesPerPass,
        Self::BetweenPassesPerRequest,
        Self::SchedulePerPass,
        Self::SchedulePerRequest,
        Self::UpdatePerPass,
        Self::UpdatePerRequest,
        Self::RequestPerRequest,
        Self::RequestPerPromptToken,
        Self::OutputPerPass,
        Self::OutputPerToken,
        Self::WorkPerRequest,
        Self::WorkPerPass,
        Self::WorkPerToken,
    ];

    /// Where it stands in the file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SchedulePerPass => "host.schedule.per_pass",
            Self::SchedulePerRequest => "host.schedule.per_request",
            Self::UpdatePerPass => "host.update.per_pass",
            Self::UpdatePerRequest => "host.update.per_request",
            Self::RequestPerRequest => "front_end.request_latency.per_request",
            Self::RequestPerPromptToken => "front_end.request_latency.per_prompt_token",
            Self::OutputPerPass => "front_end.output_latency.per_pass",
            Self::OutputPerToken => "front_end.output_latency.per_token",
            Self::BetweenPassesPerPass => "host.between_passes.per_pass",
            Self::BetweenPassesPerRequest => "host.between_passes.per_request",
            Self::WorkPerRequest => "front_end.work.per_request",
            Self::WorkPerPass => "front_end.work.per_pass",
            Self::WorkPerToken => "front_end.work.per_token",
        }
    }

    /// A change that matters: the order of magnitude of the term.
    pub(crate) const fn step(self) -> f64 {
        match self {
            Self::SchedulePerPass | Self::UpdatePerPass | Self::OutputPerPass | Self::BetweenPassesPerPass => 300.0,
            // Less makes no queue.
            Self::WorkPerRequest | Self::WorkPerPass => 3000.0,
            Self::WorkPerToken => 100.0,
            Self::SchedulePerRequest
            | Self::UpdatePerRequest
            | Self::OutputPerToken
            | Self::BetweenPassesPerRequest => 10.0,
            Self::RequestPerRequest => 3000.0,
            Self::RequestPerPromptToken => 3.0,
        }
    }

    /// Its value in `profile`, in microseconds; 0 if the profile has no such number.
    pub(crate) fn value(self, profile: &Profile) -> f64 {
        self.cost(profile).map_or(0.0, |cost| cost.time_us)
    }

    /// Whether `profile` has such a number.
    pub(crate) const fn is_in(self, profile: &Profile) -> bool {
        self.cost(profile).is_some()
    }

    /// Gives it `time_us`, in steps of a nanosecond.
    pub(crate) fn set(self, profile: &mut Profile, time_us: f64) {
        if let Some(cost) = self.cost_mut(profile) {
            cost.time_us = (time_us * 1000.0).round() / 1000.0;
        }
    }

    /// Says in `profile` what the term rests on.
    pub(crate) fn justify(self, profile: &mut Profile, basis: Basis, reason: &str) {
        if let Some(cost) = self.cost_mut(profile) {
            cost.basis = basis;
            reason.clone_into(&mut cost.reason);
        }
    }

    const fn cost(self, profile: &Profile) -> Option<&Cost> {
        let (host, front_end) = (&profile.host, &profile.front_end);
        Some(match self {
            Self::SchedulePerPass => &host.schedule.per_pass,
            Self::SchedulePerRequest => &host.schedule.per_request,
            Self::UpdatePerPass => &host.update.per_pass,
            Self::UpdatePerRequest => &host.update.per_request,
            Self::BetweenPassesPerPass => &host.between_passes.per_pass,
            Self::BetweenPassesPerRequest => &host.between_passes.per_request,
            Self::RequestPerRequest => &front_end.request_latency.per_request,
            Self::RequestPerPromptToken => &front_end.request_latency.per_prompt_token,
            Self::OutputPerPass => &front_end.output_latency.per_pass,
            Self::OutputPerToken => &front_end.output_latency.per_token,
            Self::WorkPerRequest | Self::WorkPerPass | Self::WorkPerToken => {
                let Some(work) = &front_end.work else { return None };
                match self {
                    Self::WorkPerRequest => &work.per_request,
                    Self::WorkPerPass => &work.per_pass,
                    _ => &work.per_token,
                }
            }
        })
    }

    const fn cost_mut(self, profile: &mut Profile) -> Option<&mut Cost> {
        let (host, front_end) = (&mut profile.host, &mut profile.front_end);
        Some(match self {
            Self::SchedulePerPass => &mut host.schedule.per_pass,
            Self::SchedulePerRequest => &mut host.schedule.per_request,
            Self::UpdatePerPass => &mut host.update.per_pass,
            Self::UpdatePerRequest => &mut host.update.per_request,
            Self::BetweenPassesPerPass => &mut host.between_passes.per_pass,
            Self::BetweenPassesPerRequest => &mut host.between_passes.per_request,
            Self::RequestPerRequest => &mut front_end.request_latency.per_request,
            Self::RequestPerPromptToken => &mut front_end.request_latency.per_prompt_token,
            Self::OutputPerPass => &mut front_end.output_latency.per_pass,
            Self::OutputPerToken => &mut front_end.output_latency.per_token,
            Self::WorkPerRequest | Self::WorkPerPass | Self::WorkPerToken => {
                let Some(work) = &mut front_end.work else { return None };
                match self {
                    Self::WorkPerRequest => &mut work.per_request,
                    Self::WorkPerPass => &mut work.per_pass,
                    _ => &mut work.per_token,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use sim_core::profile::SyntheticCosts;
    use sim_core::profile::schema::FrontEndWork;

    use super::*;

    #[test]
    fn each_term_changes_its_own_number_and_no_other() {
        let mut profile = SyntheticCosts::default().profile();
        assert!(!Term::WorkPerPass.is_in(&profile), "no queue, no work");
        let none = profile.front_end.output_latency.per_token.clone();
        let [per_request, per_prompt_token, per_pass, per_token, per_chunk] = [(); 5].map(|()| none.clone());
        profile.front_end.work = Some(FrontEndWork { per_request, per_prompt_token, per_pass, per_token, per_chunk });
        for term in Term::ALL {
            let mut changed = profile.clone();
            term.set(&mut changed, 123.4567);
            for other in Term::ALL {
                let expect = if other == term { 123.457 } else { other.value(&profile) };
                assert_eq!(other.value(&changed).to_bits(), expect.to_bits(), "{} after {}", other.name(), term.name());
            }
            assert_eq!(changed.step_time, profile.step_time, "{}", term.name());
        }
    }
}
