//! The routers by name.

use alloc::boxed::Box;
use core::fmt;

use super::hash_ring::ConsistentHash;
use super::kv_cost::KvCost;
use super::prefixes::{CacheAware, PrefixAware};
use super::routing::BoxedRouter;
use super::scorers::WeightedScorers;
use super::spread::{LeastLoaded, PowerOfTwo, Random, RoundRobin};
use super::weights::RouterWeights;

/// Which router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// In turn.
    #[default]
    RoundRobin,
    /// Any.
    Random,
    /// The fewest requests under way.
    LeastLoaded,
    /// The less loaded of two drawn at random (vllm-router).
    PowerOfTwo,
    /// By session, on a ring (production-stack, vllm-router).
    ConsistentHash,
    /// Where the longest beginning was sent (production-stack).
    PrefixAware,
    /// There, unless loads are out of balance (vllm-router).
    CacheAware,
    /// A weighted sum of scores (llm-d).
    WeightedScorers,
    /// The least cost in blocks (Dynamo).
    KvCost,
}

/// A name that no router has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownPolicy;

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no such router; there are")?;
        for (place, policy) in Policy::ALL.iter().enumerate() {
            write!(f, "{} {}", if place == 0 { "" } else { "," }, policy.name())?;
        }
        Ok(())
    }
}

impl core::error::Error for UnknownPolicy {}

impl Policy {
    /// All of them, simplest first.
    pub const ALL: [Self; 9] = [
        Self::RoundRobin,
        Self::Random,
        Self::LeastLoaded,
        Self::PowerOfTwo,
        Self::ConsistentHash,
        Self::PrefixAware,
        Self::CacheAware,
        Self::WeightedScorers,
        Self::KvCost,
    ];

    /// Their names, in the same order.
    pub const NAMES: &[&str] = &[
        Self::ALL[0].name(),
        Self::ALL[1].name(),
        Self::ALL[2].name(),
        Self::ALL[3].name(),
        Self::ALL[4].name(),
        Self::ALL[5].name(),
        Self::ALL[6].name(),
        Self::ALL[7].name(),
        Self::ALL[8].name(),
    ];

    /// The name on the command line and in links.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::Random => "random",
            Self::LeastLoaded => "least-loaded",
            Self::PowerOfTwo => "power-of-two",
            Self::ConsistentHash => "consistent-hash",
            Self::PrefixAware => "prefix-aware",
            Self::CacheAware => "cache-aware",
            Self::WeightedScorers => "weighted-scorers",
            Self::KvCost => "kv-cost",
        }
    }

    /// Whether it reads the replicas' metrics now and then; all others go by their own requests.
    #[must_use]
    pub const fn reads_metrics(self) -> bool {
        matches!(self, Self::WeightedScorers)
    }

    /// The router of that name.
    ///
    /// # Errors
    /// [`UnknownPolicy`].
    pub fn from_name(name: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL.into_iter().find(|policy| policy.name() == name).ok_or(UnknownPolicy)
    }

    /// A router that has routed nothing yet, with its source's weights.
    #[must_use]
    pub fn router(self) -> BoxedRouter {
        self.router_with(&RouterWeights::default())
    }

    /// The same with these.
    #[must_use]
    pub fn router_with(self, weights: &RouterWeights) -> BoxedRouter {
        match self {
            Self::RoundRobin => Box::new(RoundRobin::default()),
            Self::Random => Box::new(Random),
            Self::LeastLoaded => Box::new(LeastLoaded),
            Self::PowerOfTwo => Box::new(PowerOfTwo),
            Self::ConsistentHash => Box::new(ConsistentHash::default()),
            Self::PrefixAware => Box::new(PrefixAware::new()),
            Self::CacheAware => Box::new(CacheAware::new(weights)),
            Self::WeightedScorers => Box::new(WeightedScorers::new(weights)),
            Self::KvCost => Box::new(KvCost::new(weights)),
        }
    }
}
