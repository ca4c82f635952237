//! Which program a command's words call, whatever starts it: a container, another program, a prompt that was copied.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Program;
use super::shell::assignment;
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
const STARTERS: [&str; 55] = [
    "!", "{", "accelerate", "apptainer", "conda", "do", "docker", "else", "enroot", "env", "exec", "flux", "if",
    "ionice", "kubectl", "ld.so", "mamba", "micromamba", "mpirun", "ncu", "nerdctl", "nice", "nohup", "nsys",
    "numactl", "oc", "pdm", "pipenv", "pixi", "podman", "poetry", "PS", "ray", "run", "screen", "setsid",
    "singularity", "srun", "ssh", "stdbuf", "strace", "sudo", "systemd-run", "taskset", "tee", "then", "time",
    "timeout", "tmux", "torchrun", "uv", "uvx", "while", "xargs", "RUN",
];

/// Options of `docker run` without a value.
const DOCKER_SWITCHES: [&str; 14] = [
    "--detach",
    "--disable-content-trust",
    "--help",
    "--init",
    "--interactive",
    "--no-healthcheck",
    "--oom-kill-disable",
    "--privileged",
    "--publish-all",
    "--quiet",
    "--read-only",
    "--rm",
    "--sig-proxy",
    "--tty",
];

/// The last component of a path.
fn base(word: &str) -> &str {
    word.rsplit(['/', '\\']).next().unwrap_or(word)
}

/// What the words of a line call.
pub(super) fn of_line(words: &[String]) -> Option<Call> {
    let words = words.get(words.iter().take_while(|word| assignment(word).is_some()).count()..)?;
    let first = words.first()?;
    if matches!(base(first), "docker" | "podman" | "nerdctl" | "sudo")
        && let Some(call) = of_docker(words)
    {
        return Some(call);
    }
    let (start, call) = find(words)?;
    let name = base(first);
    let is_prompt = first.ends_with(['$', '#', '>', '%']) || matches!(first.as_str(), "-" | "*" | "PS");
    let is_started = start == 0 || is_prompt || STARTERS.contains(&name) || name.starts_with("python");
    // A script of one's own that is given the command.
    let is_script = first.starts_with(['.', '/', '~']) || name.ends_with(".sh") || name.ends_with(".py");
    (is_started || is_script).then_some(call)
}

/// What the words call that a container runs. `image` is the image's name.
pub(super) fn of_container(words: &[String], image: Option<&str>) -> Option<Call> {
    if let Some((_, call)) = find(words) {
        return Some(call);
    }
    let begins_with_flag = words.first()?.starts_with('-');
    let is_vllms = match image {
        Some(image) => is_vllm_image(image) && (begins_with_flag || begins_with_model(words)),
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
    let is_name = |word: &String| word.contains('/') && !word.starts_with(['/', '.', '~']);
    words.first().is_some_and(is_name) && words.get(1).is_none_or(|word| word.starts_with('-'))
}

/// Whether a flag is hardly of another server than vLLM; `--port` is of all.
fn is_flag_of_vllm(word: &str) -> bool {
    let effect = serve_flag(word, None).map(|(effect, _)| effect);
    word.starts_with("--") && matches!(effect, Ok(FlagEffect::Simulated | FlagEffect::FixedByProfile))
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
            if is_called {
                let arguments = words.get(start + call.len()..).unwrap_or_default().to_vec();
                return Some((start, Call::Program(program, arguments)));
            }
        }
    }
    None
}

/// Whether a path leads to the program. Others than vLLM have an `api_server.py`.
fn is_named(path: &str, program: &str) -> bool {
    let name = base(path);
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
