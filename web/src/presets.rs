//! Workloads to begin with.

use sim_core::scenario::Scenario;

/// A workload by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Preset {
    /// Its name.
    pub(crate) name: &'static str,
    /// One line.
    pub(crate) about: &'static str,
    /// Its flags: workload and report.
    pub(crate) flags: &'static [(&'static str, &'static str)],
}

/// The workload of the first visit: the first of all.
pub(crate) fn example() -> Scenario {
    Scenario::at_rate(8, 500, 50)
}

/// All, in the order in which they are offered.
pub(crate) const PRESETS: &[Preset] = &[
    Preset {
        name: "Chat, steady",
        about: "1,024 tokens in, 128 out, 8 requests per second (Poisson): the random dataset of vllm bench serve",
        flags: &[("request-rate", "8"), ("goodput", "ttft:500 tpot:50")],
    },
    Preset {
        name: "Azure conversations",
        about: "First 1,000 requests of Microsoft's conversation trace of 2023, at their own times (CC-BY-4.0)",
        flags: &[("dataset-name", "azure"), ("goodput", "ttft:500 tpot:50")],
    },
    Preset {
        name: "RAG, shared prefixes",
        about: "Prompts of 4,096 tokens over 20 documents, 200 tokens out, 4 requests per second",
        flags: &[
            ("dataset-name", "prefix_repetition"),
            ("prefix-repetition-prefix-len", "3584"),
            ("prefix-repetition-suffix-len", "512"),
            ("prefix-repetition-num-prefixes", "20"),
            ("prefix-repetition-output-len", "200"),
            ("request-rate", "4"),
            ("goodput", "ttft:1000 tpot:50"),
        ],
    },
    Preset {
        name: "Long reasoning",
        about: "1,024 tokens in, 4,096 out, 1 request per second, lengths vary by half",
        flags: &[
            ("num-prompts", "300"),
            ("random-output-len", "4096"),
            ("random-range-ratio", "0.5"),
            ("request-rate", "1"),
            ("goodput", "ttft:1000 tpot:30"),
        ],
    },
    Preset {
        name: "Offline batch",
        about: "10,000 requests at once, 64 under way: throughput, not latency",
        flags: &[("num-prompts", "10000"), ("max-concurrency", "64")],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_visits_workload_is_the_first_of_all() {
        let flags = PRESETS[0].flags.iter().map(|(name, value)| (*name, Some(*value)));
        assert_eq!(Scenario::from_flags(flags).expect("known flags"), example());
    }
}
