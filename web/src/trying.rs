//! Runs of many: which one is made of a setup, and what comes of it.

use sim_core::answers::capacity::Trial;

use crate::fleet_answer::RouterRow;
use crate::parcel::{choices, records};

/// Which run is made of a setup.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Trying {
    /// What is answered a second while all requests come at once.
    Saturated {
        /// What lengths and gaps are drawn from.
        seed: u32,
    },
    /// A trial.
    Trial {
        /// Requests per second, or at once; infinite: all come at once.
        load: f64,
        /// As above.
        seed: u32,
        /// Requests, if not as many as the flags say.
        num_prompts: Option<u32>,
    },
    /// What all engines of the flags together answer a second while all requests come at once.
    SaturatedOfAll {
        /// As above.
        seed: u32,
    },
    /// A trial on all of them.
    TrialOfAll {
        /// As above.
        load: f64,
        /// As above.
        seed: u32,
    },
    /// The requests as the flags say, with another router.
    Router {
        /// Its place in [`Policy::ALL`](sim_core::fleet::router::Policy::ALL).
        place: u32,
    },
}

impl Trying {
    /// Whether all engines of the flags answer, and not one of them.
    pub(crate) const fn is_of_all(self) -> bool {
        matches!(self, Self::SaturatedOfAll { .. } | Self::TrialOfAll { .. } | Self::Router { .. })
    }
}

/// What comes of one run of many.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tried {
    /// Of [`Trying::Saturated`] and [`Trying::SaturatedOfAll`]: requests per second.
    Saturated(f64),
    /// Of [`Trying::Trial`] and [`Trying::TrialOfAll`].
    Trial(Box<Trial>),
    /// Of [`Trying::Router`].
    Routed(Box<RouterRow>),
}

records! {
    Trial {
        load, seed, num_requests, num_met, num_met_each, keeps_up, request_throughput, middle_throughput,
        output_throughput, latencies_ms, kv_cache_peak, num_preemptions, waiting, digest,
    }
}

choices! {
    Trying {
        0 Saturated { seed seed }
        1 Trial { load load, seed seed, num_prompts num_prompts }
        2 SaturatedOfAll { seed seed }
        3 TrialOfAll { load load, seed seed };
        4 Router { place place }
    }
    Tried {
        0 Saturated { 0 rate }
        1 Trial { 0 trial };
        2 Routed { 0 row }
    }
}
