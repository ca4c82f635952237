//! What stands in a text beside the calls and is not read, though it could matter: it is named.
//!
//! Named are variables of vLLM's, clients that send to a server, vLLM in Python, flags on a line that belongs to no
//! call, and all calls of a program but the last. Not named is what has nothing to do with a run: `cd`, `sleep`, `tee`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::Program;
use super::variables::assignment;

/// Something that is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOver {
    /// What, as it stands there; its beginning, if it is long.
    pub text: String,
    /// Why, and what follows: reads on after the text and a colon.
    pub why: &'static str,
}

impl fmt::Display for LeftOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.text, self.why)
    }
}

/// Characters of what is left over that are shown.
const MAX_CHARS: usize = 120;

impl LeftOver {
    fn new(text: &str, why: &'static str) -> Self {
        let end = if text.chars().nth(MAX_CHARS).is_some() { "…" } else { "" };
        let text: String = text.chars().take(MAX_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self { text: alloc::format!("{}{end}", text.trim()), why }
    }

    /// A call that another one of the same program follows.
    pub(super) fn earlier_call(program: Program, arguments: &[String]) -> Self {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let call = alloc::format!("{} {}", program.name(), words.join(" "));
        Self::new(&call, "the program is called again below; only its last call is taken")
    }

    /// An argument of vLLM's in a file that calls nothing.
    pub(super) fn configuration(argument: &str) -> Self {
        Self::new(
            argument,
            "an argument of vLLM's in a configuration, which is not read; give it as a flag of vllm serve",
        )
    }

    /// What a variable says, if it may matter.
    pub(super) fn variable(name: &str, value: &str) -> Option<Self> {
        why_variable(name, value).map(|why| Self::new(&alloc::format!("{name}={value}"), why))
    }

    /// What a command has that is not read, `is_behind` a call that is.
    pub(super) fn of_command(words: &[String], is_behind: bool) -> Vec<Self> {
        let line = || words.join(" ");
        let mut found: Vec<Self> = words
            .iter()
            .map(|word| word.trim_start_matches("--env=").trim_start_matches("-e"))
            .filter_map(assignment)
            .filter_map(|(name, value)| Self::variable(name, value))
            .collect();
        if let Some(why) = why_client(words) {
            found.push(Self::new(&line(), why));
        } else if is_behind && is_flag(words) {
            let why = "it stands on a line of its own, behind the end of the command; does the line before lack its \
                       backslash?";
            found.push(Self::new(&line(), why));
        }
        found
    }
}

/// Whether a line begins with a flag.
fn is_flag(words: &[String]) -> bool {
    let name = words.first().and_then(|word| word.strip_prefix("--"));
    name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// Why a variable may matter; `None` if it does not.
fn why_variable(name: &str, value: &str) -> Option<&'static str> {
    const WITHOUT_EFFECT: [&str; 16] = [
        "VLLM_API_KEY",
        "VLLM_CACHE_ROOT",
        "VLLM_CONFIGURE_LOGGING",
        "VLLM_CONFIG_ROOT",
        "VLLM_DO_NOT_TRACK",
        "VLLM_HOST_IP",
        "VLLM_LOGGING_CONFIG_PATH",
        "VLLM_LOGGING_LEVEL",
        "VLLM_LOGGING_PREFIX",
        "VLLM_NO_USAGE_STATS",
        "VLLM_PLUGINS",
        "VLLM_PORT",
        "VLLM_RPC_TIMEOUT",
        "VLLM_USAGE_SOURCE",
        "VLLM_USE_MODELSCOPE",
        "VLLM_WORKER_MULTIPROC_METHOD",
    ];
    match name {
        "VLLM_USE_V1" if value == "1" => None,
        "VLLM_USE_V1" => Some("the V0 engine is not simulated; vLLM has it no longer"),
        "VLLM_ATTENTION_BACKEND" | "VLLM_FLASH_ATTN_VERSION" | "VLLM_USE_FLASHINFER_SAMPLER" => {
            Some("passes take as long as the profile says, whose kernels may be others")
        }
        "CUDA_VISIBLE_DEVICES" | "NVIDIA_VISIBLE_DEVICES" | "HIP_VISIBLE_DEVICES" | "ROCR_VISIBLE_DEVICES" => {
            Some("which GPUs are used changes nothing here; how many, --tensor-parallel-size says")
        }
        name if WITHOUT_EFFECT.contains(&name) => None,
        name if name.starts_with("VLLM_") => {
            Some("a variable of vLLM's that is not read; what it changes is not simulated")
        }
        name if name.starts_with("NCCL_") => Some("collectives take as long as the profile says"),
        _ => None,
    }
}

/// Why a command that sends requests, or runs vLLM otherwise than as a server, is not read; `None` if it is none.
fn why_client(words: &[String]) -> Option<&'static str> {
    const CLIENTS: [&str; 20] = [
        "ab",
        "aiperf",
        "bench_serving.py",
        "benchmark_latency.py",
        "benchmark_serving_multi_turn.py",
        "benchmark_throughput.py",
        "evalscope",
        "fortio",
        "genai-perf",
        "guidellm",
        "hey",
        "inference-benchmarker",
        "k6",
        "llmperf",
        "locust",
        "lm_eval",
        "oha",
        "perf_analyzer",
        "token_benchmark_ray.py",
        "wrk",
    ];
    const MODULES: [&str; 5] = ["sglang.bench_serving", "guidellm", "genai_perf.main", "locust", "llmperf"];
    const CLIENT: &str = "a client that is not read; what it sends is to be said by flags of vllm bench serve";
    let is_installed = words.iter().any(|word| matches!(word.as_str(), "install" | "add" | "clone" | "pull"));
    let base = |word: &String| word.rsplit(['/', '\\']).next().unwrap_or(word).to_string();
    let is_started = |at: usize| {
        let starters = ["uv", "uvx", "run", "time", "nohup", "sudo", "poetry", "$", "docker", "exec"];
        words.iter().take(at).all(|word| {
            let name = base(word);
            assignment(word).is_some()
                || starters.contains(&name.as_str())
                || name.starts_with("python")
                || word == "-m"
        })
    };
    if is_installed {
        return None;
    }
    let place =
        words.iter().position(|word| CLIENTS.contains(&base(word).as_str()) || MODULES.contains(&word.as_str()));
    if let Some(at) = place.filter(|at| is_started(*at) && words.len() > at + 1) {
        // Short names are words of any text.
        let is_word =
            words.get(at).is_some_and(|word| word.len() < 4) && !words.iter().any(|word| word.starts_with('-'));
        return (!is_word).then_some(CLIENT);
    }
    let bench = words.windows(3).position(|words| {
        matches!(words, [vllm, bench, kind] if base(vllm) == "vllm" && bench == "bench"
            && matches!(kind.as_str(), "latency" | "throughput" | "startup" | "sweep" | "mm-processor"))
    });
    let is_call = bench.is_some_and(|at| is_started(at) && words.iter().skip(at + 3).any(|word| word.starts_with('-')));
    is_call.then_some("only vllm bench serve is read: what this one runs is not simulated")
}

/// Where a text has vLLM's arguments in another form than flags; `None` if it has none.
pub(super) fn in_other_words(text: &str) -> Option<LeftOver> {
    const PYTHON: &str = "arguments of vLLM in Python are not read; give them as flags of vllm serve (max_num_seqs=8 is \
                          --max-num-seqs 8)";
    const STARTED: &str = "a command within Python is not read; paste the command itself";
    const LOG: &str = "a log of vLLM's is not read; paste the command that it began with";
    for line in text.lines() {
        let has_call =
            ["LLM(", "AsyncEngineArgs(", "EngineArgs(", "AsyncLLMEngine.from_engine_args("].iter().any(|call| {
                line.match_indices(call).any(|(at, _)| !line.get(..at).unwrap_or_default().ends_with(is_letter))
            });
        if has_call {
            return Some(LeftOver::new(line, PYTHON));
        }
        if ["subprocess.", "Popen(", "os.system("].iter().any(|call| line.contains(call)) && line.contains("vllm") {
            return Some(LeftOver::new(line, STARTED));
        }
        if line.contains("non-default args: {")
            || line.contains(" args: Namespace(")
            || line.contains("Initializing a V1 LLM engine")
        {
            return Some(LeftOver::new(line, LOG));
        }
    }
    None
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
