//! The flags of `vllm serve` 0.32.0 and 0.33.0 (`vllm/entrypoints/common/cli_args.py::make_arg_parser`).

use super::FlagEffect::{Composed, FixedByProfile, NoEffect, NotSimulated, Simulated};
use super::FlagGroup;

/// Every flag of `vllm serve`.
pub const SERVE: &[FlagGroup] = &[
    FlagGroup {
        effect: Simulated,
        why: "it decides what the scheduler and the KV cache do",
        #[rustfmt::skip]
        flags: &[
            "--max-model-len", "--max-num-batched-tokens", "--max-num-scheduled-tokens", "--max-num-seqs",
            "--max-num-active-seqs", "--long-prefill-token-threshold", "--long-prefill-token-threshold-adaptive",
            "--scheduling-policy", "--enable-chunked-prefill", "--enable-prefix-caching",
            "--scheduler-reserve-full-isl", "--watermark", "--async-scheduling", "--block-size", "--prefix-match-unit",
            "--gpu-memory-utilization", "--device-memory-utilization", "--kv-cache-memory-bytes",
            "--num-gpu-blocks-override", "--tensor-parallel-size", "-tp", "--pipeline-parallel-size", "-pp",
            "--performance-mode", "--prefill-schedule-interval", "--disable-hybrid-kv-cache-manager",
            "--prefix-cache-retention-interval", "--mamba-block-size", "--enable-mamba-shared-prefix-checkpoint",
            "--speculative-config", "-sc", "--spec-method", "--spec-model", "--spec-tokens",
        ],
    },
    FlagGroup {
        effect: Composed,
        why: "it decides of which operators a pass is composed; a whole-pass profile holds for one value",
        #[rustfmt::skip]
        flags: &[
            "--model", "--dtype", "--quantization", "-q", "--kv-cache-dtype", "--data-parallel-size", "-dp",
            "--enable-expert-parallel", "-ep",
        ],
    },
    FlagGroup {
        effect: FixedByProfile,
        why: "it decides which model runs and in which numbers, so step times and memory hold for one value",
        #[rustfmt::skip]
        flags: &[
            "--revision", "--code-revision", "--hf-config-path", "--hf-overrides", "--model-class-overrides",
            "--model-impl", "--quantization-config", "--kv-cache-dtype-skip-layers", "--disable-sliding-window", "--language-model-only", "--load-format",
        ],
    },
    FlagGroup {
        effect: FixedByProfile,
        why: "it chooses or arranges the code a pass runs, so step times hold for one value",
        #[rustfmt::skip]
        flags: &[
            "--enforce-eager", "--attention-backend", "--attention-config", "-ac", "--moe-backend", "--linear-backend",
            "--sparse-indexer-topk-backend", "--ir-op-priority", "--enable-flashinfer-autotune", "--kernel-config",
            "--compilation-config", "-cc", "--cudagraph-capture-sizes", "--max-cudagraph-capture-size",
            "--optimization-level", "--additional-config", "--gdn-prefill-backend", "--kda-prefill-backend",
            "--kda-decode-backend", "--use-fp64-gumbel", "--logits-processors", "--enable-return-routed-experts",
            "--return-sampling-mask", "--aux-output-config", "--watermark-config", "--enable-batch-sharded-sampling",
            "--kv-sharing-fast-prefill", "--disable-custom-all-reduce", "--worker-cls", "--worker-extension-cls",
            "--enable-hc-sp", "--engram-config", "--enable-shm-tensor-arena", "--numa-bind", "--numa-bind-nodes",
            "--numa-bind-cpus", "--monokernel", "--device-ids", "--distributed-executor-backend", "--nnodes", "-n", "--node-rank", "-r",
        ],
    },
    FlagGroup {
        effect: FixedByProfile,
        why: "it decides where experts of a mixture-of-experts model run, so step times hold for one value",
        #[rustfmt::skip]
        flags: &[
            "--enable-ep-weight-filter", "--all2all-backend", "--enable-dbo",
            "--ubatch-size", "--dbo-decode-token-threshold", "--dbo-prefill-token-threshold", "--enable-eplb",
            "--eplb-config", "--expert-placement-strategy",
        ],
    },
    FlagGroup {
        effect: FixedByProfile,
        why: "it moves weights out of the device or reserves memory on it, so memory and step times hold for one value",
        #[rustfmt::skip]
        flags: &[
            "--offload-backend", "--cpu-offload-gb", "--cpu-offload-params", "--offload-group-size",
            "--offload-num-in-group", "--offload-prefetch-step", "--offload-params", "--enable-cumem-allocator",
            "--mm-ipc-gpu-memory-gb", "--skip-mm-profiling", "--limit-mm-per-prompt", "--mm-encoder-only",
            "--mm-encoder-tp-mode", "--mm-encoder-attn-backend", "--mm-encoder-attn-dtype",
        ],
    },
    FlagGroup {
        effect: Simulated,
        why: "it decides how many processes the front end has",
        flags: &["--api-server-count", "-asc"],
    },
    FlagGroup {
        effect: FixedByProfile,
        why: "it decides how many threads the front end has, whose times are in the profile",
        flags: &["--renderer-num-workers"],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "several data-parallel engines share the requests; one engine is simulated",
        #[rustfmt::skip]
        flags: &[
            "--data-parallel-rank", "-dpn", "--data-parallel-start-rank", "-dpr",
            "--data-parallel-size-local", "-dpl", "--data-parallel-hybrid-lb=false", "-dph=false",
            "--data-parallel-external-lb=false", "-dpe=false", "--data-parallel-multi-port-external-lb=false",
            "-dpm=false", "--headless=false", "--enable-elastic-ep=false", "--enable-fault-tolerance=false",
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts only between data-parallel engines; one engine is simulated",
        #[rustfmt::skip]
        flags: &[
            "--data-parallel-address", "-dpa", "--data-parallel-rpc-port", "-dpp", "--data-parallel-backend", "-dpb",
            "--data-parallel-supervisor-port", "--dp-supervisor-probe-interval-s", "--dp-supervisor-probe-timeout-s",
            "--dp-supervisor-probe-failure-threshold", "--dp-sync-interval", "--disable-nccl-for-dp-synchronization",
            "--elastic-ep-max-dp-size", "--fault-tolerance-config",
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "context parallelism changes the block size the scheduler sees and the work of a rank",
        flags: &["--decode-context-parallel-size=1", "-dcp=1", "--prefill-context-parallel-size=1", "-pcp=1"],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts only with context parallelism, which is refused",
        #[rustfmt::skip]
        flags: &[
            "--dcp-comm-backend", "--dcp-q-replicate", "--dcp-kv-cache-interleave-size", "--cp-kv-cache-interleave-size",
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "KV blocks come from or go to another place, and requests wait for them",
        flags: &["--kv-transfer-config", "--ec-transfer-config", "--kv-offloading-size"],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "adapters limit which requests may share a pass and change step times",
        flags: &["--enable-lora=false", "--lora-modules"],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts only together with --enable-lora, which is refused",
        #[rustfmt::skip]
        flags: &[
            "--max-loras", "--max-lora-rank", "--lora-dtype", "--enable-tower-connector-lora", "--max-cpu-loras",
            "--fully-sharded-loras", "--lora-target-modules", "--default-mm-loras", "--specialize-active-lora",
            "--enable-mixed-moe-lora-format", "--enable-moe-shared-loras", "--max-lora-cls-labels",
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "only models that generate token by token are simulated",
        flags: &["--runner=auto", "--convert=auto", "--pooler-config", "--diffusion-config", "-dc"],
    },
    FlagGroup { effect: NotSimulated, why: "a scheduler of your own cannot run here", flags: &["--scheduler-cls"] },
    FlagGroup {
        effect: NotSimulated,
        why: "above the limit the server turns requests away with HTTP 503, and what the client does then is not known",
        flags: &["--max-num-queued-reqs", "--max-num-queued-tokens"],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "tokens reach the client in groups, which changes TTFT and ITL as the client sees them",
        flags: &["--stream-interval=1"],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "the times of the HTTP front end are in the profile, not those of gRPC or of a token-only or split server",
        flags: &["--grpc=false", "--tokens-only=false", "--enable-scale-out=false"],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "the file is not read; give the flags that are in it",
        flags: &["--config"],
    },
    FlagGroup {
        effect: FixedByProfile,
        why: "it chooses how Mamba states are kept and computed, so their size and step times hold for one value",
        #[rustfmt::skip]
        flags: &[
            "--mamba-backend", "--mamba-ssu-algorithm", "--enable-mamba-cache-stochastic-rounding",
            "--mamba-cache-philox-rounds", "--mamba-cache-dtype", "--mamba-ssm-cache-dtype",
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "which Mamba states are kept follows from prefix caching, whatever is given",
        flags: &["--mamba-cache-mode"],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "states are then rebuilt from recorded inputs, and verifications keep none of their own",
        flags: &["--use-replayssm=false"],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts only together with --use-replayssm, which is refused",
        flags: &["--replayssm-buffer-len"],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts only in DeepSeek-V4.1, whose layers are not simulated",
        flags: &["--swa-bounded-replay"],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts only on images, audio, video or embeddings; the simulated prompts are tokens",
        #[rustfmt::skip]
        flags: &[
            "--enable-mm-embeds", "--media-io-kwargs", "--mm-processor-kwargs", "--mm-processor-cache-gb",
            "--mm-processor-cache-type", "--mm-hasher-algorithm", "--mm-shm-cache-max-object-size-mb",
            "--mm-encoder-fp8-scale-path", "--mm-encoder-fp8-scale-save-path", "--mm-encoder-fp8-scale-save-margin",
            "--interleave-mm-strings", "--video-pruning-rate", "--video-pruning-method", "--mm-tensor-ipc",
            "--mm-processor-device", "--mm-device-do-normalize", "--disable-chunked-mm-input",
            "--allowed-local-media-path", "--allowed-media-domains", "--trust-request-mm-kwargs",
            "--enable-prompt-embeds", "--ec-manager-config", "--io-processor-plugin", "--enable-flash-late-interaction",
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "only whether two blocks are equal matters to the simulation, not how their keys are computed",
        flags: &["--prefix-caching-hash-algo"],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts only together with --kv-offloading-size, which is refused",
        flags: &["--kv-offloading-backend"],
    },
    FlagGroup {
        effect: NoEffect,
        why: "the number of tokens of a request is given by the workload, not by what is sampled",
        #[rustfmt::skip]
        flags: &[
            "--seed", "--generation-config", "--override-generation-config", "--max-logprobs", "--logprobs-mode",
            "--structured-outputs-config", "--reasoning-config", "--reasoning-parser", "--reasoning-parser-plugin",
            "--enable-trace-replay", "--reasoning-effort-map",
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it changes texts, and the workload gives the number of tokens of a prompt",
        #[rustfmt::skip]
        flags: &[
            "--tokenizer", "--tokenizer-mode", "--tokenizer-revision", "--skip-tokenizer-init", "--chat-template",
            "--chat-template-content-format", "--trust-request-chat-template", "--default-chat-template-kwargs",
            "--response-role", "--return-tokens-as-token-ids", "--enable-auto-tool-choice",
            "--exclude-tools-when-tool-choice-none", "--tool-call-parser", "--tool-parser-plugin",
            "--tool-strict-level", "--tool-server", "--cohere-is-reasoning-model", "--cohere-format",
            "--anthropic-disabled-thinking-effort",
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts on start-up and shutdown only",
        #[rustfmt::skip]
        flags: &[
            "--trust-remote-code", "--config-format", "--hf-token", "--served-model-name", "--download-dir",
            "--safetensors-load-strategy", "--safetensors-prefetch-num-threads", "--safetensors-prefetch-block-size",
            "--model-loader-extra-config", "--ignore-patterns", "--use-tqdm-on-load", "--pt-load-map-location",
            "--max-parallel-loading-workers", "--allow-deprecated-quantization", "--master-addr", "--master-port",
            "--distributed-timeout-seconds", "--cpu-distributed-timeout-seconds", "--weight-transfer-config",
            "--fail-on-environ-validation", "--shutdown-timeout", "--watchdog-config",
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "the engine is neither put to sleep nor woken during a simulation",
        #[rustfmt::skip]
        flags: &[
            "--enable-sleep-mode", "--sleep-mode-offload-cudagraph", "--sleep-preserve-parameter-names",
            "--enable-nccl-comm-suspend", "--sleep-mode-backend",
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it decides where and to whom the server answers, not when",
        #[rustfmt::skip]
        flags: &[
            "--host", "--port", "--grpc-port", "--uds", "--root-path", "--middleware", "--allow-credentials",
            "--allowed-origins", "--allowed-methods", "--allowed-headers", "--api-key", "--ssl-keyfile",
            "--ssl-certfile", "--ssl-ca-certs", "--enable-ssl-refresh", "--ssl-cert-reqs", "--ssl-ciphers",
            "--enable-request-id-headers", "--disable-fastapi-docs", "--enable-offline-docs",
            "--h11-max-incomplete-event-size", "--h11-max-header-count", "--sse-keep-alive-interval",
            "--enable-tokenizer-info-endpoint", "--fingerprint-mode", "--fingerprint-value",
            "--enable-force-include-usage",
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it writes logs, metrics or traces; the host time this costs is not simulated",
        #[rustfmt::skip]
        flags: &[
            "--max-log-len", "--enable-prompt-tokens-details", "--enable-per-request-metrics",
            "--enable-server-load-tracking", "--enable-log-outputs", "--enable-log-deltas", "--log-error-stack",
            "--uvicorn-log-level", "--disable-uvicorn-access-log", "--disable-access-log-for-endpoints",
            "--enable-log-requests", "--disable-log-stats", "--aggregate-engine-logging", "--logging-config",
            "--log-level", "--log-config-file", "--show-hidden-metrics-for-version", "--otlp-traces-endpoint",
            "--collect-detailed-traces", "--per-request-spec-decode-metrics", "--kv-cache-metrics",
            "--kv-cache-metrics-sample", "--custom-histogram-buckets", "--cudagraph-metrics",
            "--enable-layerwise-nvtx-tracing", "--enable-mfu-metrics", "--enable-logging-iteration-details",
            "--jit-monitor-mode", "--jit-monitor-verbose", "--profiler-config", "--ray-workers-use-nsight",
            "--kv-events-config",
        ],
    },
    FlagGroup { effect: NoEffect, why: "it does nothing in vLLM either", flags: &["--disable-cascade-attn"] },
];
