//! Tiers behind host memory in a recording: their transfers and look-ups take as many passes as the script says.

use std::collections::VecDeque;

use anyhow::{Result, bail, ensure};
use serde::Deserialize;
use sim_core::kv_offload::settings::{
    BackpressurePolicy, BackpressureSettings, MAX_SECONDARY_TIERS, SecondaryTierSettings, TierKind,
};
use sim_core::sched::connector::tiers::{TierEvent, TierJobId, TierPass};

/// A tier's script: numbers of passes, used by number of the job or batch, again and again. Names as in the file.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TierScript {
    r#type: String,
    #[serde(default)]
    read: Vec<u64>,
    #[serde(default)]
    write: Vec<u64>,
    #[serde(default)]
    lookup: Vec<u64>,
    backpressure: Option<Backpressure>,
}

/// vLLM's settings, all of them given.
#[derive(Debug, Clone, Deserialize)]
struct Backpressure {
    policy_cls: String,
    low_water_s: f64,
    high_water_s: f64,
    alpha: f64,
    warmup_completions: u32,
    decay_half_life_s: f64,
    cooldown_s: f64,
}

impl Backpressure {
    fn settings(&self) -> Result<BackpressureSettings> {
        let policy = match self.policy_cls.as_str() {
            "ThrottledDropPolicy" => BackpressurePolicy::Throttled,
            "DropStorePolicy" => BackpressurePolicy::Drop,
            other => bail!("backpressure.policy_cls: {other:?} is neither ThrottledDropPolicy nor DropStorePolicy"),
        };
        Ok(BackpressureSettings {
            high_water_s: self.high_water_s,
            low_water_s: self.low_water_s,
            alpha: self.alpha,
            warmup_completions: self.warmup_completions,
            decay_half_life_s: self.decay_half_life_s,
            cooldown_s: self.cooldown_s,
            policy,
        })
    }
}

/// Tiers that play their scripts.
#[derive(Debug, Default)]
pub(crate) struct ScriptedTiers {
    tiers: Vec<Tier>,
    /// Jobs with the passes by whose beginning they are over, in the order in which they began.
    under_way: Vec<(u64, TierJobId)>,
    num_begun: u64,
    pass_ns: u64,
    /// Jobs that are known of those that the next pass will tell of.
    num_known: usize,
    /// Whether the pass is being decided.
    is_begun: bool,
}

#[derive(Debug)]
struct Tier {
    script: TierScript,
    num_batches: usize,
    /// By the beginning of which passes batches are answered.
    asked: VecDeque<u64>,
}

fn at(numbers: &[u64], number: usize) -> u64 {
    numbers.get(number % numbers.len().max(1)).copied().unwrap_or(0)
}

impl ScriptedTiers {
    /// With so many nanoseconds a pass.
    pub(crate) fn new(scripts: &[TierScript], pass_ns: u64) -> Self {
        let tier = |script: &TierScript| Tier { script: script.clone(), num_batches: 0, asked: VecDeque::new() };
        Self { tiers: scripts.iter().map(tier).collect(), pass_ns, ..Self::default() }
    }

    /// What the engine has to know of them.
    pub(crate) fn settings(scripts: &[TierScript]) -> Result<[Option<SecondaryTierSettings>; MAX_SECONDARY_TIERS]> {
        ensure!(
            scripts.len() <= MAX_SECONDARY_TIERS,
            "secondary_tiers: {}; at most {MAX_SECONDARY_TIERS} are replayed",
            scripts.len()
        );
        let mut settings = [None; MAX_SECONDARY_TIERS];
        for (place, script) in settings.iter_mut().zip(scripts) {
            let r#type = &script.r#type;
            ensure!(r#type == "ScriptedTier", "secondary_tiers: the type {type:?} is not ScriptedTier");
            let kind = TierKind::Objects { num_threads: 1 };
            let backpressure = script.backpressure.as_ref().map(Backpressure::settings).transpose()?;
            *place = Some(SecondaryTierSettings { kind, is_remote: false, backpressure });
        }
        Ok(settings)
    }

    /// Whether no pass is being decided yet; from now on one is.
    pub(crate) fn begins(&mut self) -> bool {
        !std::mem::replace(&mut self.is_begun, true)
    }

    /// What the script's clock shows when the pass that begins is decided.
    pub(crate) fn clock_ns(&self) -> u64 {
        (self.num_begun + 1) * self.pass_ns
    }

    /// A pass begins to be decided: what has happened by now.
    pub(crate) fn begin_pass(&mut self) -> Vec<TierEvent> {
        let number = self.num_begun;
        self.num_begun += 1;
        let mut events = vec![];
        self.under_way.retain(|&(end, id)| {
            if end <= number {
                events.push(TierEvent::JobEnded(id));
            }
            end > number
        });
        for (tier, one) in self.tiers.iter_mut().enumerate() {
            while one.asked.front().is_some_and(|&end| end <= number) {
                one.asked.pop_front();
                events.push(TierEvent::Answered { tier });
            }
        }
        events
    }

    /// Transfers have begun: those of `told` that are not known yet.
    pub(crate) fn note_begun(&mut self, told: &TierPass) {
        for job in told.begun.iter().skip(self.num_known) {
            let Some(tier) = self.tiers.get(job.tier) else { continue };
            let numbers = if job.is_promotion { &tier.script.read } else { &tier.script.write };
            self.under_way.push((self.num_begun + at(numbers, job.id as usize), job.id));
        }
        self.num_known = told.begun.len();
    }

    /// The pass is decided, and told all.
    pub(crate) fn end_pass(&mut self, told: &TierPass) {
        self.note_begun(told);
        self.num_known = 0;
        for asked in &told.lookups {
            let Some(tier) = self.tiers.get_mut(asked.tier) else { continue };
            let end = self.num_begun + at(&tier.script.lookup, tier.num_batches);
            tier.num_batches += 1;
            let before = tier.asked.back().copied().unwrap_or(0);
            tier.asked.push_back(end.max(before));
        }
        self.is_begun = false;
    }
}
