//! The flags of `vllm bench serve` 0.32.0 (`vllm/benchmarks/serve.py::add_cli_args`).

use super::FlagEffect::{NoEffect, NotSimulated, Simulated};
use super::FlagGroup;

/// Every flag of `vllm bench serve`.
pub const BENCH_SERVE: &[FlagGroup] = &[
    FlagGroup {
        effect: Simulated,
        why: "it decides which requests are sent and when",
        #[rustfmt::skip]
        flags: &[
            "--seed", "--num-prompts", "--request-rate", "--burstiness", "--max-concurrency", "--ramp-up-strategy",
            "--ramp-up-start-rps", "--ramp-up-end-rps", "--dataset-name", "--dataset-path", "--input-len",
            "--output-len", "--random-input-len", "--random-output-len", "--random-range-ratio", "--random-prefix-len",
            "--prefix-repetition-prefix-len", "--prefix-repetition-suffix-len", "--prefix-repetition-num-prefixes",
            "--prefix-repetition-output-len", "--sharegpt-output-len", "--custom-output-len",
            "--timed-trace-chunk-hash-size", "--timed-trace-sec-multiplier",
            "--timed-trace-label-timestamp", "--timed-trace-label-input-length", "--timed-trace-label-output-length",
            "--timed-trace-label-hash-ids", "--self-timed", "--disable-shuffle", "--no-oversample", "--tokenizer",
        ],
    },
    FlagGroup {
        effect: Simulated,
        why: "it decides which requests are sent before the measured ones and leave blocks in the prefix cache",
        flags: &["--num-warmups", "--ready-check-timeout-sec"],
    },
    FlagGroup {
        effect: Simulated,
        why: "it decides what is reported",
        flags: &["--goodput", "--percentile-metrics", "--metric-percentiles"],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "requests sent beside the measured ones, which share the engine with them, are not simulated",
        flags: &["--probe-request-rate=0.0"],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "beam search sends several sequences per request",
        flags: &["--use-beam-search=false"],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "without streaming the client sees no first token, and TTFT and ITL mean something else",
        flags: &["--no-stream=false"],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "only the streamed completions of an OpenAI-compatible server are simulated, and chats without the few \
              tokens that a chat template adds",
        // `vllm` is another name of `openai`; `openai-chat` streams in the same way.
        flags: &["--backend=openai|vllm|openai-chat", "--endpoint=/v1/completions|/v1/chat/completions"],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "only the streamed text completions of an OpenAI-compatible server are simulated",
        flags: &["--extra-body", "--enable-multimodal-chat=false"],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "adapters limit which requests may share a pass and change step times",
        flags: &["--lora-modules", "--lora-assignment=random"],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "several prompts in one request is for embedding and scoring models",
        flags: &["--random-batch-size=1", "--no-reranker=false"],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "prompt and output lengths of this data set come from a tokenizer; give them as a trace of lengths",
        #[rustfmt::skip]
        flags: &[
            "--spec-bench-output-len=256", "--spec-bench-category",
            "--hf-subset", "--hf-split", "--hf-name", "--hf-output-len", "--bfcl-categories",
            "--blazedit-min-distance=0.0", "--blazedit-max-distance=1.0", "--speed-bench-dataset-subset=qualitative",
            "--speed-bench-output-len=4096", "--speed-bench-category",
        ],
    },
    FlagGroup {
        effect: NotSimulated,
        why: "only prompts of text tokens are simulated",
        #[rustfmt::skip]
        flags: &[
            "--random-mm-base-items-per-request=1", "--random-mm-num-mm-items-range-ratio=0.0",
            "--random-mm-limit-mm-per-prompt", "--random-mm-bucket-config", "--asr-max-audio-len-sec=inf",
            "--asr-min-audio-len-sec=0.0",
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "every simulated request generates exactly the number of tokens the workload gives it",
        #[rustfmt::skip]
        flags: &[
            "--ignore-eos", "--logprobs", "--top-p", "--top-k", "--min-p", "--temperature", "--frequency-penalty",
            "--presence-penalty", "--repetition-penalty",
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it changes texts, and the workload gives the number of tokens of a prompt",
        #[rustfmt::skip]
        flags: &[
            "--tokenizer-mode", "--trust-remote-code", "--skip-tokenizer-init", "--skip-chat-template",
            "--chat-template-kwargs", "--custom-ensure-client-side-data",
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it decides how the client finds the server and names its requests",
        #[rustfmt::skip]
        flags: &[
            "--base-url", "--host", "--port", "--header", "--model", "--served-model-name", "--insecure",
            "--request-id-prefix",
        ],
    },
    FlagGroup {
        effect: NoEffect,
        why: "it decides how results are shown and stored, which is done in other ways here",
        #[rustfmt::skip]
        flags: &[
            "--label", "--disable-tqdm", "--profile", "--save-result", "--save-detailed", "--append-result",
            "--metadata", "--result-dir", "--result-filename", "--plot-timeline", "--timeline-itl-thresholds",
            "--plot-dataset-stats",
        ],
    },
];
