//! Flags of `vllm serve` 0.32.0 and 0.33.0 around the engine: prompts and texts, start-up, server, logs
//! (`vllm/engine/arg_utils.py`, `vllm/entrypoints/launchers/cli_args.py`).

use super::FlagEffect::NoEffect;
use super::FlagGroup;
use super::rows::{choice, human, integer, json, number, object, object_or_text, plain, switch, text};

/// Those around the engine, none of which changes what is simulated.
pub(super) const AROUND_ENGINE: &[FlagGroup] = &[
    FlagGroup {
        effect: NoEffect,
        why: "it acts only on images, audio, video or embeddings; the simulated prompts are tokens",
        #[rustfmt::skip]
        flags: &[
            switch("--enable-mm-embeds"), json("--media-io-kwargs"), json("--mm-processor-kwargs").or_none(),
            number("--mm-processor-cache-gb"), choice("--mm-processor-cache-type", &["lru", "shm"]),
            choice("--mm-hasher-algorithm", &["blake3", "sha256", "sha512"]),
            integer("--mm-shm-cache-max-object-size-mb"), text("--mm-encoder-fp8-scale-path").or_none(),
            text("--mm-encoder-fp8-scale-save-path").or_none(), number("--mm-encoder-fp8-scale-save-margin"),
            switch("--interleave-mm-strings"), number("--video-pruning-rate").or_none(),
            choice("--video-pruning-method", &["evs", "vidcom2"]),
            choice("--mm-tensor-ipc", &["direct_rpc", "torch_shm"]), choice("--mm-processor-device", &["auto", "cpu"]),
            switch("--mm-device-do-normalize"), switch("--disable-chunked-mm-input"),
            text("--allowed-local-media-path"), text("--allowed-media-domains").or_none().several(),
            switch("--trust-request-mm-kwargs"), switch("--enable-prompt-embeds"), object("--ec-manager-config"),
            text("--io-processor-plugin").or_none(), switch("--enable-flash-late-interaction"),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "only whether two blocks are equal matters to the simulation, not how their keys are computed",
        #[rustfmt::skip]
        flags: &[
            choice("--prefix-caching-hash-algo", &["sha256", "sha256_cbor", "xxhash", "xxhash_cbor"]),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "the number of tokens of a request is given by the workload, not by what is sampled",
        #[rustfmt::skip]
        flags: &[
            integer("--seed"), text("--generation-config"), json("--override-generation-config"),
            integer("--max-logprobs"),
            choice("--logprobs-mode", &["processed_logits", "processed_logprobs", "raw_logits", "raw_logprobs"]),
            object("--structured-outputs-config"), object("--reasoning-config").or_none(), text("--reasoning-parser"),
            text("--reasoning-parser-plugin"), switch("--enable-trace-replay"), json("--reasoning-effort-map"),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it changes texts, and the workload gives the number of tokens of a prompt",
        #[rustfmt::skip]
        flags: &[
            text("--tokenizer"), text("--tokenizer-mode"), text("--tokenizer-revision").or_none(),
            switch("--skip-tokenizer-init"), text("--chat-template").or_none(),
            choice("--chat-template-content-format", &["auto", "openai", "string"]),
            switch("--trust-request-chat-template"), json("--default-chat-template-kwargs"), text("--response-role"),
            switch("--return-tokens-as-token-ids"), switch("--enable-auto-tool-choice"),
            switch("--exclude-tools-when-tool-choice-none"), text("--tool-call-parser").or_none(),
            text("--tool-parser-plugin"), choice("--tool-strict-level", &["auto", "function", "parameter"]).or_none(),
            text("--tool-server").or_none(), switch("--cohere-is-reasoning-model"), text("--cohere-format"),
            choice("--anthropic-disabled-thinking-effort", &["auto", "high", "low", "max", "medium", "none", "xhigh"]),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts on start-up and shutdown only",
        #[rustfmt::skip]
        flags: &[
            switch("--trust-remote-code"), text("--config-format"), text("--hf-token").or_nothing(),
            text("--served-model-name").or_none().several(), text("--download-dir").or_none(),
            choice("--safetensors-load-strategy", &["eager", "lazy", "prefetch", "torchao"]).or_none(),
            integer("--safetensors-prefetch-num-threads"), human("--safetensors-prefetch-block-size"),
            object_or_text("--model-loader-extra-config"), text("--ignore-patterns").several(),
            switch("--use-tqdm-on-load"), object_or_text("--pt-load-map-location"),
            integer("--max-parallel-loading-workers").or_none(), switch("--allow-deprecated-quantization"),
            text("--master-addr"), integer("--master-port"), integer("--distributed-timeout-seconds").or_none(),
            integer("--cpu-distributed-timeout-seconds").or_none(), object("--weight-transfer-config").or_none(),
            switch("--fail-on-environ-validation"), integer("--shutdown-timeout"), object("--watchdog-config"),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "the engine is neither put to sleep nor woken during a simulation",
        #[rustfmt::skip]
        flags: &[
            switch("--enable-sleep-mode"), switch("--sleep-mode-offload-cudagraph"),
            text("--sleep-preserve-parameter-names").several(), switch("--enable-nccl-comm-suspend"),
            text("--sleep-mode-backend"),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it decides where and to whom the server answers, not when",
        #[rustfmt::skip]
        flags: &[
            text("--host").or_none(), integer("--port"), integer("--grpc-port").or_none(), text("--uds").or_none(),
            text("--root-path").or_none(), text("--middleware").repeated(), switch("--allow-credentials"),
            json("--allowed-origins"), json("--allowed-methods"), json("--allowed-headers"),
            text("--api-key").or_none().several(), text("--ssl-keyfile").or_none(), text("--ssl-certfile").or_none(),
            text("--ssl-ca-certs").or_none(), switch("--enable-ssl-refresh"), integer("--ssl-cert-reqs"),
            text("--ssl-ciphers").or_none(), switch("--enable-request-id-headers"), switch("--disable-fastapi-docs"),
            switch("--enable-offline-docs"), integer("--h11-max-incomplete-event-size"),
            integer("--h11-max-header-count"), integer("--sse-keep-alive-interval"),
            switch("--enable-tokenizer-info-endpoint"),
            choice("--fingerprint-mode", &["custom", "full", "hash", "none"]), text("--fingerprint-value").or_none(),
            switch("--enable-force-include-usage"),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it writes logs, metrics or traces; the host time this costs is not simulated",
        #[rustfmt::skip]
        flags: &[
            integer("--max-log-len").or_none(), switch("--enable-prompt-tokens-details"),
            switch("--enable-per-request-metrics"), switch("--enable-server-load-tracking"),
            switch("--enable-log-outputs"), switch("--enable-log-deltas"), switch("--log-error-stack"),
            choice("--uvicorn-log-level", &["critical", "debug", "error", "info", "trace", "warning"]),
            switch("--disable-uvicorn-access-log"), text("--disable-access-log-for-endpoints").or_none(),
            switch("--enable-log-requests"), plain("--disable-log-stats"), plain("--aggregate-engine-logging"),
            object("--logging-config"),
            choice("--log-level", &["CRITICAL", "DEBUG", "ERROR", "INFO", "NOTSET", "WARNING"]),
            text("--log-config-file"), text("--show-hidden-metrics-for-version").or_none(),
            text("--otlp-traces-endpoint").or_none(),
            choice("--collect-detailed-traces", &["all", "model", "worker"]).or_none().several(),
            choice("--per-request-spec-decode-metrics", &["detailed", "none", "summary"]),
            switch("--kv-cache-metrics"), number("--kv-cache-metrics-sample"),
            json("--custom-histogram-buckets").or_none(), switch("--cudagraph-metrics"),
            switch("--enable-layerwise-nvtx-tracing"), switch("--enable-mfu-metrics"),
            switch("--enable-logging-iteration-details"), choice("--jit-monitor-mode", &["error", "warn"]),
            switch("--jit-monitor-verbose"), object("--profiler-config"), switch("--ray-workers-use-nsight"),
            object("--kv-events-config").or_none(),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it does nothing in vLLM either",
        #[rustfmt::skip]
        flags: &[
            switch("--disable-cascade-attn"),
        ],
    },
];
