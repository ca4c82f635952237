//! The numbers of a profile that may be fitted to runs.

use sim_core::profile::Profile;
use sim_core::profile::schema::{Basis, Cost, Head};

/// A number of a profile that may be fitted; all are at least 0, and microseconds but for the factor.
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
    /// Time of the device between two passes that no operator's table holds (sampling, input kernels, gaps): once per
    /// pass. It is added to the head's table, to what a
    /// derived profile has there already, and is 0 until fitted.
    GapPerPass,
    /// The same for each request of the pass.
    GapPerRequest,
    /// What the decode attention's times are multiplied by: no part of a profile, but a calibration must not take for host
    /// time that kernels of another vLLM were slower. 1 until fitted.
    DecodeAttentionFactor,
}

impl Term {
    /// The terms of the profile's `host` and `front_end`.
    #[cfg(test)]
    const HOST_AND_FRONT_END: [Self; 8] = [
        Self::SchedulePerPass,
        Self::SchedulePerRequest,
        Self::UpdatePerPass,
        Self::UpdatePerRequest,
        Self::RequestPerRequest,
        Self::RequestPerPromptToken,
        Self::OutputPerPass,
        Self::OutputPerToken,
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
            Self::GapPerPass => "added device time between passes, per pass",
            Self::GapPerRequest => "added device time between passes, per request",
            Self::DecodeAttentionFactor => "factor of decode attention",
        }
    }

    /// A change that matters: the order of magnitude of the term.
    pub(crate) const fn step(self) -> f64 {
        match self {
            Self::SchedulePerPass | Self::UpdatePerPass | Self::OutputPerPass | Self::GapPerPass => 300.0,
            Self::SchedulePerRequest | Self::UpdatePerRequest | Self::OutputPerToken | Self::GapPerRequest => 10.0,
            Self::RequestPerRequest => 3000.0,
            Self::RequestPerPromptToken => 3.0,
            Self::DecodeAttentionFactor => 0.2,
        }
    }

    /// Its value in `profile`.
    pub(crate) fn value(self, profile: &Profile) -> f64 {
        // A gap is what is added to a table, so a profile as it stands has none.
        let of_table = if self == Self::DecodeAttentionFactor { 1.0 } else { 0.0 };
        self.cost(profile).map_or(of_table, |cost| cost.time_us)
    }

    /// Gives it `time_us`, in steps of a nanosecond; a gap is added to the head's table.
    pub(crate) fn set(self, profile: &mut Profile, time_us: f64) {
        let time_us = (time_us * 1000.0).round() / 1000.0;
        if let Some(cost) = self.cost_mut(profile) {
            cost.time_us = time_us;
            return;
        }
        if self == Self::DecodeAttentionFactor {
            profile.step_time.decode_attention.time_us.iter_mut().flatten().flatten().for_each(|time| *time *= time_us);
            return;
        }
        let head = &mut profile.step_time.head;
        if self == Self::GapPerPass {
            add_to_head(head, time_us, 0.0);
        } else {
            add_to_head(head, 0.0, time_us);
        }
    }

    /// Says in `profile` what the term rests on; nothing for a gap, which is part of a table.
    pub(crate) fn justify(self, profile: &mut Profile, basis: Basis, reason: &str) {
        if let Some(cost) = self.cost_mut(profile) {
            cost.basis = basis;
            reason.clone_into(&mut cost.reason);
        }
    }

    fn cost(self, profile: &Profile) -> Option<&Cost> {
        let (host, front_end) = (&profile.host, &profile.front_end);
        Some(match self {
            Self::SchedulePerPass => &host.schedule.per_pass,
            Self::SchedulePerRequest => &host.schedule.per_request,
            Self::UpdatePerPass => &host.update.per_pass,
            Self::UpdatePerRequest => &host.update.per_request,
            Self::RequestPerRequest => &front_end.request_latency.per_request,
            Self::RequestPerPromptToken => &front_end.request_latency.per_prompt_token,
            Self::OutputPerPass => &front_end.output_latency.per_pass,
            Self::OutputPerToken => &front_end.output_latency.per_token,
            Self::GapPerPass | Self::GapPerRequest | Self::DecodeAttentionFactor => return None,
        })
    }

    fn cost_mut(self, profile: &mut Profile) -> Option<&mut Cost> {
        let (host, front_end) = (&mut profile.host, &mut profile.front_end);
        Some(match self {
            Self::SchedulePerPass => &mut host.schedule.per_pass,
            Self::SchedulePerRequest => &mut host.schedule.per_request,
            Self::UpdatePerPass => &mut host.update.per_pass,
            Self::UpdatePerRequest => &mut host.update.per_request,
            Self::RequestPerRequest => &mut front_end.request_latency.per_request,
            Self::RequestPerPromptToken => &mut front_end.request_latency.per_prompt_token,
            Self::OutputPerPass => &mut front_end.output_latency.per_pass,
            Self::OutputPerToken => &mut front_end.output_latency.per_token,
            Self::GapPerPass | Self::GapPerRequest | Self::DecodeAttentionFactor => return None,
        })
    }
}

/// Adds a time per pass and one per request to the head's table, in steps of a nanosecond.
pub(crate) fn add_to_head(head: &mut Head, per_pass_us: f64, per_request_us: f64) {
    for (time, &num_seqs) in head.time_us.iter_mut().zip(&head.num_seqs) {
        let sum = *time + per_pass_us + per_request_us * f64::from(num_seqs);
        *time = (sum * 1000.0).round() / 1000.0;
    }
}

#[cfg(test)]
mod tests {
    use sim_core::profile::SyntheticCosts;

    use super::*;

    #[test]
    fn each_term_changes_its_own_number_and_no_other() {
        let profile = SyntheticCosts::default().profile();
        for term in Term::HOST_AND_FRONT_END {
            let mut changed = profile.clone();
            term.set(&mut changed, 123.4567);
            for other in Term::HOST_AND_FRONT_END {
                let expect = if other == term { 123.457 } else { other.value(&profile) };
                assert_eq!(other.value(&changed).to_bits(), expect.to_bits(), "{} after {}", other.name(), term.name());
            }
            assert_eq!(changed.step_time, profile.step_time, "{}", term.name());
        }
    }

    #[test]
    fn a_gap_goes_into_the_head() {
        let mut profile = SyntheticCosts::default().profile();
        let before = profile.step_time.head.clone();
        Term::GapPerPass.set(&mut profile, 100.0);
        Term::GapPerRequest.set(&mut profile, 2.0);
        for (i, &num_seqs) in before.num_seqs.iter().enumerate() {
            let added = profile.step_time.head.time_us[i] - before.time_us[i];
            assert!((added - 100.0 - 2.0 * f64::from(num_seqs)).abs() < 0.01, "{added} for {num_seqs} requests");
        }
    }
}
