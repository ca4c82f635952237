//! What each router does, in a line, and where that is from.

use sim_core::fleet::router::Policy;

/// A router in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct About {
    /// What it does: a sentence without full stop.
    pub(super) what: &'static str,
    /// Whose it is.
    pub(super) source: &'static str,
}

/// The router of `policy`.
pub(super) const fn about(policy: Policy) -> About {
    match policy {
        Policy::RoundRobin => About { what: "Each replica in turn", source: "production-stack (roundrobin)" },
        Policy::Random => About { what: "Any replica, each as likely", source: "vllm-router" },
        Policy::LeastLoaded => About {
            what: "The replica with the fewest requests under way from this router",
            source: "the plain rule, nobody's in particular",
        },
        Policy::PowerOfTwo => {
            About { what: "Of two replicas drawn at random the one with fewer requests", source: "vllm-router" }
        }
        Policy::ConsistentHash => About {
            what: "Requests of one session go to one replica, by a hash ring",
            source: "production-stack (session) and vllm-router",
        },
        Policy::PrefixAware => About {
            what: "Where the longest beginning of the prompt was sent before",
            source: "production-stack (prefixaware)",
        },
        Policy::CacheAware => About {
            what: "Where the longest beginning was sent, unless loads are out of balance: then where least is under way",
            source: "vllm-router (cache_aware)",
        },
        Policy::WeightedScorers => About {
            what: "The highest weighted sum of scores: prefix, queue, KV cache, from metrics read every 50 ms",
            source: "llm-d's endpoint picker",
        },
        Policy::KvCost => About {
            what: "The least cost in blocks: those still to be computed for the prompt, and those in use",
            source: "Dynamo's KV router",
        },
    }
}
