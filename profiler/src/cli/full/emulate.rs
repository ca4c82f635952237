//! `profiler emulate`.

use std::io::{self, Write as _};
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use sim_core::config::EngineConfig;

use crate::emulate::{Emulation, KvEventsConfig, OutputLengths, QueueLimits, Sockets, Tokens};
use crate::simulate::inputs::Inputs;
use crate::simulate::model_source::ModelName;
use crate::simulate::scenario_flags::EmulationFlags;

/// Fastest and slowest that time may go.
const TIME_SCALES: std::ops::RangeInclusive<f64> = 0.001..=1000.0;

/// What is emulated, and where it is served.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// A whole-pass profile of the step times [default: composed of --model and --gpu; without these a built-in one]
    #[arg(long, value_name = "PATH")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    model_name: ModelName,
    #[command(flatten)]
    scenario: EmulationFlags,
    /// Address to listen at; other machines reach 0.0.0.0
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port; 0 for any that is free
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Names under which the model is served [default: the model's]
    #[arg(long, value_name = "NAME", num_args = 1..)]
    served_model_name: Vec<String>,
    /// The model's tokenizer.json: prompts are really tokenised [default: pieces of about four characters]
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
    /// Simulated seconds for each second
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    time_scale: f64,
    /// Answers without `ignore_eos` end by themselves, after so many tokens in the mean, exponentially distributed
    /// [default: they are as long as `max_tokens`]
    #[arg(long, value_name = "N")]
    mean_output_len: Option<f64>,
    /// Refuse requests (503) above so many that wait or run
    #[arg(long, value_name = "N")]
    max_num_queued_reqs: Option<u64>,
    /// Refuse requests (503) while so many prompt tokens wait for their first token
    #[arg(long, value_name = "N")]
    max_num_queued_tokens: Option<u64>,
    /// Publish events of the KV cache over ZeroMQ as vLLM does: vLLM's JSON (`enable_kv_cache_events`, `endpoint`,
    /// `replay_endpoint`, `topic`, …); `*` in an endpoint is --host
    #[arg(long, value_name = "JSON")]
    kv_events_config: Option<String>,
    /// Tell in the usage how many prompt tokens were cached
    #[arg(long)]
    enable_prompt_tokens_details: bool,
}

impl Args {
    /// Serves until the process is told to end.
    #[expect(clippy::print_stderr, reason = "doubts go to stderr")]
    pub(super) fn run(&self) -> Result<bool> {
        ensure!(
            TIME_SCALES.contains(&self.time_scale),
            "--time-scale {}: must be from {} to {}",
            self.time_scale,
            TIME_SCALES.start(),
            TIME_SCALES.end()
        );
        if let Some(mean) = self.mean_output_len {
            ensure!((1.0..=1e9).contains(&mean), "--mean-output-len {mean}: must be from 1 to 1000000000");
        }
        let inputs = Inputs::new(&self.scenario.scenario, None, self.profile.as_deref(), &self.model_name)?;
        let (scenario, profile) = (&inputs.scenario, &inputs.choice.profile);
        scenario.check_one_engine()?;
        let engine = scenario.resolve(profile)?;
        scenario.check_offloading(&engine.config)?;
        for warning in &engine.warnings {
            eprintln!("warning: {warning}");
        }
        let seed = u64::from(scenario.workload().seed());
        let step_time = scenario.step_time(profile, &engine.config)?;
        let names = match self.served_model_name.as_slice() {
            [] => vec![profile.model.name.clone()],
            names => names.to_vec(),
        };
        let tokens = self.tokenizer.as_deref().map_or_else(|| Ok(Tokens::pieces()), Tokens::of_file)?;
        let listener = TcpListener::bind((self.host, self.port))
            .with_context(|| format!("port {} of {}: choose another with --port", self.port, self.host))?;
        let kv_events = self.kv_events(&engine.config)?;
        let address = listener.local_addr().context("the port that was opened")?;
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "http://{address}\nSIMULATED vLLM {}: {} on {}, time x {}; text is filler, tokens are counted {}. Ctrl-C ends.",
            engine.config.vllm_version.name(),
            names.join(", "),
            profile.hardware.name,
            self.time_scale,
            tokens.described(),
        )?;
        if let Some(sockets) = &kv_events {
            writeln!(out, "{}", sockets.told()?)?;
        }
        out.flush()?;
        drop(out);
        let emulation = Emulation {
            acceptance: scenario.acceptance(&engine.config)?,
            step_time,
            names,
            root: profile.model.name.clone(),
            tokens,
            lengths: OutputLengths { mean: self.mean_output_len, seed },
            limits: QueueLimits {
                max_num_queued_reqs: self.max_num_queued_reqs,
                max_num_queued_tokens: self.max_num_queued_tokens,
            },
            tells_cached_tokens: self.enable_prompt_tokens_details,
            time_scale: self.time_scale,
            config: engine.config,
            kv_events,
        };
        emulation.serve(listener)?;
        Ok(true)
    }

    /// Opens the sockets of `--kv-events-config`.
    #[expect(clippy::print_stderr, reason = "doubts go to stderr")]
    fn kv_events(&self, config: &EngineConfig) -> Result<Option<Sockets>> {
        let Some(text) = &self.kv_events_config else { return Ok(None) };
        let Some(events) = KvEventsConfig::read(text, self.host)? else { return Ok(None) };
        ensure!(
            config.kv_offloading.is_none(),
            "--kv-events-config with --kv-offloading-size: vLLM also publishes what happens in host memory, which is not \
             emulated"
        );
        if !config.enable_prefix_caching {
            eprintln!("warning: without prefix caching there are no KV events (--kv-events-config)");
        }
        Sockets::open(events).map(Some)
    }
}
