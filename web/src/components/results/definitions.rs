//! What each number means, with its formula: the names are used differently by other tools.

/// A number's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Definition {
    /// Its key, or a name of our own.
    pub(crate) key: &'static str,
    /// Long form.
    pub(crate) header: &'static str,
    /// One sentence.
    pub(crate) meaning: &'static str,
    /// As vLLM computes it.
    pub(crate) formula: &'static str,
}

const DEFINITIONS: &[Definition] = &[
    Definition {
        key: "ttft",
        header: "Time to First Token",
        meaning: "From sending a request until its first streamed output. Waiting in the engine counts; waiting for the \
                  client's max_concurrency does not.",
        formula: "TTFT = first output − send",
    },
    Definition {
        key: "tpot",
        header: "Time per Output Token (excl. 1st token)",
        meaning: "One value per request with more than one output token.",
        formula: "TPOT = (E2EL − TTFT) / (output tokens − 1)",
    },
    Definition {
        key: "itl",
        header: "Inter-token Latency",
        meaning: "Gaps between streamed outputs, those of all requests together. A long answer counts as often as it has \
                  tokens, unlike in TPOT.",
        formula: "ITL = output i − output i−1",
    },
    Definition {
        key: "e2el",
        header: "End-to-end Latency",
        meaning: "From sending a request until its last token.",
        formula: "E2EL = last output − send",
    },
    Definition {
        key: "client_queue_time",
        header: "Client-side Queueing",
        meaning: "Wait for the client's max_concurrency, before sending.",
        formula: "client queue time = send − scheduled send",
    },
    Definition {
        key: "request_throughput",
        header: "Request throughput",
        meaning: "Answered requests per second.",
        formula: "answered requests / duration",
    },
    Definition {
        key: "request_goodput",
        header: "Request goodput",
        meaning: "Requests per second that meet every objective.",
        formula: "requests within every bound / duration",
    },
    Definition {
        key: "output_throughput",
        header: "Output token throughput",
        meaning: "Output tokens per second, over all requests.",
        formula: "output tokens / duration",
    },
    Definition {
        key: "total_token_throughput",
        header: "Total token throughput",
        meaning: "Prompt and output tokens per second.",
        formula: "(prompt tokens + output tokens) / duration",
    },
    Definition {
        key: "duration",
        header: "Benchmark duration",
        meaning: "Simulated time of the whole run.",
        formula: "last output − first send",
    },
    Definition {
        key: "max_concurrent_requests",
        header: "Peak concurrent requests",
        meaning: "Requests under way in the fullest second.",
        formula: "maximum over seconds of the requests that overlap the second",
    },
    Definition {
        key: "num_preemptions",
        header: "Preemptions",
        meaning: "Times that a running request lost its KV blocks to another and had to be computed again.",
        formula: "vllm:num_preemptions",
    },
    Definition {
        key: "prefix_cache_hit_rate",
        header: "Prefix cache hit rate",
        meaning: "Share of the looked-up prompt tokens whose KV blocks were there already.",
        formula: "vllm:prefix_cache_hits / vllm:prefix_cache_queries",
    },
];

/// The meaning of a key.
pub(crate) fn definition(key: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.key == key)
}
