//! What host and front end take around a pass; no part of it is the device's.

use super::affine::Affine;
use super::offloading_link::OffloadingLink;
use super::schema::Profile;
use super::tier_speeds::TierSpeeds;
use crate::time::SimDuration;

/// Host and front end of a profile, ready to be asked.
#[derive(Debug, Clone)]
pub struct HostTimes {
    schedule: Affine,
    update: Affine,
    between_passes: Affine,
    request_latency: Affine,
    output_latency: Affine,
    request_work: Affine,
    message_work: Affine,
    chunk_work: Affine,
    client_work: Option<ClientWork>,
    offloading_link: OffloadingLink,
    tier_speeds: TierSpeeds,
}

/// How long the client's one thread works, for a request and for a token that it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientWork {
    /// Before a request leaves.
    pub per_request: SimDuration,
    /// Before it sees a token.
    pub per_token: SimDuration,
}

impl HostTimes {
    pub(super) fn new(profile: &Profile) -> Self {
        let (host, front_end) = (&profile.host, &profile.front_end);
        let (request, output) = (&front_end.request_latency, &front_end.output_latency);
        let work = front_end.work.as_ref();
        Self {
            schedule: Affine::of_pass(&host.schedule),
            update: Affine::of_pass(&host.update),
            between_passes: Affine::of_pass(&host.between_passes),
            request_latency: Affine::new(&request.per_request, &request.per_prompt_token),
            output_latency: Affine::new(&output.per_pass, &output.per_token),
            request_work: work.map_or_else(Affine::zero, |work| Affine::new(&work.per_request, &work.per_prompt_token)),
            message_work: work.map_or_else(Affine::zero, |work| Affine::new(&work.per_pass, &work.per_token)),
            chunk_work: work.map_or_else(Affine::zero, |work| Affine::each(&work.per_chunk)),
            client_work: None,
            offloading_link: OffloadingLink::default(),
            tier_speeds: TierSpeeds::default(),
        }
    }

    /// The same with a client that works so long; without work it is none.
    pub(super) fn with_client_work(self, work: ClientWork) -> Self {
        let is_idle = work.per_request == SimDuration::ZERO && work.per_token == SimDuration::ZERO;
        Self { client_work: (!is_idle).then_some(work), ..self }
    }

    /// The same with another link to the host's memory.
    pub(super) const fn with_offloading_link(mut self, link: OffloadingLink) -> Self {
        self.offloading_link = link;
        self
    }

    /// How fast KV blocks go to the host's memory and back.
    #[must_use]
    pub const fn offloading_link(&self) -> OffloadingLink {
        self.offloading_link
    }

    /// The same with other tiers behind that memory.
    pub(super) const fn with_tier_speeds(mut self, speeds: TierSpeeds) -> Self {
        self.tier_speeds = speeds;
        self
    }

    /// How fast tiers behind that memory are.
    #[must_use]
    pub const fn tier_speeds(&self) -> TierSpeeds {
        self.tier_speeds
    }

    /// How long the client works; `None` if it is never busy.
    #[must_use]
    pub const fn client_work(&self) -> Option<ClientWork> {
        self.client_work
    }

    /// Host time from the start of `schedule()` until the device can begin a pass of `num_reqs` requests.
    #[must_use]
    pub fn schedule_time(&self, num_reqs: u32) -> SimDuration {
        self.schedule.at(num_reqs)
    }

    /// Host time from the device's end until the outputs of a pass of `num_reqs` requests leave the engine core.
    #[must_use]
    pub fn update_time(&self, num_reqs: u32) -> SimDuration {
        self.update.at(num_reqs)
    }

    /// Device time after a pass of `num_reqs` requests that no table holds, before its tokens are there and the next pass
    /// can begin.
    #[must_use]
    pub fn time_between_passes(&self, num_reqs: u32) -> SimDuration {
        self.between_passes.at(num_reqs)
    }

    /// Time from the client's sending of a prompt until the request stands in the engine core's waiting queue.
    #[must_use]
    pub fn request_latency(&self, num_prompt_tokens: u32) -> SimDuration {
        self.request_latency.at(num_prompt_tokens)
    }

    /// Time from the engine core's output until the clients hold the `num_outputs` tokens of a pass.
    #[must_use]
    pub fn output_latency(&self, num_outputs: u32) -> SimDuration {
        self.output_latency.at(num_outputs)
    }

    /// The part of [`Self::request_latency`] in which an API-server process does nothing else; zero where nobody knows.
    #[must_use]
    pub fn request_work(&self, num_prompt_tokens: u32) -> SimDuration {
        self.request_work.at(num_prompt_tokens)
    }

    /// How long an API-server process takes in a message of `num_outputs` tokens; zero where nobody knows.
    #[must_use]
    pub fn message_work(&self, num_outputs: u32) -> SimDuration {
        self.message_work.at(num_outputs)
    }

    /// How long an API-server process writes `num_chunks` chunks to their clients; zero where nobody knows.
    #[must_use]
    pub fn chunk_work(&self, num_chunks: u32) -> SimDuration {
        self.chunk_work.at(num_chunks)
    }
}
