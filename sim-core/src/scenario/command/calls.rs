//! Which program a command's words call, whatever starts it: a container, another program, a prompt that was copied.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::variables::assignment;
use super::{Program, prose};
use crate::config::flags::{FlagEffect, serve_flag};

/// What a command's words come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    /// A program with its arguments.
    Program(Program, Vec<String>),
    /// A shell that reads this script.
    Script(String),
}

/// What may stand in front of a call. A line that begins with another word is prose that names it.
#[rustfmt::skip]
const STARTERS: [&str; 57] = [
    "!", "+", "{", "accelerate", "apptainer", "conda", "do", "docker", "else", "enroot", "env", "exec", "flux", "if",
    "ionice", "kubectl", "ld.so", "mamba", "micromamba", "mpirun", "ncu", "nerdctl", "nice", "nohup", "nsys",
    "numactl", "oc", "pdm", "pipenv", "pixi", "podman", "poetry", "PS", "ray", "run", "screen", "setsid",
    "singularity", "srun", "ssh", "stdbuf", "strace", "sudo", "systemd-run", "taskset", "tee", "then", "time",
    "timeout", "tmux", "torchrun", "uv", "uvx", "while", "xargs", "RUN", "wsl",
];

/// Programs that are given a shell's line as one word.
#[rustfmt::skip]
const TAKES_A_LINE: [&str; 12] = [
    "cmd", "cmd.exe", "concurrently", "eval", "parallel", "powershell", "pwsh", "screen", "ssh", "su", "tmux", "watch",
];

/// Options of `docker run` and `apptainer run` without a value.
const DOCKER_SWITCHES: [&str; 19] = [
    "--cleanenv",
    "--contain",
    "--detach",
    "--disable-content-trust",
    "--help",
    "--init",
    "--interactive",
    "--no-healthcheck",
    "--nv",
    "--oom-kill-disable",
    "--privileged",
    "--publish-all",
    "--quiet",
    "--read-only",
    "--rm",
    "--rocm",
    "--sig-proxy",
    "--tty",
    "--writable-tmpfs",
];

/// Programs that run an image with what follows its name.
const CONTAINERS: [&str; 6] = ["apptainer", "docker", "kubectl", "nerdctl", "podman", "singularity"];

/// The last component of a path.
fn base(word: &str) -> &str {
    word.rsplit(['/', '\\']).next().unwrap_or(word)
}

/// What the words of a line call.
pub(super) fn of_line(words: &[String]) -> Option<Call> {
    // Units of systemd and supervisord.
    let keys = ["ExecStart=", "command=", "Exec=", "exec="];
    let unit = keys.iter().find_map(|key| words.first().and_then(|first| first.strip_prefix(key)));
    if let Some(unit) = unit {
        let program = unit.trim_start_matches(['@', '-', ':', '+', '!']).to_string();
        return find(&[&[program], words.get(1..)?].concat()).map(|(_, call)| call);
    }
    let words = words.get(words.iter().take_while(|word| assignment(word).is_some()).count()..)?;
    let first = words.first()?;
    let container = words.iter().position(|word| CONTAINERS.contains(&base(word)));
    if let Some(at) = container.filter(|at| is_start(words, *at))
        && let Some(call) = words.get(at..).and_then(of_docker)
    {
        return Some(call);
    }
    if TAKES_A_LINE.contains(&base(first))
        && let Some(line) = words.iter().find(|word| word.contains(char::is_whitespace) && word.contains("vllm"))
    {
        return Some(Call::Script(line.clone()));
    }
    let (start, call) = find(words)?;
    is_start(words, start).then_some(call)
}

/// Whether a call may begin at `start`, for all that stands before it.
fn is_start(words: &[String], start: usize) -> bool {
    let (Some(first), Some(before)) = (words.first(), words.get(..start)) else { return false };
    let Some(last) = before.last() else { return true };
    let name = base(first);
    let is_number = |word: &str| word.strip_suffix('.').is_some_and(|word| word.parse::<u32>().is_ok());
    let is_prompt = |word: &str| word.ends_with(['$', '#', '>', '%', '❯', '➜', 'λ', '»']);
    let is_bullet = start == 1 && (matches!(first.as_str(), "-" | "*" | "•") || is_number(first));
    let is_started = is_bullet
        || is_prompt(first)
        || is_prompt(last)
        || first == "PS"
        || STARTERS.contains(&name.trim_start_matches('@'))
        || name.starts_with("python");
    // A script of one's own that is given the command.
    is_started || first.starts_with(['.', '/', '~']) || name.ends_with(".sh") || name.ends_with(".py")
}

/// What the words call that a container runs. `image` is the image's name.
pub(super) fn of_container(words: &[String], image: Option<&str>) -> Option<Call> {
    if let Some((_, call)) = find(words) {
        return Some(call);
    }
    // What stands behind `vllm`, the image's own entry point.
    let words = if words.first()? == "serve" { words.get(1..)? } else { words };
    let begins_with_flag = words.first()?.starts_with('-');
    let is_vllms = match image {
        Some(image) if is_vllm_image(image) => begins_with_flag || begins_with_model(words),
        Some(_) => {
            (begins_with_flag || begins_with_model(words)) && words.iter().any(|word| is_flag_of_vllm_alone(word))
        }
        // Arguments without an image may be anybody's.
        None => begins_with_flag && words.iter().any(|word| is_flag_of_vllm(word)),
    };
    is_vllms.then(|| Call::Program(Program::Serve, words.to_vec()))
}

/// Whether an image has vLLM in it, by its name.
pub(super) fn is_vllm_image(image: &str) -> bool {
    image.to_ascii_lowercase().contains("vllm")
}

/// Whether a model and flags follow, as the arguments of an image that runs `vllm serve`.
fn begins_with_model(words: &[String]) -> bool {
    let Some((first, rest)) = words.split_first() else { return false };
    let is_program = first.starts_with(['/', '.', '~']) || first.ends_with(".sh") || first.ends_with(".py");
    let is_known = first.contains('/') || rest.iter().any(|word| is_flag_of_vllm(word));
    !is_program && is_known && rest.first().is_none_or(|word| word.starts_with('-'))
}

/// Whether a flag is hardly of another server than vLLM; `--port` is of all.
fn is_flag_of_vllm(word: &str) -> bool {
    let effect = serve_flag(word, None).map(|(effect, _)| effect);
    word.starts_with("--") && matches!(effect, Ok(FlagEffect::Simulated | FlagEffect::FixedByProfile))
}

/// Whether no other server has such a flag: what runs in an image that is called otherwise.
pub(super) fn is_flag_of_vllm_alone(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word).replace('_', "-");
    matches!(
        name.as_str(),
        "--max-num-seqs" | "--max-num-batched-tokens" | "--max-model-len" | "--gpu-memory-utilization"
    )
}

/// The first call in `words`, with its place.
fn find(words: &[String]) -> Option<(usize, Call)> {
    const CALLS: [(&[&str], Program); 8] = [
        (&["vllm", "bench", "serve"], Program::BenchServe),
        (&["vllm", "serve"], Program::Serve),
        (&["profiler", "simulate"], Program::Simulate),
        (&["-m", "vllm.entrypoints.openai.api_server"], Program::Serve),
        (&["-m", "vllm.entrypoints.cli.main", "serve"], Program::Serve),
        (&["-m", "vllm.entrypoints.cli.main", "bench", "serve"], Program::BenchServe),
        (&["api_server.py"], Program::Serve),
        (&["benchmark_serving.py"], Program::BenchServe),
    ];
    for start in 0..words.len() {
        if let Some(script) = script_at(words, start) {
            return Some((start, Call::Script(script.to_string())));
        }
        for (call, program) in CALLS {
            let is_called = call.iter().enumerate().all(|(offset, word)| {
                words.get(start + offset).is_some_and(|given| given == word || offset == 0 && is_named(given, word))
            });
            let arguments = words.get(start + call.len()..).unwrap_or_default();
            if is_called && !prose::is_sentence(program, arguments) {
                return Some((start, Call::Program(program, arguments.to_vec())));
            }
        }
    }
    None
}

/// Whether a path leads to the program. Others than vLLM have an `api_server.py`.
fn is_named(path: &str, program: &str) -> bool {
    let name = base(path).trim_start_matches('@');
    (name == program || name.strip_suffix(".exe") == Some(program))
        && (program != "api_server.py" || path.contains("vllm"))
}

/// The script of `sh -c SCRIPT`, if that is what is called at `start`.
fn script_at(words: &[String], start: usize) -> Option<&str> {
    let shell = base(words.get(start)?);
    if !matches!(shell, "sh" | "bash" | "zsh" | "dash" | "ash") {
        return None;
    }
    let mut options = words.get(start + 1..)?.iter();
    while let Some(option) = options.next().filter(|option| option.starts_with('-')) {
        if !option.starts_with("--") && option.ends_with('c') {
            return options.next().map(String::as_str);
        }
    }
    None
}

/// What `docker run` calls: the image's program with what follows the image.
fn of_docker(words: &[String]) -> Option<Call> {
    let at = words.iter().position(|word| word == "run")?;
    if words.first().is_some_and(|first| base(first) == "kubectl") {
        return of_kubectl(words);
    }
    let mut rest = words.get(at + 1..)?;
    let mut entrypoint = None;
    loop {
        let (word, after) = rest.split_first()?;
        if !word.starts_with('-') {
            break;
        }
        let name = word.split('=').next().unwrap_or(word);
        let is_short = !word.starts_with("--");
        let is_switch =
            DOCKER_SWITCHES.contains(&name) || is_short && word.chars().skip(1).all(|c| "ditPq".contains(c));
        let is_whole = is_switch || word.contains('=') && !is_short || is_short && word.len() > 2;
        let (value, behind) = if is_whole { (None, after) } else { (after.first(), after.get(1..)?) };
        if name == "--entrypoint" {
            entrypoint = value.cloned().or_else(|| word.split_once('=').map(|(_, value)| value.to_string()));
        }
        rest = behind;
    }
    let (image, arguments) = rest.split_first()?;
    let words: Vec<String> = entrypoint.into_iter().chain(arguments.iter().cloned()).collect();
    of_container(&words, Some(image))
}

/// What `kubectl run NAME --image=IMAGE -- ARGUMENTS` calls.
fn of_kubectl(words: &[String]) -> Option<Call> {
    let end = words.iter().position(|word| word == "--")?;
    let image = words.iter().find_map(|word| word.strip_prefix("--image="));
    of_container(words.get(end + 1..)?, image)
}
