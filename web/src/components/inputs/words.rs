//! Plain names of the flags: what stands above vLLM's name in the form.

/// Names as people say them. A flag that is not here goes by vLLM's name.
const NAMES: &[(&str, &str)] = &[
    ("model", "Model"),
    ("gpu", "GPU"),
    ("dtype", "Activations"),
    ("quantization", "Weights"),
    ("kv-cache-dtype", "KV cache"),
    ("enable-expert-parallel", "Expert parallel"),
    ("data-parallel-size", "Data parallel"),
    ("max-model-len", "Context length"),
    ("max-num-batched-tokens", "Tokens per pass"),
    ("max-num-scheduled-tokens", "Scheduled tokens per pass"),
    ("max-num-seqs", "Requests per pass"),
    ("max-num-active-seqs", "Running requests"),
    ("long-prefill-token-threshold", "Long-prompt limit per pass"),
    ("long-prefill-token-threshold-adaptive", "Adaptive long-prompt limit"),
    ("scheduling-policy", "Queue order"),
    ("enable-chunked-prefill", "Chunked prefill"),
    ("enable-prefix-caching", "Prefix caching"),
    ("scheduler-reserve-full-isl", "Admit whole prompts only"),
    ("watermark", "Blocks kept free"),
    ("async-scheduling", "Async scheduling"),
    ("block-size", "Block size"),
    ("prefix-match-unit", "Prefix match unit"),
    ("gpu-memory-utilization", "GPU memory share"),
    ("kv-cache-memory-bytes", "KV cache memory"),
    ("num-gpu-blocks-override", "KV blocks"),
    ("tensor-parallel-size", "Tensor parallel"),
    ("pipeline-parallel-size", "Pipeline parallel"),
    ("prefix-cache-retention-interval", "Kept checkpoints"),
    ("disable-hybrid-kv-cache-manager", "One block table"),
    ("mamba-block-size", "State block size"),
    ("enable-mamba-shared-prefix-checkpoint", "Shared-prefix states"),
    ("prefill-schedule-interval", "Passes between prompts"),
    ("speculative-config", "Speculative decoding"),
    ("kv-offloading-size", "KV in host memory"),
    ("kv-offloading-backend", "KV in host memory, by"),
    ("kv-transfer-config", "KV connector"),
    ("kv-offloading-bandwidth", "Host link, GB/s"),
    ("kv-offloading-latency", "Host link, latency"),
    ("vllm-version", "vLLM version"),
    ("performance-mode", "Performance mode"),
    ("enforce-eager", "Without CUDA graphs"),
    ("usage-context", "Defaults of"),
    ("api-server-count", "API servers"),
    ("data-parallel-external-lb", "Router before ranks"),
    ("data-parallel-hybrid-lb", "Router before nodes"),
    ("data-parallel-size-local", "Ranks of a node"),
    ("dp-sync-interval", "Steps between ranks' questions"),
    ("pass-noise", "Noise of passes"),
    ("client-work", "Client's own work"),
    ("replicas", "Replicas"),
    ("router", "Router"),
    ("router-args", "Router's weights"),
    ("replica-fails", "Replicas that fail"),
    ("retry-max-retries", "Retries"),
    ("migration-limit", "Migrations"),
    ("autoscaler", "Autoscaler"),
    ("prefill-replicas", "Prefill replicas"),
    ("decode-replicas", "Decode replicas"),
    ("prefill-args", "Prefill replicas' own flags"),
    ("decode-args", "Decode replicas' own flags"),
    ("kv-transfer-bandwidth", "KV transfer, GB/s"),
    ("kv-transfer-latency", "KV transfer, latency"),
    ("kv-transfer-descriptor-time", "KV transfer, per piece"),
    ("kv-transfer-failure-rate", "KV transfers that fail"),
    ("kv-load-failure-policy", "Failed KV load"),
    ("dataset-name", "Dataset"),
    ("dataset-path", "Dataset file"),
    ("num-prompts", "Requests"),
    ("seed", "Seed"),
    ("request-rate", "Requests per second"),
    ("burstiness", "Burstiness"),
    ("max-concurrency", "Concurrency limit"),
    ("ramp-up-strategy", "Ramp-up"),
    ("ramp-up-start-rps", "Ramp-up start"),
    ("ramp-up-end-rps", "Ramp-up end"),
    ("self-timed", "Dataset's own times"),
    ("input-len", "Prompt tokens"),
    ("output-len", "Output tokens"),
    ("random-input-len", "Prompt tokens"),
    ("random-output-len", "Output tokens"),
    ("random-range-ratio", "Length variation"),
    ("random-prefix-len", "Shared prefix tokens"),
    ("prefix-repetition-prefix-len", "Prefix tokens"),
    ("prefix-repetition-suffix-len", "Suffix tokens"),
    ("prefix-repetition-num-prefixes", "Different prefixes"),
    ("prefix-repetition-output-len", "Output tokens"),
    ("sharegpt-output-len", "Output tokens"),
    ("custom-output-len", "Output tokens"),
    ("timed-trace-chunk-hash-size", "Tokens per hash"),
    ("timed-trace-sec-multiplier", "Seconds per time unit"),
    ("timed-trace-label-timestamp", "Name of the time"),
    ("timed-trace-label-input-length", "Name of the prompt length"),
    ("timed-trace-label-output-length", "Name of the output length"),
    ("timed-trace-label-hash-ids", "Name of the hashes"),
    ("columns", "Which column is what"),
    ("time-unit", "Unit of times"),
    ("session-replay", "Turns wait for answers"),
    ("num-sessions", "Sessions"),
    ("num-users", "Users"),
    ("session-turns", "Turns of a session"),
    ("system-prompt-len", "System prompt tokens"),
    ("session-prefix-len", "Session's own context"),
    ("session-input-len", "Tokens of a message"),
    ("session-output-len", "Tokens of an answer"),
    ("think-time", "Seconds to think"),
    ("tool-calls", "Tool calls in a turn"),
    ("tool-time", "Seconds of a tool"),
    ("tool-output-len", "Tokens of a tool's output"),
    ("disable-shuffle", "Keep the file's order"),
    ("no-oversample", "Send nothing twice"),
    ("num-warmups", "Warm-up requests"),
    ("ready-check-timeout-sec", "Ready check"),
    ("num-earlier-runs", "Earlier runs"),
    ("spec-acceptance-length", "Tokens per verification"),
    ("spec-acceptance-rates", "Acceptance of each draft"),
    ("spec-acceptance-sequence", "Accepted drafts in turn"),
    ("price", "Price of an hour of a GPU"),
    ("percentile-metrics", "Metrics in the report"),
    ("metric-percentiles", "Percentiles in the report"),
];

/// The plain name of a flag.
pub(super) fn plain_name(flag: &'static str) -> &'static str {
    NAMES.iter().find(|(name, _)| *name == flag).map_or(flag, |(_, plain)| plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::scenario::FLAGS;

    #[test]
    fn every_flag_of_the_form_has_a_plain_name_and_every_name_a_flag() {
        let nameless: Vec<&str> = FLAGS
            .iter()
            .filter(|flag| flag.name != "goodput" && plain_name(flag.name) == flag.name)
            .map(|flag| flag.name)
            .collect();
        assert!(nameless.is_empty(), "without a plain name: {nameless:?}");
        let gone: Vec<&str> =
            NAMES.iter().map(|(name, _)| *name).filter(|name| FLAGS.iter().all(|flag| flag.name != *name)).collect();
        assert!(gone.is_empty(), "no flags any longer: {gone:?}");
    }
}
