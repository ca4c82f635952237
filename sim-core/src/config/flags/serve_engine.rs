//! Flags of `vllm serve` 0.32.0 and 0.33.0 that say how the engine runs (`vllm/engine/arg_utils.py`).

use super::FlagEffect::{Composed, FixedByProfile, NoEffect, NotSimulated, Simulated};
use super::FlagGroup;
use super::rows::{
    any_case, choice, human, human_or_auto, integer, json, number, object, object_or_text, plain, switch, text,
};

/// Those of the engine.
pub(super) const ENGINE: &[FlagGroup] = &[
    FlagGroup {
        effect: Simulated,
        why: "it decides what the scheduler and the KV cache do",
        #[rustfmt::skip]
        flags: &[
            human_or_auto("--max-model-len"), human("--max-num-batched-tokens"),
            human("--max-num-scheduled-tokens").or_none(), integer("--max-num-seqs"),
            integer("--max-num-active-seqs").or_none(), integer("--long-prefill-token-threshold"),
            switch("--long-prefill-token-threshold-adaptive"), choice("--scheduling-policy", &["fcfs", "priority"]),
            switch("--enable-chunked-prefill"), switch("--enable-prefix-caching"),
            switch("--scheduler-reserve-full-isl"), number("--watermark"), switch("--async-scheduling"),
            integer("--block-size"), integer("--prefix-match-unit").or_none(),
            number("--gpu-memory-utilization").also(&["--device-memory-utilization"]),
            human("--kv-cache-memory-bytes").or_none(), integer("--num-gpu-blocks-override").or_none(),
            integer("--tensor-parallel-size").also(&["-tp"]), integer("--pipeline-parallel-size").also(&["-pp"]),
            choice("--performance-mode", &["balanced", "interactivity", "throughput"]),
            integer("--prefill-schedule-interval"), integer("--dp-sync-interval"),
            switch("--data-parallel-external-lb").also(&["-dpe"]), switch("--data-parallel-hybrid-lb").also(&["-dph"]),
            integer("--data-parallel-size-local").also(&["-dpl"]), switch("--disable-hybrid-kv-cache-manager"),
            integer("--prefix-cache-retention-interval").or_none().harmless(&["0"]), integer("--mamba-block-size").or_none(),
            switch("--enable-mamba-shared-prefix-checkpoint"), json("--speculative-config").also(&["-sc"]).or_none(),
            choice("--spec-method", &[
                "bailing_hybrid_mtp", "bailing_hybrid_v3_mtp", "custom_class", "deepseek_mtp", "dflash",
                "dots3_note_mtp", "draft_model", "dspark", "eagle", "eagle3", "ernie_mtp", "exaone4_5_mtp",
                "exaone_moe_mtp", "extract_hidden_states", "gemma4_mtp", "glm4_moe_lite_mtp", "glm4_moe_mtp",
                "glm5_next_mtp", "glm_ocr_mtp", "hy_v3_mtp", "hy_v4_mtp", "inkling_mtp", "kimi_k3_mtp",
                "longcat_flash_mtp", "medusa", "mimo_mtp", "mimo_v2_mtp", "minimax_m3_mtp", "mlp_speculator", "mtp",
                "nemotron_h_mtp", "ngram", "ngram_gpu", "pangu_ultra_moe_mtp", "qwen3_5_mtp", "qwen3_next_mtp",
                "qwen4_exp_mtp", "step3p5_mtp", "step5_mtp", "suffix",
            ]).or_none(),
            text("--spec-model").or_none(), integer("--spec-tokens"), number("--kv-offloading-size").or_none(),
            choice("--kv-offloading-backend", &["lmcache", "native"]), object("--kv-transfer-config").or_none(),
        ],
    },
    FlagGroup {
        effect: Composed,
        why: "it decides of which operators a pass is composed; a whole-pass profile holds for one value",
        #[rustfmt::skip]
        flags: &[
            text("--model"), choice("--dtype", &["auto", "bfloat16", "float", "float16", "float32", "half"]),
            text("--quantization").also(&["-q"]).or_none(), text("--kv-cache-dtype"),
            integer("--data-parallel-size").also(&["-dp"]), switch("--enable-expert-parallel").also(&["-ep"]),
        ],
    },
    FlagGroup {
        effect: FixedByProfile,
        why: "it decides which model runs and in which numbers, so step times and memory hold for one value",
        #[rustfmt::skip]
        flags: &[
            text("--revision").or_none(), text("--code-revision").or_none(), text("--hf-config-path").or_none(),
            object_or_text("--hf-overrides").harmless(&["{}"]), json("--model-class-overrides").harmless(&["{}"]),
            text("--model-impl").harmless(&["auto"]), object("--quantization-config").or_none(),
            text("--kv-cache-dtype-skip-layers").several(), switch("--disable-sliding-window").harmless(&["false"]),
            switch("--language-model-only").harmless(&["false"]), text("--load-format").harmless(&["auto"]),
        ],
    },
    FlagGroup {
        effect: FixedByProfile,
        why: "it chooses or arranges the code a pass runs, so step times hold for one value",
        #[rustfmt::skip]
        flags: &[
            switch("--enforce-eager").harmless(&["false"]), text("--attention-backend").or_none(),
            object("--attention-config").also(&["-ac"]),
            any_case("--moe-backend", &[
                "aiter", "aiter_mega_moe", "aiter_triton_mxfp4_bf16", "aiter_triton_mxfp4_mxfp4", "auto", "b12x",
                "batched_triton", "cutlass", "deep_gemm", "deep_gemm_mega_moe", "emulation", "flashinfer_b12x",
                "flashinfer_cutedsl", "flashinfer_cutlass", "flashinfer_moe_ep_cutedsl",
                "flashinfer_moe_ep_mega_deep_gemm", "flashinfer_trtllm", "flydsl", "hpc", "humming", "marlin", "rdna3",
                "triton", "triton_unfused",
            ]).harmless(&["auto"]),
            any_case("--linear-backend", &[
                "aiter", "auto", "b12x", "conch", "cutlass", "deep_gemm", "emulation", "exllama", "fbgemm",
                "flashinfer_b12x", "flashinfer_cudnn", "flashinfer_cutedsl", "flashinfer_cutlass", "flashinfer_trtllm",
                "humming", "machete", "marlin", "torch", "triton", "xpu", "xpu_woq",
            ]).harmless(&["auto"]),
            any_case("--sparse-indexer-topk-backend", &[
                "aiter", "auto", "cooperative", "deep_select", "flashinfer", "per_row", "persistent", "torch",
            ]).harmless(&["auto"]),
            object("--ir-op-priority"), switch("--enable-flashinfer-autotune"), object("--kernel-config"),
            object("--compilation-config").also(&["-cc"]), integer("--cudagraph-capture-sizes").several(),
            integer("--max-cudagraph-capture-size"), text("--optimization-level").harmless(&["2"]),
            object_or_text("--additional-config").harmless(&["{}"]),
            choice("--gdn-prefill-backend", &["aiter_flydsl", "cutedsl", "flashinfer", "sycl", "triton"]),
            choice("--kda-prefill-backend", &["auto", "flashinfer", "flashkda", "fused", "triton"]),
            choice("--kda-decode-backend", &["auto", "flashinfer", "native", "triton"]),
            switch("--use-fp64-gumbel").harmless(&["false"]), text("--logits-processors").or_none().several(),
            switch("--enable-return-routed-experts").harmless(&["false"]),
            switch("--return-sampling-mask").harmless(&["false"]), object("--aux-output-config"),
            json("--watermark-config").or_none(), switch("--enable-batch-sharded-sampling"),
            switch("--kv-sharing-fast-prefill").harmless(&["false"]),
            switch("--disable-custom-all-reduce").harmless(&["false"]), text("--worker-cls").harmless(&["auto"]),
            text("--worker-extension-cls"), switch("--enable-hc-sp").harmless(&["false"]),
            object("--engram-config").or_none(), switch("--enable-shm-tensor-arena").harmless(&["false"]),
            switch("--numa-bind").harmless(&["false"]), integer("--numa-bind-nodes").or_none().several(),
            text("--numa-bind-cpus").or_none().several(), switch("--monokernel").harmless(&["false"]),
            text("--device-ids"), text("--distributed-executor-backend").or_none(),
            integer("--nnodes").also(&["-n"]).harmless(&["1"]), integer("--node-rank").also(&["-r"]).harmless(&["0"]),
        ],
    },
    FlagGroup {
        effect: FixedByProfile,
        why: "it decides where experts of a mixture-of-experts model run, so step times hold for one value",
        #[rustfmt::skip]
        flags: &[
            switch("--enable-ep-weight-filter").harmless(&["false"]),
            choice("--all2all-backend", &[
                "allgather_reducescatter", "deepep_high_throughput", "deepep_low_latency", "deepep_v2",
                "flashinfer_all2allv", "flashinfer_nvlink_one_sided", "flashinfer_nvlink_two_sided", "moonep",
                "mori_high_throughput", "mori_low_latency", "naive", "nixl_ep", "pplx",
            ]).harmless(&["allgather_reducescatter"]),
            switch("--enable-dbo").harmless(&["false"]), integer("--ubatch-size").harmless(&["0"]),
            integer("--dbo-decode-token-threshold").harmless(&["32"]),
            integer("--dbo-prefill-token-threshold").harmless(&["512"]), switch("--enable-eplb").harmless(&["false"]),
            object("--eplb-config"),
            choice("--expert-placement-strategy", &["linear", "round_robin"]).harmless(&["linear"]),
        ],
    },
    FlagGroup {
        effect: FixedByProfile,
        why: "it moves weights out of the device or reserves memory on it, so memory and step times hold for one value",
        #[rustfmt::skip]
        flags: &[
            choice("--offload-backend", &["auto", "prefetch", "uva"]).harmless(&["auto"]),
            number("--cpu-offload-gb").harmless(&["0"]), text("--cpu-offload-params").several(),
            integer("--offload-group-size").harmless(&["0"]), integer("--offload-num-in-group").harmless(&["1"]),
            integer("--offload-prefetch-step").harmless(&["1"]), text("--offload-params").several(),
            switch("--enable-cumem-allocator").harmless(&["false"]), number("--mm-ipc-gpu-memory-gb").harmless(&["0"]),
            switch("--skip-mm-profiling").harmless(&["false"]), json("--limit-mm-per-prompt").harmless(&["{}"]),
            switch("--mm-encoder-only").harmless(&["false"]),
            choice("--mm-encoder-tp-mode", &["data", "weights"]).harmless(&["weights"]),
            text("--mm-encoder-attn-backend").or_none(), choice("--mm-encoder-attn-dtype", &["fp8"]).or_none(),
        ],
    },
    FlagGroup {
        effect: FixedByProfile,
        why: "it decides how many threads the front end has, whose times are in the profile",
        #[rustfmt::skip]
        flags: &[
            integer("--renderer-num-workers").harmless(&["1"]),
        ],
    },
    FlagGroup {
        effect: Simulated,
        why: "it decides how many processes the front end has",
        #[rustfmt::skip]
        flags: &[
            integer("--api-server-count").also(&["-asc"]),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "it says which data-parallel ranks run here, or that their number changes; all ranks of --data-parallel-size \
              are simulated, behind vLLM's own balancer or (--data-parallel-external-lb, --data-parallel-hybrid-lb) a \
              --router",
        #[rustfmt::skip]
        flags: &[
            integer("--data-parallel-rank").also(&["-dpn"]),
            integer("--data-parallel-start-rank").also(&["-dpr"]).harmless(&["0"]),
            plain("--data-parallel-multi-port-external-lb").also(&["-dpm"]).harmless(&["false"]),
            plain("--headless").harmless(&["false"]), switch("--enable-elastic-ep").harmless(&["false"]),
            switch("--enable-fault-tolerance").harmless(&["false"]),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it says how data-parallel ranks reach each other and are watched, which changes no schedule",
        #[rustfmt::skip]
        flags: &[
            text("--data-parallel-address").also(&["-dpa"]), integer("--data-parallel-rpc-port").also(&["-dpp"]),
            text("--data-parallel-backend").also(&["-dpb"]), integer("--data-parallel-supervisor-port"),
            number("--dp-supervisor-probe-interval-s"), number("--dp-supervisor-probe-timeout-s"),
            integer("--dp-supervisor-probe-failure-threshold"), switch("--disable-nccl-for-dp-synchronization"),
            integer("--elastic-ep-max-dp-size"), object("--fault-tolerance-config"),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "context parallelism changes the block size the scheduler sees and the work of a rank",
        #[rustfmt::skip]
        flags: &[
            integer("--decode-context-parallel-size").also(&["-dcp"]).harmless(&["1"]),
            integer("--prefill-context-parallel-size").also(&["-pcp"]).harmless(&["1"]),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts only with context parallelism, which is refused",
        #[rustfmt::skip]
        flags: &[
            choice("--dcp-comm-backend", &["a2a", "ag_rs"]).or_none(), switch("--dcp-q-replicate"),
            integer("--dcp-kv-cache-interleave-size"), integer("--cp-kv-cache-interleave-size"),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "encoder outputs come from or go to another place, and requests wait for them",
        #[rustfmt::skip]
        flags: &[
            object("--ec-transfer-config").or_none(),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "adapters limit which requests may share a pass and change step times",
        #[rustfmt::skip]
        flags: &[
            switch("--enable-lora").harmless(&["false"]), text("--lora-modules").or_none().several(),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts only together with --enable-lora, which is refused",
        #[rustfmt::skip]
        flags: &[
            integer("--max-loras"),
            integer("--max-lora-rank").of(&["1", "8", "16", "32", "64", "128", "256", "320", "512"]),
            choice("--lora-dtype", &["auto", "bfloat16", "float16"]), switch("--enable-tower-connector-lora"),
            integer("--max-cpu-loras").or_none(), switch("--fully-sharded-loras"),
            text("--lora-target-modules").or_none().several(), json("--default-mm-loras").or_none(),
            switch("--specialize-active-lora"), switch("--enable-mixed-moe-lora-format"),
            switch("--enable-moe-shared-loras"), integer("--max-lora-cls-labels").or_none(),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "only models that generate token by token are simulated",
        #[rustfmt::skip]
        flags: &[
            choice("--runner", &["auto", "draft", "generate", "pooling"]).harmless(&["auto", "generate"]),
            choice("--convert", &["auto", "classify", "embed", "none"]).harmless(&["auto", "none"]),
            object("--pooler-config").or_none(), json("--diffusion-config").also(&["-dc"]).or_none(),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "a scheduler of your own cannot run here",
        #[rustfmt::skip]
        flags: &[
            text("--scheduler-cls").or_none(),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "above the limit the server turns requests away with HTTP 503, and what the client does then is not known",
        #[rustfmt::skip]
        flags: &[
            integer("--max-num-queued-reqs").or_none(), human("--max-num-queued-tokens").or_none(),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "tokens reach the client in groups, which changes TTFT and ITL as the client sees them",
        #[rustfmt::skip]
        flags: &[
            integer("--stream-interval").harmless(&["1"]),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "the times of the HTTP front end are in the profile, not those of gRPC or of a token-only or split server",
        #[rustfmt::skip]
        flags: &[
            plain("--grpc").harmless(&["false"]), switch("--tokens-only").harmless(&["false"]),
            switch("--enable-scale-out").harmless(&["false"]),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "the file is not read; give the flags that are in it",
        #[rustfmt::skip]
        flags: &[
            text("--config"),
        ],
    },
    FlagGroup {
        effect: FixedByProfile,
        why: "it chooses how Mamba states are kept and computed, so their size and step times hold for one value",
        #[rustfmt::skip]
        flags: &[
            text("--mamba-backend").harmless(&["triton"]),
            choice("--mamba-ssu-algorithm", &["auto", "horizontal", "simple", "vertical"]).or_none(),
            switch("--enable-mamba-cache-stochastic-rounding").harmless(&["false"]),
            integer("--mamba-cache-philox-rounds").harmless(&["0"]),
            choice("--mamba-cache-dtype", &["auto", "bfloat16", "float16", "float32"]).harmless(&["auto"]),
            choice("--mamba-ssm-cache-dtype", &["auto", "bfloat16", "float16", "float32"]).harmless(&["auto"]),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "which Mamba states are kept follows from prefix caching, whatever is given",
        #[rustfmt::skip]
        flags: &[
            choice("--mamba-cache-mode", &["align", "none"]),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "states are then rebuilt from recorded inputs, and verifications keep none of their own",
        #[rustfmt::skip]
        flags: &[
            switch("--use-replayssm").harmless(&["false"]),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts only together with --use-replayssm, which is refused",
        #[rustfmt::skip]
        flags: &[
            integer("--replayssm-buffer-len"),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts only in DeepSeek-V4.1, whose layers are not simulated",
        #[rustfmt::skip]
        flags: &[
            switch("--swa-bounded-replay"),
        ],
    },
];
