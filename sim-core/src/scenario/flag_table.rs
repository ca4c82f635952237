//! The flags a scenario is made of.

use crate::fleet::router::Policy;

use super::composition::{DEFAULT_GPU, DEFAULT_MODEL};
use super::flag::{Flag, Form, Part};
use super::{life_args, role_args, router_args};
use crate::workload::table::{SessionReplay, TimeUnit};

const fn model(name: &'static str, form: Form, default: &'static str, help: &'static str) -> Flag {
    Flag { name, part: Part::Model, form, help, default, is_vllms: true }
}

const fn engine(name: &'static str, form: Form, help: &'static str) -> Flag {
    Flag { name, part: Part::Engine, form, help, default: "", is_vllms: true }
}

const fn workload(name: &'static str, form: Form, default: &'static str, help: &'static str) -> Flag {
    Flag { name, part: Part::Workload, form, help, default, is_vllms: true }
}

/// A flag of several engines that vLLM has not.
const fn of_fleet(name: &'static str, form: Form, default: &'static str, help: &'static str) -> Flag {
    Flag { is_vllms: false, default, ..engine(name, form, help) }
}

/// A flag of the workload that vLLM has not.
const fn ours(name: &'static str, form: Form, default: &'static str, help: &'static str) -> Flag {
    Flag { name, part: Part::Workload, form, help, default, is_vllms: false }
}

const fn report(name: &'static str, form: Form, default: &'static str, help: &'static str) -> Flag {
    Flag { name, part: Part::Report, form, help, default, is_vllms: true }
}

/// Every flag of a scenario, in the order in which it is written out.
pub const FLAGS: &[Flag] = &[
    model("model", Form::Text, DEFAULT_MODEL, "Name of the model on Hugging Face, with any owner or none"),
    Flag { is_vllms: false, ..model("gpu", Form::Text, DEFAULT_GPU, "The GPU that it runs on, such as h100-sxm") },
    model("dtype", Form::Text, "auto", "Number format of weights and activations: auto, bfloat16, float16 or float32"),
    model("quantization", Form::Text, "the checkpoint's", "Method by which weights are quantised, such as fp8"),
    model("kv-cache-dtype", Form::Text, "auto", "Number format of keys and values: auto, fp8, float16 or bfloat16"),
    model(
        "data-parallel-size",
        Form::Integer,
        "1",
        "Engines that share the requests, and the experts if there are any: `simulate` and \"What if?\" have all, others one",
    ),
    model("enable-expert-parallel", Form::Switch, "", "Share experts out among GPUs instead of slicing each"),
    engine(
        "max-model-len",
        Form::Integer,
        "Longest sequence, prompt and output together; -1 or auto for the largest that fits",
    ),
    engine("max-num-batched-tokens", Form::Integer, "Most input tokens of one pass"),
    engine("max-num-scheduled-tokens", Form::Integer, "Token budget of one pass, where it is to be smaller"),
    engine("max-num-seqs", Form::Integer, "Most requests of one pass"),
    engine("max-num-active-seqs", Form::Integer, "Most requests in the running list, where it is to be smaller"),
    engine("long-prefill-token-threshold", Form::Integer, "Most tokens of one request in one pass; 0 for no limit"),
    engine("long-prefill-token-threshold-adaptive", Form::Switch, "Raise that threshold to a fair share of the budget"),
    engine("scheduling-policy", Form::Choice(&["fcfs", "priority"]), "Order of the waiting queue: fcfs or priority"),
    engine("enable-chunked-prefill", Form::Switch, "Compute a prompt in several passes where it must be"),
    engine("enable-prefix-caching", Form::Switch, "Keep full blocks and find them again by content"),
    engine(
        "scheduler-reserve-full-isl",
        Form::Switch,
        "Admit a request only if its whole known sequence would fit now",
    ),
    engine("watermark", Form::Number, "Share of the blocks kept free at admission, in [0, 1)"),
    engine("async-scheduling", Form::Switch, "Prepare a pass while another runs"),
    engine("block-size", Form::Integer, "Tokens per KV block"),
    engine(
        "prefix-match-unit",
        Form::Integer,
        "Finest token boundary of a prefix-cache hit; the block size in models with one kind of layer",
    ),
    engine(
        "prefix-cache-retention-interval",
        Form::Text,
        "Tokens between kept checkpoints of windows and states; 0 for those that a repeated prompt can use, None for all",
    ),
    engine(
        "disable-hybrid-kv-cache-manager",
        Form::Switch,
        "Keep all blocks of layers with a window, so that one block table serves all layers",
    ),
    engine("mamba-block-size", Form::Integer, "Tokens per block of Mamba states, in models without attention"),
    engine(
        "enable-mamba-shared-prefix-checkpoint",
        Form::Switch,
        "Keep Mamba states also where requests' common prefix ends",
    ),
    engine(
        "prefill-schedule-interval",
        Form::Integer,
        "Passes from one that computes prompts to the next; 1 for no such rule",
    ),
    engine(
        "dp-sync-interval",
        Form::Integer,
        "Steps after which data-parallel ranks of a model with experts ask each other for work",
    ),
    engine(
        "data-parallel-external-lb",
        Form::Switch,
        "Let --router choose among data-parallel ranks instead of vLLM's own balancer",
    ),
    engine(
        "data-parallel-hybrid-lb",
        Form::Switch,
        "Let --router choose among nodes, each of which balances --data-parallel-size-local ranks",
    ),
    engine("data-parallel-size-local", Form::Integer, "Data-parallel ranks of each node"),
    engine(
        "api-server-count",
        Form::Integer,
        "API-server processes, each of which handles requests and tokens one after the other",
    ),
    engine(
        "speculative-config",
        Form::Text,
        "Speculative decoding: {\"method\": …, \"num_speculative_tokens\": …}, or its keys behind a dot",
    ),
    engine("kv-offloading-size", Form::Number, "GiB of host memory for KV blocks that the GPUs give up"),
    engine("kv-offloading-backend", Form::Choice(&["native", "lmcache"]), "Who keeps them: vLLM itself"),
    engine(
        "kv-transfer-config",
        Form::Text,
        "The same as JSON, {\"kv_connector\": \"OffloadingConnector\", …}, with chunks, eviction and tiers behind",
    ),
    of_fleet("kv-offloading-bandwidth", Form::Number, "55", "GB/s between each GPU and its host's memory, either way"),
    of_fleet("kv-offloading-latency", Form::Number, "0.02", "Milliseconds that each of these transfers takes besides"),
    of_fleet("kv-tier-read-bandwidth", Form::Number, "7", "GB/s that all reads from a tier behind host memory share"),
    of_fleet("kv-tier-write-bandwidth", Form::Number, "5", "GB/s that all writes to a tier behind host memory share"),
    of_fleet("kv-tier-latency", Form::Number, "0.1", "Milliseconds that each file or object of these takes besides"),
    of_fleet("kv-tier-lookup-latency", Form::Number, "0.005", "Milliseconds to find out whether a tier has a chunk"),
    engine("gpu-memory-utilization", Form::Number, "Share of the GPU's memory that the engine may use"),
    engine("kv-cache-memory-bytes", Form::Integer, "Memory of the KV cache, instead of what the share leaves"),
    engine(
        "num-gpu-blocks-override",
        Form::Integer,
        "KV blocks, instead of what the memory holds; the null block counts",
    ),
    engine(
        "tensor-parallel-size",
        Form::Integer,
        "GPUs that share each layer; a whole-pass profile holds for one number",
    ),
    engine("pipeline-parallel-size", Form::Integer, "Must be the profile's"),
    engine(
        "performance-mode",
        Form::Choice(&["balanced", "throughput"]),
        "What the defaults are tuned for: balanced or throughput",
    ),
    engine("enforce-eager", Form::Switch, "Run without CUDA graphs"),
    Flag {
        is_vllms: false,
        default: "0.33.0",
        ..engine("vllm-version", Form::Choice(&["0.33.0", "0.32.0"]), "Whose scheduling rules are followed")
    },
    Flag {
        is_vllms: false,
        default: "server",
        ..engine(
            "usage-context",
            Form::Choice(&["server", "llm"]),
            "Whose defaults the engine has: vllm serve, or Python's LLM",
        )
    },
    Flag {
        is_vllms: false,
        default: "off",
        ..engine(
            "pass-noise",
            Form::Text,
            "Passes of the same batch differ: profile for as much as was measured, or SIGMA,CORRELATION,LONG_SHARE,LONG_MS",
        )
    },
    Flag {
        is_vllms: false,
        default: "off",
        ..engine(
            "client-work",
            Form::Text,
            "REQUEST_US,TOKEN_US: the client, one thread, works so long for each request and each token it receives",
        )
    },
    Flag {
        is_vllms: false,
        default: "1",
        ..engine("replicas", Form::Integer, "Engines, all alike, behind one router")
    },
    Flag {
        is_vllms: false,
        default: "round-robin",
        ..engine("router", Form::Choice(Policy::NAMES), "Who decides which replica gets a request")
    },
    router_args::ROUTER_ARGS,
    life_args::REPLICA_FAILS,
    life_args::RETRY_MAX_RETRIES,
    life_args::MIGRATION_LIMIT,
    life_args::AUTOSCALER,
    life_args::PREFILL_REPLICA_FAILS,
    life_args::DECODE_REPLICA_FAILS,
    life_args::PREFILL_AUTOSCALER,
    life_args::DECODE_AUTOSCALER,
    of_fleet("prefill-replicas", Form::Integer, "0", "Engines that compute prompts only, beside --decode-replicas"),
    of_fleet("decode-replicas", Form::Integer, "0", "Engines that load computed prompts and answer"),
    role_args::PREFILL_ARGS,
    role_args::DECODE_ARGS,
    of_fleet("kv-transfer-bandwidth", Form::Number, "50", "GB/s that each device of an engine sends, and receives"),
    of_fleet("kv-transfer-latency", Form::Number, "0.01", "Milliseconds until the first byte of a transfer comes"),
    of_fleet("kv-transfer-descriptor-time", Form::Number, "0", "Microseconds that each piece of memory adds to that"),
    of_fleet("kv-transfer-failure-rate", Form::Number, "0", "Share of transfers that fail"),
    of_fleet("kv-load-failure-policy", Form::Choice(&["fail", "recompute"]), "fail", "What a failed transfer leads to"),
    workload("dataset-name", Form::Choice(super::DatasetName::NAMES), "random", "Where requests come from"),
    workload("dataset-path", Form::Text, "", "File of the dataset"),
    workload("num-prompts", Form::Integer, "1000; of a recorded trace all", "Requests to send"),
    workload("seed", Form::Integer, "0", "Seed of everything random"),
    workload("request-rate", Form::Number, "inf", "Requests per second; inf for all at once"),
    workload("burstiness", Form::Number, "1", "Shape of the gaps: 1 is a Poisson process, inf is constant"),
    workload("max-concurrency", Form::Integer, "no limit", "Most requests under way"),
    workload(
        "ramp-up-strategy",
        Form::Choice(&["linear", "exponential"]),
        "",
        "Let the rate grow from the start's to the end's",
    ),
    workload("ramp-up-start-rps", Form::Integer, "", "Requests per second at the first request"),
    workload("ramp-up-end-rps", Form::Integer, "", "Requests per second at the last request"),
    workload("self-timed", Form::Switch, "if the dataset has times", "Use the dataset's own times"),
    workload("input-len", Form::Integer, "", "Prompt tokens, for any dataset that makes its own"),
    workload("output-len", Form::Integer, "", "Output tokens, for any dataset that can be told"),
    workload("random-input-len", Form::Integer, "1024", "Prompt tokens of random requests"),
    workload("random-output-len", Form::Integer, "128", "Output tokens of random requests"),
    workload(
        "random-range-ratio",
        Form::Text,
        "0.0",
        "Lengths vary by this share: a number in [0, 1) or {\"input\": R, \"output\": R}",
    ),
    workload("random-prefix-len", Form::Integer, "0", "Tokens in front of every random prompt, the same for all"),
    workload("prefix-repetition-prefix-len", Form::Integer, "256", "Tokens of a shared prefix"),
    workload("prefix-repetition-suffix-len", Form::Integer, "256", "Tokens behind it"),
    workload("prefix-repetition-num-prefixes", Form::Integer, "10", "Different prefixes"),
    workload("prefix-repetition-output-len", Form::Integer, "128", "Output tokens"),
    workload(
        "sharegpt-output-len",
        Form::Integer,
        "",
        "Output tokens of a ShareGPT request, instead of the recorded answer's",
    ),
    workload("custom-output-len", Form::Integer, "256", "Output tokens of a custom request; -1 for each line's own"),
    workload(
        "timed-trace-chunk-hash-size",
        Form::Integer,
        "16",
        "Tokens per entry of hash_ids: 16 for Bailian, 512 for Mooncake",
    ),
    workload(
        "timed-trace-sec-multiplier",
        Form::Number,
        "1",
        "Seconds per unit of a timed trace's clock: 0.001 for milliseconds",
    ),
    workload("timed-trace-label-timestamp", Form::Text, "timestamp", "Name of the time"),
    workload("timed-trace-label-input-length", Form::Text, "input_length", "Name of the prompt's length"),
    workload("timed-trace-label-output-length", Form::Text, "output_length", "Name of the output's length"),
    workload("timed-trace-label-hash-ids", Form::Text, "hash_ids", "Name of the block hashes"),
    workload("disable-shuffle", Form::Switch, "", "Keep the order of the file"),
    workload("no-oversample", Form::Switch, "", "Send fewer requests rather than some twice"),
    workload("num-warmups", Form::Integer, "0", "Copies of the first request, sent together before all others"),
    workload(
        "ready-check-timeout-sec",
        Form::Integer,
        "0",
        "Above 0: the first request is sent alone before all others, as benchmarks of older versions always do",
    ),
    ours(
        "columns",
        Form::Text,
        "by their names",
        "Columns of a table: time=NAME,prompt=NAME,output=NAME,session=NAME, …",
    ),
    ours("time-unit", Form::Choice(TimeUnit::NAMES), "as is found", "Unit of a table's times: s, ms, us or ns"),
    ours(
        "session-replay",
        Form::Choice(SessionReplay::NAMES),
        "closed",
        "Send a table's next turn after the answer before (closed), or at its own time in any case (open)",
    ),
    ours("num-sessions", Form::Integer, "100", "Sessions in all"),
    ours(
        "num-users",
        Form::Integer,
        "",
        "Users, each with one session after another; else these begin at the request rate",
    ),
    ours("session-turns", Form::Text, "5", "Messages of a session: N, LOW..HIGH, exp:MEAN or lognormal:MEAN:SIGMA"),
    ours("system-prompt-len", Form::Integer, "0", "Tokens at the beginning of every session, the same for all"),
    ours("session-prefix-len", Form::Text, "0", "Tokens behind these, of the session's own; drawn as the turns"),
    ours("session-input-len", Form::Text, "128", "Tokens of a message; drawn as the turns"),
    ours("session-output-len", Form::Text, "256", "Tokens of an answer; drawn as the turns"),
    ours("think-time", Form::Text, "exp:10", "Seconds from an answer to the next message; drawn as the turns"),
    ours("tool-calls", Form::Text, "0", "Tools that the model calls before it answers a message; drawn as the turns"),
    ours("tool-time", Form::Text, "exp:1", "Seconds that a tool takes; drawn as the turns"),
    ours("tool-output-len", Form::Text, "256", "Tokens of what a tool says; drawn as the turns"),
    ours(
        "num-earlier-runs",
        Form::Integer,
        "0",
        "How often the same benchmark ran on this server before: its prompts are in the prefix cache, as far as they fit",
    ),
    ours(
        "spec-acceptance-length",
        Form::Number,
        "",
        "Mean tokens of a verification, the accepted drafts and one; each draft has the same chance",
    ),
    ours(
        "spec-acceptance-rates",
        Form::Text,
        "",
        "Chance of each draft if those before it were accepted, such as 0.8,0.7,0.6",
    ),
    ours(
        "spec-acceptance-sequence",
        Form::Text,
        "",
        "Accepted drafts of each request's verifications in turn, such as 3,0,2",
    ),
    report("goodput", Form::List, "", "Objectives, such as ttft:500 tpot:50 e2el:10000 (milliseconds)"),
    report(
        "percentile-metrics",
        Form::Text,
        "ttft,tpot,itl",
        "Metrics to report: ttft, tpot, itl, e2el, client_queue_time, e2el_including_client_queue",
    ),
    report("metric-percentiles", Form::Text, "99", "Percentiles to report"),
    Flag {
        is_vllms: false,
        ..report("price", Form::List, "a list with dates", "US dollars for an hour of a GPU, such as h100-sxm=2.49")
    },
];
