//! Flags that older versions of vLLM had, from about 0.5 on, and what became of them.
//!
//! A version is named only where it is sure. 0.11 is the first release without the V0 engine.

/// Flags that went for the same reason.
#[derive(Debug, Clone, Copy)]
pub struct RemovedFlags {
    /// What became of them, as a sentence that reads on after the flag's name and a colon.
    pub why: &'static str,
    /// Names of those that took a value.
    pub with_value: &'static [&'static str],
    /// Names of the switches.
    pub switches: &'static [&'static str],
}

/// Every flag of `vllm serve` and `vllm bench serve` that is known to be gone.
pub const REMOVED: &[RemovedFlags] = &[
    RemovedFlags {
        why: "several passes without scheduling between them went with the V0 engine (0.11); it has no equivalent",
        with_value: &["--num-scheduler-steps"],
        switches: &["--multi-step-stream-outputs"],
    },
    RemovedFlags {
        why: "removed in 0.18; blocks are never swapped to the host, preempted requests are computed again",
        with_value: &["--swap-space"],
        switches: &[],
    },
    RemovedFlags {
        why: "went with the V0 engine (0.11); preempted requests are computed again, swapping has no equivalent",
        with_value: &["--preemption-mode"],
        switches: &[],
    },
    RemovedFlags {
        why: "the V0 engine's block manager is gone (0.11); there is one way to keep blocks",
        with_value: &["--num-lookahead-slots"],
        switches: &["--use-v2-block-manager"],
    },
    RemovedFlags {
        why: "waiting before the next prompt is scheduled went with the V0 engine (0.11); it has no equivalent",
        with_value: &["--scheduler-delay-factor"],
        switches: &[],
    },
    RemovedFlags {
        why: "it acted in the V0 engine only (gone in 0.11); a limit on prompts that are computed in parts has no \
              equivalent",
        with_value: &["--max-num-partial-prefills", "--max-long-partial-prefills"],
        switches: &[],
    },
    RemovedFlags {
        why: "now a key of --speculative-config; without that nothing is drafted",
        #[rustfmt::skip]
        with_value: &[
            "--speculative-model", "--num-speculative-tokens", "--speculative-draft-tensor-parallel-size",
            "--speculative-model-quantization", "--speculative-max-model-len", "--speculative-disable-by-batch-size",
            "--ngram-prompt-lookup-max", "--ngram-prompt-lookup-min", "--spec-decoding-acceptance-method",
            "--typical-acceptance-sampler-posterior-threshold", "--typical-acceptance-sampler-posterior-alpha",
        ],
        switches: &["--speculative-disable-mqa-scorer", "--disable-logprobs-during-spec-decoding"],
    },
    RemovedFlags {
        why: "now --structured-outputs-config; nothing that is simulated depends on it",
        with_value: &["--guided-decoding-backend", "--logits-processor-pattern"],
        switches: &[
            "--guided-decoding-disable-fallback",
            "--guided-decoding-disable-any-whitespace",
            "--guided-decoding-disable-additional-properties",
        ],
    },
    RemovedFlags {
        why: "now --distributed-executor-backend ray",
        with_value: &[],
        switches: &["--worker-use-ray", "--engine-use-ray"],
    },
    RemovedFlags {
        why: "went with the V0 engine (0.11); whether a pass is prepared while another runs is --async-scheduling now",
        with_value: &[],
        switches: &["--disable-async-output-proc"],
    },
    RemovedFlags {
        why: "the front end and the engine are processes of their own since the V0 engine is gone (0.11)",
        with_value: &["--tokenizer-pool-size", "--tokenizer-pool-type", "--tokenizer-pool-extra-config"],
        switches: &["--disable-frontend-multiprocessing"],
    },
    RemovedFlags {
        why: "CUDA graphs are captured by size of the pass now (--max-cudagraph-capture-size), not by length",
        with_value: &["--max-seq-len-to-capture", "--max-context-len-to-capture"],
        switches: &[],
    },
    RemovedFlags { why: "now --cudagraph-capture-sizes", with_value: &["--cuda-graph-sizes"], switches: &[] },
    RemovedFlags { why: "now a key of --hf-overrides", with_value: &["--rope-scaling", "--rope-theta"], switches: &[] },
    RemovedFlags {
        why: "vLLM finds the device itself",
        with_value: &["--device", "--override-neuron-config"],
        switches: &[],
    },
    RemovedFlags {
        why: "prompt adapters are gone",
        with_value: &["--max-prompt-adapters", "--max-prompt-adapter-token", "--prompt-adapters"],
        switches: &["--enable-prompt-adapter"],
    },
    RemovedFlags {
        why: "it acted only on adapters",
        with_value: &["--lora-extra-vocab-size", "--long-lora-scaling-factors", "--qlora-adapter-name-or-path"],
        switches: &["--enable-lora-bias"],
    },
    RemovedFlags { why: "now --runner and --convert", with_value: &["--task"], switches: &[] },
    RemovedFlags { why: "now --pooler-config", with_value: &["--override-pooler-config"], switches: &[] },
    RemovedFlags { why: "now --attention-config", with_value: &["--override-attention-dtype"], switches: &[] },
    RemovedFlags {
        why: "scales of the KV cache come with the model",
        with_value: &["--quantization-param-path"],
        switches: &["--calculate-kv-scales"],
    },
    RemovedFlags {
        why: "now keys of --eplb-config",
        with_value: &["--num-redundant-experts", "--eplb-window-size", "--eplb-step-interval"],
        switches: &["--eplb-log-balancedness"],
    },
    RemovedFlags {
        why: "it acted only on images, audio and video",
        with_value: &[],
        switches: &["--disable-mm-preprocessor-cache", "--enable-multimodal-encoder-data-parallel"],
    },
    RemovedFlags { why: "--reasoning-parser alone says it now", with_value: &[], switches: &["--enable-reasoning"] },
    RemovedFlags { why: "now --backend", with_value: &["--endpoint-type"], switches: &[] },
    RemovedFlags { why: "each request has one answer now", with_value: &["--best-of"], switches: &[] },
    RemovedFlags {
        why: "this data set is gone",
        with_value: &["--sonnet-input-len", "--sonnet-output-len", "--sonnet-prefix-len"],
        switches: &[],
    },
];

/// What became of a flag, with whether it took a value; `None` if no version that is known had it. `flag` is written
/// as by `normalised`.
pub fn removed(flag: &str) -> Option<(&'static str, bool)> {
    let positive = flag.strip_prefix("--no-").map(|name| alloc::format!("--{name}"));
    REMOVED.iter().find_map(|group| {
        if group.with_value.contains(&flag) {
            return Some((group.why, true));
        }
        let is_switch = group.switches.iter().any(|name| *name == flag || positive.as_deref() == Some(name));
        is_switch.then_some((group.why, false))
    })
}
