//! The flags of `vllm bench serve` 0.32.0 and 0.33.0 (`vllm/benchmarks/serve.py::add_cli_args`).

use super::FlagEffect::{NoEffect, NotSimulated, Simulated};
use super::FlagGroup;
use super::rows::{choice, integer, json, number, plain, switch, text};

/// Every flag of `vllm bench serve`.
pub const BENCH_SERVE: &[FlagGroup] = &[
    FlagGroup {
        effect: Simulated,
        why: "it decides which requests are sent and when",
        #[rustfmt::skip]
        flags: &[
            integer("--seed"), integer("--num-prompts"), number("--request-rate"), number("--burstiness"),
            integer("--max-concurrency"), choice("--ramp-up-strategy", &["exponential", "linear"]),
            integer("--ramp-up-start-rps"), integer("--ramp-up-end-rps"),
            choice("--dataset-name", &[
                "burstgpt", "custom", "custom_audio", "custom_image", "hf", "prefix_repetition", "random", "random-mm",
                "random-rerank", "sharegpt", "spec_bench", "speed_bench", "timed_trace",
            ]),
            text("--dataset-path"), integer("--input-len"), integer("--output-len"), integer("--random-input-len"),
            integer("--random-output-len"), text("--random-range-ratio"), integer("--random-prefix-len"),
            integer("--prefix-repetition-prefix-len"), integer("--prefix-repetition-suffix-len"),
            integer("--prefix-repetition-num-prefixes"), integer("--prefix-repetition-output-len"),
            integer("--sharegpt-output-len"), integer("--custom-output-len"), integer("--timed-trace-chunk-hash-size"),
            number("--timed-trace-sec-multiplier"), text("--timed-trace-label-timestamp"),
            text("--timed-trace-label-input-length"), text("--timed-trace-label-output-length"),
            text("--timed-trace-label-hash-ids"), switch("--self-timed"), plain("--disable-shuffle"),
            plain("--no-oversample"), text("--tokenizer"),
        ],
    },
    FlagGroup {
        effect: Simulated,
        why: "it decides which requests are sent before the measured ones and leave blocks in the prefix cache",
        flags: &[integer("--num-warmups"), integer("--ready-check-timeout-sec")],
    },
    FlagGroup {
        effect: Simulated,
        why: "it decides what is reported",
        #[rustfmt::skip]
        flags: &[
            text("--goodput").several(), text("--percentile-metrics"), text("--metric-percentiles"),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "requests sent beside the measured ones, which share the engine with them, are not simulated",
        #[rustfmt::skip]
        flags: &[
            number("--probe-request-rate").harmless(&["0.0"]),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "beam search sends several sequences per request",
        #[rustfmt::skip]
        flags: &[
            plain("--use-beam-search").harmless(&["false"]),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "without streaming the client sees no first token, and TTFT and ITL mean something else",
        #[rustfmt::skip]
        flags: &[
            plain("--no-stream").harmless(&["false"]),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "only the streamed completions of an OpenAI-compatible server are simulated, and chats without the few tokens that a chat template adds",
        #[rustfmt::skip]
        flags: &[
            choice("--backend", &[
                "infinity-embeddings", "infinity-embeddings-clip", "openai", "openai-audio", "openai-chat",
                "openai-embeddings", "openai-embeddings-chat", "openai-embeddings-clip", "openai-embeddings-vlm2vec",
                "openai-responses", "vllm", "vllm-pooling", "vllm-rerank",
            ]).harmless(&["openai", "vllm", "openai-chat"]),
            text("--endpoint").harmless(&["/v1/completions", "/v1/chat/completions"]),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "only the streamed text completions of an OpenAI-compatible server are simulated",
        #[rustfmt::skip]
        flags: &[
            json("--extra-body").harmless(&["{}"]), plain("--enable-multimodal-chat").harmless(&["false"]),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "adapters limit which requests may share a pass and change step times",
        #[rustfmt::skip]
        flags: &[
            text("--lora-modules").several(),
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "several prompts in one request is for embedding and scoring models",
        #[rustfmt::skip]
        flags: &[
            integer("--random-batch-size").harmless(&["1"]),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts only with --lora-modules or a data set for embedding and scoring models, which are refused",
        #[rustfmt::skip]
        flags: &[
            choice("--lora-assignment", &["random", "round-robin"]), plain("--no-reranker"),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts only with a data set that is refused: its lengths come from a tokenizer; give a trace of lengths",
        #[rustfmt::skip]
        flags: &[
            integer("--spec-bench-output-len"), text("--spec-bench-category"), text("--hf-subset"), text("--hf-split"),
            text("--hf-name"), integer("--hf-output-len"), text("--bfcl-categories"),
            number("--blazedit-min-distance"), number("--blazedit-max-distance"),
            choice("--speed-bench-dataset-subset", &[
                "qualitative", "throughput_16k", "throughput_1k", "throughput_2k", "throughput_32k", "throughput_8k",
            ]),
            integer("--speed-bench-output-len"), text("--speed-bench-category"),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it acts only with images and audio, whose data sets are refused",
        #[rustfmt::skip]
        flags: &[
            integer("--random-mm-base-items-per-request"), number("--random-mm-num-mm-items-range-ratio"),
            json("--random-mm-limit-mm-per-prompt"), text("--random-mm-bucket-config"),
            number("--asr-max-audio-len-sec"), number("--asr-min-audio-len-sec"),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "every simulated request generates exactly the number of tokens the workload gives it",
        #[rustfmt::skip]
        flags: &[
            plain("--ignore-eos"), integer("--logprobs"), number("--top-p"), integer("--top-k"), number("--min-p"),
            number("--temperature"), number("--frequency-penalty"), number("--presence-penalty"),
            number("--repetition-penalty"),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it changes texts, and the workload gives the number of tokens of a prompt",
        #[rustfmt::skip]
        flags: &[
            text("--tokenizer-mode"), plain("--trust-remote-code"), plain("--skip-tokenizer-init"),
            plain("--skip-chat-template"), json("--chat-template-kwargs"), plain("--custom-ensure-client-side-data"),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it decides how the client finds the server and names its requests",
        #[rustfmt::skip]
        flags: &[
            text("--base-url"), text("--host"), integer("--port"), text("--header").any_number(), text("--model"),
            text("--served-model-name"), plain("--insecure"), text("--request-id-prefix"),
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it decides how results are shown and stored, which is done in other ways here",
        #[rustfmt::skip]
        flags: &[
            text("--label"), plain("--disable-tqdm"), plain("--profile"), plain("--save-result"),
            plain("--save-detailed"), plain("--append-result"), text("--metadata").any_number(), text("--result-dir"),
            text("--result-filename"), plain("--plot-timeline"), text("--timeline-itl-thresholds"),
            plain("--plot-dataset-stats"),
        ],
    },
];
