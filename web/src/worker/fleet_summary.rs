//! What the page shows of each of several engines.

use sim_core::config::EngineConfig;
use sim_core::fleet::life::{LifeResult, Presence, RolesLife};
use sim_core::fleet::{LockstepResult, ReplicaResult};
use sim_core::math;
use sim_core::metrics::latency_summary::LatencySummary;
use sim_core::metrics::limits::WaitingLimits;
use sim_core::metrics::recorder::Recording;
use sim_core::metrics::summary::EngineSummary;
use sim_core::metrics::time_series::{Series, SeriesPoint};
use sim_core::scenario::{EnginesResult, RanksResult, RolesResult, told};
use sim_core::sched::connector::interface::KvLoadFailurePolicy;
use sim_core::simulation_result::SimulationResult;

use super::fleet::{EngineOf, Several};
use super::gantt;
use crate::answer::SeriesPoints;
use crate::detail::GanttWindow;
use crate::fleet_answer::{EngineRow, EngineSeries, FleetAnswer, FleetKind};

/// Engines that are drawn over time: as many as there are looks of lines.
const MOST_DRAWN: usize = 6;
/// Spans of a series.
const SERIES_POINTS: u32 = 200;

impl Several {
    /// The part of the page's answer.
    pub(super) fn answer(&self, recording: &Recording, config: &EngineConfig) -> FleetAnswer {
        let drawn = self.drawn();
        let row = |(place, engine): (usize, &EngineOf)| {
            let series =
                if drawn.contains(&place) { engine.series(recording, config) } else { EngineSeries::default() };
            EngineRow { series, ..self.row(engine, recording) }
        };
        let (kind, router) = match &self.result {
            EnginesResult::Replicas(fleet) => (FleetKind::Replicas, fleet.router.name()),
            EnginesResult::Ranks(ranks) => {
                (FleetKind::Ranks, ranks.router.map_or("vLLM's balancer", |router| router.name()))
            }
            EnginesResult::Roles(roles) => (FleetKind::Roles, roles.router.name()),
        };
        FleetAnswer {
            kind,
            router: router.to_owned(),
            engines: self.engines.iter().enumerate().map(row).collect(),
            imbalances: self.imbalances(),
            notes: self.notes(recording),
            max_num_seqs: config.max_num_active_seqs,
        }
    }

    fn row(&self, engine: &EngineOf, recording: &Recording) -> EngineRow {
        let owned = engine.owned.iter().map(|&index| math::u32_to_usize(index));
        let LatencySummary { ttft, tpot, .. } = LatencySummary::of(recording, owned);
        let figures = &engine.figures;
        EngineRow {
            name: engine.name.clone(),
            num_requests: figures.num_requests,
            num_prompt_tokens: figures.num_prompt_tokens,
            num_output_tokens: figures.num_output_tokens,
            ttft,
            tpot: engine.is_answering.then_some(tpot),
            kv_cache_usage: [figures.mean_kv_cache_usage, figures.max_kv_cache_usage],
            prefix_cache_hit_rate: figures.prefix_cache_hit_rate(),
            num_preemptions: figures.stats.num_preemptions,
            busy: engine.busy,
            series: EngineSeries::default(),
        }
    }

    /// Places of the engines that are drawn: all, or the least and the most loaded of those that answer.
    fn drawn(&self) -> Vec<usize> {
        let mut places: Vec<usize> =
            (0..self.engines.len()).filter(|&place| self.engines[place].is_answering).collect();
        places.sort_by_key(|&place| self.engines[place].figures.num_output_tokens);
        if places.len() > MOST_DRAWN {
            places.drain(MOST_DRAWN / 2..places.len() - MOST_DRAWN / 2);
        }
        places
    }

    /// A stretch of the engine of this number among those that answer.
    ///
    /// # Errors
    /// If there is no such engine, and those of [`gantt::window`].
    pub(super) fn window(
        &self,
        recording: &Recording,
        number: u32,
        range: Option<(f64, f64)>,
        (width, max_requests): (u32, u32),
    ) -> Result<GanttWindow, String> {
        let mut answering = self.engines.iter().filter(|engine| engine.is_answering);
        let engine = answering.nth(math::u32_to_usize(number)).ok_or("there is no such engine")?;
        let part = recording.engine_part(engine.passes.clone(), &engine.owned);
        let mut window = gantt::window(&part, range, width, max_requests)?;
        for (index, _) in &mut window.requests {
            *index = engine.owned.get(math::u32_to_usize(*index)).copied().unwrap_or(*index);
        }
        Ok(window)
    }

    /// Why requests waited in engines, in the mean over those that answer.
    pub(super) fn waiting(&self, recording: &Recording, config: &EngineConfig) -> WaitingLimits {
        let whole = WaitingLimits::new(recording, config);
        let parts: Vec<_> = self.parts(recording).map(|part| WaitingLimits::new(&part, config)).collect();
        let count = math::max(1.0, math::usize_to_f64(parts.len()));
        let waiting: f64 = parts.iter().map(|part| part.waiting_share).sum();
        let mut limits: Vec<(_, f64)> = Vec::new();
        for part in &parts {
            for &(limit, share) in &part.limits {
                let share = share * part.waiting_share / waiting;
                match limits.iter_mut().find(|entry| entry.0 == limit) {
                    Some(entry) => entry.1 += share,
                    None => limits.push((limit, share)),
                }
            }
        }
        limits.sort_by(|a, b| b.1.total_cmp(&a.1));
        WaitingLimits { waiting_share: waiting / count, limits, client_waiting_share: whole.client_waiting_share }
    }

    /// The engine's side of the run: what is of a time is that of an engine, in the mean over those that answer.
    pub(super) fn summary(&self, config: &EngineConfig, result: &SimulationResult) -> EngineSummary {
        let mut summary = told::engine_summary(config, result);
        let end = |recording: &Recording| {
            recording.passes.iter().map(|pass| pass.output_time).max().unwrap_or_default().as_secs_f64()
        };
        let whole = end(&result.recording);
        let num_answering = self.engines.iter().filter(|engine| engine.is_answering).count();
        let each = math::max(1.0, math::usize_to_f64(num_answering));
        summary.device_busy_share /= each;
        (summary.engine_busy_share, summary.mean_running) = (0.0, 0.0);
        (summary.mean_waiting, summary.mean_kv_cache_usage) = (0.0, 0.0);
        for part in self.parts(&result.recording) {
            let own = EngineSummary::new(&part, summary.totals, config.num_gpu_blocks);
            let weight = if whole > 0.0 { end(&part) / whole / each } else { 0.0 };
            summary.engine_busy_share += weight * own.engine_busy_share;
            summary.mean_running += weight * own.mean_running;
            summary.mean_waiting += weight * own.mean_waiting;
            summary.mean_kv_cache_usage += weight * own.mean_kv_cache_usage;
        }
        summary
    }

    /// Recordings of the engines that answer, one after the other.
    fn parts(&self, recording: &Recording) -> impl Iterator<Item = Recording> {
        let answering = self.engines.iter().filter(|engine| engine.is_answering);
        answering.map(move |engine| recording.engine_part(engine.passes.clone(), &engine.owned))
    }

    fn imbalances(&self) -> Vec<(String, f64)> {
        const NAMES: [&str; 4] = ["requests", "prompt tokens", "output tokens", "time of own passes"];
        let named =
            |values: &[f64]| NAMES.iter().zip(values).map(|(name, value)| ((*name).to_owned(), *value)).collect();
        match &self.result {
            EnginesResult::Replicas(fleet) => named(&fleet.imbalances()),
            EnginesResult::Ranks(ranks) => named(&ranks.imbalances()),
            EnginesResult::Roles(roles) => named(&sim_core::scenario::imbalances(&roles.decode.replicas)),
        }
    }

    fn notes(&self, recording: &Recording) -> Vec<String> {
        match &self.result {
            EnginesResult::Replicas(fleet) => {
                let steps = fleet.lockstep.as_ref().map(|lockstep| steps(lockstep, &fleet.replicas, fleet.num_ranks));
                let life = fleet.life.as_ref();
                let life = life.map(|life| of_life(life, recording, fleet.num_gpus)).unwrap_or_default();
                steps.into_iter().chain(life).collect()
            }
            EnginesResult::Ranks(ranks) => of_ranks(ranks),
            EnginesResult::Roles(roles) => {
                let life = roles.life.as_deref();
                let life = life.map(|life| of_roles_life(life, recording, roles.gpus_of_replica)).unwrap_or_default();
                of_roles(roles).into_iter().chain(life).collect()
            }
        }
    }
}

impl EngineOf {
    fn series(&self, recording: &Recording, config: &EngineConfig) -> EngineSeries {
        let part = recording.engine_part(self.passes.clone(), &self.owned);
        let points = |series| -> SeriesPoints {
            let points = part.time_series(series, config.num_gpu_blocks, SERIES_POINTS);
            points.iter().map(|&SeriesPoint { time_s, min, mean, max }| (time_s, min, mean, max)).collect()
        };
        EngineSeries {
            running: points(Series::Running),
            waiting: points(Series::Waiting),
            kv_cache_usage: points(Series::KvCacheUsage),
        }
    }
}

fn of_ranks(ranks: &RanksResult) -> Vec<String> {
    let servers = match (ranks.router, ranks.num_api_servers) {
        (Some(_), 1) => "A router chooses; each rank has an API server of its own.".to_owned(),
        (Some(_), count) => format!("A router chooses; each rank has {count} API servers of its own."),
        (None, 1) => "vLLM's balancer chooses, in one API server.".to_owned(),
        (None, count) => format!("vLLM's balancer chooses, in {count} API servers."),
    };
    let mut notes = vec![servers];
    notes.push(match &ranks.lockstep {
        Some(lockstep) => format!(
            "In lockstep: {} waves, {} steps of all ranks, each as long as its longest pass; ranks' own passes were {:.1} % \
             of that time.",
            lockstep.num_waves,
            lockstep.num_steps,
            100.0 * ranks.mean_own_share(lockstep)
        ),
        None => "Independent of each other: no rank waits for another.".to_owned(),
    });
    notes
}

/// What replicas of ranks in lockstep did: the sums over all replicas.
fn steps(lockstep: &LockstepResult, engines: &[ReplicaResult], num_ranks: u32) -> String {
    let own: f64 = engines.iter().map(|engine| engine.device_time.as_secs_f64()).sum();
    let all = lockstep.step_time.as_secs_f64() * math::u32_to_f64(num_ranks);
    format!(
        "Ranks of a replica step together: {} waves, {} steps; ranks' own passes were {:.1} % of that time.",
        lockstep.num_waves,
        lockstep.num_steps,
        if all > 0.0 { 100.0 * own / all } else { 0.0 }
    )
}

fn of_roles(roles: &RolesResult) -> Vec<String> {
    let ([p50, p99], [wait_p50, wait_p99]) = (roles.transfer_ms(), roles.transfer_wait_ms());
    let mut notes = vec![
        format!(
            "KV transfers: {}, {:.1} MB in the mean, {p50:.2} ms (P99 {p99:.2}); they began {wait_p50:.2} ms (P99 \
             {wait_p99:.2}) after the prefill replica's answer.",
            roles.transfers.len(),
            roles.mean_megabytes()
        ),
        format!(
            "Busy in the mean: prefill {:.1} %, decode {:.1} %.",
            100.0 * roles.prefill.utilisation(),
            100.0 * roles.decode.utilisation()
        ),
    ];
    for (name, role) in [("Prefill", &roles.prefill), ("Decode", &roles.decode)] {
        let told = role.lockstep.as_ref().map(|lockstep| steps(lockstep, &role.replicas, role.num_ranks));
        notes.extend(told.map(|told| format!("{name}: {told}")));
    }
    let num_failed = roles.num_failed_loads();
    if num_failed > 0 {
        let then = match roles.args.kv_load_failure_policy {
            KvLoadFailurePolicy::Recompute => "computed instead".to_owned(),
            KvLoadFailurePolicy::Fail => format!("{} requests ended with an error for that", roles.num_ended_by_load()),
        };
        notes.push(format!("Failed KV transfers: {num_failed}; {then}."));
    }
    notes
}

fn of_life(life: &LifeResult, recording: &Recording, num_gpus: u32) -> Vec<String> {
    let replicas = of_presence("replicas", &life.presence, num_gpus);
    core::iter::once(replicas).chain(of_requests(life, recording)).collect()
}

fn of_roles_life(roles: &RolesLife, recording: &Recording, [prefill, decode]: [u32; 2]) -> Vec<String> {
    let prefill = of_presence("prefill replicas", &roles.prefill, prefill);
    let decode = of_presence("decode replicas", &roles.life.presence, decode);
    [prefill, decode].into_iter().chain(of_requests(&roles.life, recording)).collect()
}

fn of_presence(name: &str, presence: &Presence, num_gpus: u32) -> String {
    let ready = || presence.phases.iter().map(|phase| phase.num_ready);
    let (least, most) = (ready().min().unwrap_or(0), ready().max().unwrap_or(0));
    format!(
        "{least} to {most} {name} took requests, {:.2} in the mean; {:.3} GPU hours of all, starting and stopping ones too.",
        presence.mean_ready(),
        presence.gpu_hours(num_gpus)
    )
}

fn of_requests(life: &LifeResult, recording: &Recording) -> Option<String> {
    (life.num_losses > 0 || !life.touched.is_empty()).then(|| {
        format!(
            "Requests lost their replica {} times: {} sent again, {} gone on with, {} failed ({} tokens streamed until then).",
            life.num_losses,
            life.num_retries,
            life.num_migrations,
            life.failed.len(),
            life.num_tokens_of_failed(recording)
        )
    })
}
