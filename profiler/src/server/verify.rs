//! `verify-serve`: the same loads on the real server and in the simulator.

use std::time::Duration;

use anyhow::{Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use sim_core::batch::{AttentionSpan, BatchComposition};
use sim_core::config::EngineConfig;
use sim_core::profile::schema::{Basis, Cost, PassCost};
use sim_core::profile::{Profile, StepTimeModel, StepTimeSettings};
use sim_core::rng::Pcg64;
use sim_core::time::SimDuration;

use super::calibration::measure_front_end;
use super::client_run::seconds;
use super::compare::{LoadComparison, PassComparison, ServeComparison};
use super::front_end::{DecodePassTimes, FrontEndObservations};
use super::line_fit::fit_line;
use super::load::{Load, LoadShape, Metrics};
use super::pass_spread::{TimedPass, pass_noise};
use super::session::{ServerRun, ServerSession, Timeouts};
use crate::engine::step_times::step_time_settings;
use crate::vllm::EngineOptions;

/// About as many tokens as a request of the calibration has computed when it decodes.
const CALIBRATION_CONTEXT: u32 = 28;

/// Fewest passes with as many requests whose median counts for the time between passes.
const MIN_PASSES_OF_GAP: usize = 20;

/// What is compared, and how often.
#[derive(Debug, Clone)]
pub(crate) struct ServePlan {
    /// Lengths and number of the requests.
    pub(crate) shape: LoadShape,
    /// Shares of the rate that saturates the engine, by the profile.
    pub(crate) shares: Vec<f64>,
    /// Runs of every load, interleaved.
    pub(crate) num_repeats: u32,
    /// Whether the front-end terms are measured first; the profile's are used otherwise.
    pub(crate) measure_front_end: bool,
    pub(crate) timeouts: Timeouts,
}

/// Starts a server, measures its front end into `profile` and runs every load on both sides.
///
/// # Errors
/// If the server does not start or dies, a request fails, or the loads do not fit the engine.
pub(crate) fn verify_serve(
    options: &EngineOptions,
    profile: &mut Profile,
    plan: &ServePlan,
    bar: &ProgressBar,
) -> Result<ServeComparison> {
    ensure!(plan.num_repeats >= 1, "--repeats must be at least 1");
    let before = load_average();
    let mut session = ServerSession::start(options, plan.timeouts, |waited: Duration| {
        bar.set_message(format!("vllm serve is starting, {} s", waited.as_secs()));
    })?;
    let config = session.config().clone();
    let (mut decode_passes, mut front_end_observations) = (vec![], FrontEndObservations::default());
    if plan.measure_front_end {
        let calibration = measure_front_end(&mut session, plan.shape.seed, |done, all| {
            bar.set_message(format!("front end: {done} of {all} runs"));
        })?;
        profile.front_end = calibration.front_end;
        front_end_observations = calibration.observations;
        decode_passes = compare_passes(&calibration.decode_passes, &PassModel::new(profile, &config)?);
        if let Some(gap) = gap(&decode_passes, &profile.engine.vllm_version) {
            profile.host.between_passes = gap;
        }
    }
    let saturated_rate = plan.shape.load(1.0, &config)?.saturated_rate(profile, &config)?;
    let rates: Vec<f64> = plan.shares.iter().map(|share| share * saturated_rate).collect();
    let loads = rates.iter().map(|&rate| plan.shape.load(rate, &config)).collect::<Result<Vec<_>>>()?;
    if let (false, Some(load)) = (plan.measure_front_end, loads.last()) {
        // Whatever is slow the first time: imports, connections, kernels.
        run_load(&mut session, load, plan.shape.seed)?;
    }
    let seen = run_loads(&mut session, &loads, plan, &PassModel::new(profile, &config)?, bar)?;
    if plan.measure_front_end {
        let runs: Vec<_> = seen.iter().flat_map(|seen| seen.passes.iter().cloned()).collect();
        profile.host.pass_noise = pass_noise(&runs);
    }
    let mut comparisons = vec![];
    for (number, (load, seen)) in loads.iter().zip(&seen).enumerate() {
        let simulated = load.simulate(profile, &config)?;
        let noisy = load.simulate_noisy(profile, &config)?;
        let mut comparison =
            LoadComparison::new(plan.shares[number], rates[number], &seen.repeats, &simulated, noisy.as_deref());
        comparison.largest_lateness_ms = 1e3 * seconds(seen.lateness_ns);
        comparison.pass_time_error = (seen.real_us > 0.0).then(|| seen.predicted_us / seen.real_us - 1.0);
        comparison.front_end_share = seen.front_end_share();
        comparisons.push(comparison);
    }
    let (request, output) = (&profile.front_end.request_latency, &profile.front_end.output_latency);
    let front_end_us = [&request.per_request, &request.per_prompt_token, &output.per_pass, &output.per_token];
    let work = profile.front_end.work.as_ref();
    let front_end_work_us = work.map(|work| {
        [&work.per_request, &work.per_prompt_token, &work.per_pass, &work.per_token, &work.per_chunk]
            .map(|cost| cost.time_us)
    });
    Ok(ServeComparison {
        tool: format!("profiler {}", env!("CARGO_PKG_VERSION")),
        model: options.model.clone(),
        vllm_flags: options.flags.clone(),
        num_prompts: plan.shape.num_prompts,
        num_repeats: plan.num_repeats,
        seed: plan.shape.seed,
        saturated_rate,
        front_end_us: front_end_us.map(|cost| cost.time_us),
        front_end_work_us,
        pass_noise: profile.host.pass_noise.clone(),
        gap_us: [&profile.host.between_passes.per_pass, &profile.host.between_passes.per_request]
            .map(|cost| cost.time_us),
        front_end_observations,
        decode_passes,
        load_average: [before, load_average()],
        loads: comparisons,
    })
}

/// Starts a server and measures into `profile` what only it shows: its front end, the time between passes, and by how
/// much passes of a kind differ under a load of two thirds of what the profile says it can take.
///
/// # Errors
/// If the server does not start or dies, or a request fails.
pub(crate) fn measure_server(
    options: &EngineOptions,
    profile: &mut Profile,
    timeouts: Timeouts,
    seed: u64,
    bar: &ProgressBar,
) -> Result<()> {
    let longest = profile.engine.max_model_len;
    let shape = LoadShape {
        num_prompts: 100,
        input_len: 128.min(longest / 4).max(1),
        output_len: 32.min(longest / 4).max(1),
        range_ratio: 0.5,
        seed,
    };
    let shares = vec![2.0 / 3.0];
    let plan = ServePlan { shape, shares, num_repeats: 3, measure_front_end: true, timeouts };
    verify_serve(options, profile, &plan, bar).map(drop)
}

/// What was seen of a load.
#[derive(Debug, Clone, Default)]
struct SeenLoad {
    repeats: Vec<Metrics>,
    /// How late the latest request was sent.
    lateness_ns: u64,
    /// Passes that another followed: what they took, and what the profile says.
    real_us: f64,
    predicted_us: f64,
    /// The same passes one by one, of each repeat.
    passes: Vec<Vec<TimedPass>>,
    /// Of all repeats: how long the event loop worked, of how long they took. 0 where the system does not tell.
    busy_ns: u64,
    duration_ns: u64,
}

impl SeenLoad {
    fn front_end_share(&self) -> Option<f64> {
        (self.busy_ns > 0).then(|| seconds(self.busy_ns) / seconds(self.duration_ns))
    }
}

/// Runs every load `num_repeats` times, interleaved, so that drift falls on all of them.
fn run_loads(
    session: &mut ServerSession,
    loads: &[Load],
    plan: &ServePlan,
    model: &PassModel,
    bar: &ProgressBar,
) -> Result<Vec<SeenLoad>> {
    let mut all = vec![SeenLoad::default(); loads.len()];
    for repeat in 1..=plan.num_repeats {
        for (number, (load, seen)) in loads.iter().zip(&mut all).enumerate() {
            bar.set_message(format!("load {} of {}, repeat {repeat} of {}", number + 1, loads.len(), plan.num_repeats));
            let (run, lateness_ns) = run_load(session, load, plan.shape.seed)?;
            seen.repeats.push(Metrics::of_client(&run.client));
            seen.lateness_ns = seen.lateness_ns.max(lateness_ns);
            seen.busy_ns += run.event_loop.map_or(0, |time| time.total_ns);
            seen.duration_ns += run.client.duration_ns();
            let passes: Vec<TimedPass> = run
                .engine
                .followed_passes()
                .map(|(pass, next)| {
                    let batch = pass.batch(&model.spans);
                    let predicted_us = model.period_us(&batch);
                    TimedPass { kind: kind_of(&batch), real_us: pass.period_us(next), predicted_us }
                })
                .collect();
            seen.real_us += passes.iter().map(|pass| pass.real_us).sum::<f64>();
            seen.predicted_us += passes.iter().map(|pass| pass.predicted_us).sum::<f64>();
            seen.passes.push(passes);
        }
    }
    Ok(all)
}

/// Passes of one kind: with prompt parts or not, and requests to a power of two.
fn kind_of(batch: &BatchComposition) -> u32 {
    2 * batch.num_reqs().max(1).ilog2() + u32::from(batch.prefill_chunks.is_empty())
}

/// A load on the server, and how late the latest request was sent, in nanoseconds.
fn run_load(session: &mut ServerSession, load: &Load, seed: u64) -> Result<(ServerRun, u64)> {
    let mut random = Pcg64::stream(seed, "tokens");
    let requests = load.with_tokens(|num_tokens| session.prompt(&mut random, num_tokens));
    let run = session.run(&requests)?;
    let lateness = requests
        .iter()
        .zip(&run.client.requests)
        .map(|(request, seen)| seen.send_ns.saturating_sub(run.client.origin_ns + request.at_ns));
    let lateness = lateness.max().unwrap_or(0);
    Ok((run, lateness))
}

/// What the profile says of single passes.
struct PassModel {
    step_time: StepTimeModel,
    spans: Vec<AttentionSpan>,
    is_async: bool,
}

impl PassModel {
    fn new(profile: &Profile, config: &EngineConfig) -> Result<Self> {
        let usual = StepTimeSettings::vllm_default(profile, config.max_num_seqs, config.max_num_batched_tokens);
        let settings = step_time_settings(config, usual.capture_sizes);
        let step_time = StepTimeModel::new(profile, &settings)?;
        Ok(Self { step_time, spans: settings.spans, is_async: config.async_scheduling })
    }

    /// From schedule to schedule of a busy engine.
    fn period_us(&self, batch: &BatchComposition) -> f64 {
        let microseconds = |span: SimDuration| 1e6 * span.as_secs_f64();
        let num_reqs = batch.num_reqs();
        let times = self.step_time.host();
        let host_us = microseconds(times.schedule_time(num_reqs) + times.update_time(num_reqs));
        let device = self.step_time.predict(batch).duration + times.time_between_passes(num_reqs);
        let device_us = microseconds(device);
        // An asynchronous engine prepares a pass while the one before runs.
        if self.is_async { host_us.max(device_us) } else { host_us + device_us }
    }
}

/// What passes take longer in the server than alone, by their requests: the profile's time between passes. `None` if too
/// few were seen.
fn gap(decode_passes: &[PassComparison], vllm_version: &str) -> Option<PassCost> {
    let is_known = |pass: &&PassComparison| pass.server.num_passes >= MIN_PASSES_OF_GAP;
    let known: Vec<&PassComparison> = decode_passes.iter().filter(is_known).collect();
    let longer = |pass: &&PassComparison| (f64::from(pass.server.num_decodes), pass.server.period_us - pass.profile_us);
    let line = fit_line(&known.iter().map(longer).collect::<Vec<_>>())?;
    let num_passes: usize = known.iter().map(|pass| pass.server.num_passes).sum();
    let cost = |time_us: f64| Cost {
        time_us: (time_us * 1e3).round() / 1e3,
        basis: Basis::Measured,
        reason: format!(
            "vllm serve {vllm_version} on this machine: by how much the medians of {num_passes} decode passes are longer from \
             schedule to schedule than the same passes alone; Theil-Sen line over requests, median distance {:.0} us.",
            line.spread
        ),
    };
    Some(PassCost { per_pass: cost(line.base), per_request: cost(line.slope) })
}

/// What the profile says of the calibration's decode passes; their context is short.
fn compare_passes(measured: &[DecodePassTimes], model: &PassModel) -> Vec<PassComparison> {
    let compared = measured.iter().map(|&server| {
        let mut batch = BatchComposition::default();
        batch.set_spans(&model.spans);
        for _ in 0..server.num_decodes {
            batch.push_verification(1, CALIBRATION_CONTEXT, 0);
        }
        PassComparison { server, profile_us: model.period_us(&batch) }
    });
    compared.collect()
}

/// A line on stderr that says what is under way, on a terminal.
pub(crate) fn progress_line(is_quiet: bool) -> ProgressBar {
    use std::io::IsTerminal as _;
    if is_quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

/// Of the last minute; `None` where the system does not tell.
fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}
