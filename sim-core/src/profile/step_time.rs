//! How long a forward pass takes: the one question the simulator asks the profile.

use alloc::format;
use alloc::vec::Vec;

use super::attention::AttentionTables;
use super::cuda_graphs::CaptureSizes;
use super::drafter_tables::DrafterTables;
use super::error::ProfileError;
use super::host_times::HostTimes;
use super::interpolate::Reading;
use super::pass_times::PassTimes;
use super::schema::{Profile, ProvenanceKind};
use super::step_time_settings::StepTimeSettings;
use super::table::Curve;
use crate::batch::BatchComposition;
use crate::math;
use crate::time::SimDuration;

/// What a step time rests on; later is weaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// Every term is a sample of a profile measured on a real engine.
    Measured,
    /// Every term lies between samples, or the profile was not measured on a real engine.
    Interpolated,
    /// At least one term lies outside the samples, or the settings are not those the profile holds for.
    Extrapolated,
    /// The profile was estimated from another device's: [`super::uncertainty`] says how far off it may be.
    Estimated,
}

/// The device time of one forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepTime {
    /// From the pass's start on the device to its end, through all pipeline stages.
    pub duration: SimDuration,
    /// What it rests on.
    pub evidence: Evidence,
    /// The part of `duration` from terms that lie outside the samples.
    pub extrapolated: SimDuration,
}

/// A profile, ready to answer batch compositions. Answering allocates nothing.
#[derive(Debug, Clone)]
pub struct StepTimeModel {
    non_attention: Curve,
    head: Curve,
    /// Of the layers that look at all tokens, then of each span.
    pub(super) attention: Vec<AttentionTables>,
    pub(super) drafter: Option<DrafterTables>,
    pub(super) capture_sizes: CaptureSizes,
    /// Of passes in which all requests verify the same number of drafts.
    pub(super) uniform_capture_sizes: CaptureSizes,
    /// Rows of a request in such a pass.
    pub(super) decode_query_len: u32,
    /// See [`super::schema::MixedBatch::decode_term_factor`].
    decode_term_factor: f64,
    /// The best evidence this profile can give under these settings.
    best_evidence: Evidence,
    /// The best evidence for a pass with decodes and prompt parts.
    best_mixed_evidence: Evidence,
    /// Whether the tables hold for these settings; if not, all time lies outside the samples.
    holds: bool,
    /// By which the time of every pass is multiplied: 1 but at the ends of a range.
    pub(super) factor: f64,
    pipeline_parallel_size: u32,
    /// Of a pass that no CUDA graph holds: microseconds, and a share of the pass.
    outside_graphs: (f64, f64),
    /// Fresh draws; `None` if every pass takes what is predicted.
    pub(super) noise: Option<PassTimes>,
    pub(super) host: HostTimes,
}

/// The terms of one pass, summed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum {
    total_us: f64,
    extrapolated_us: f64,
    evidence: Evidence,
}

impl Sum {
    const fn new(best_evidence: Evidence) -> Self {
        Self { total_us: 0.0, extrapolated_us: 0.0, evidence: best_evidence }
    }

    #[inline]
    pub(super) fn add(&mut self, term: Reading) {
        self.total_us += term.value_us;
        if term.outside {
            self.extrapolated_us += term.value_us;
            self.evidence = self.evidence.max(Evidence::Extrapolated);
        } else if !term.on_sample {
            self.evidence = self.evidence.max(Evidence::Interpolated);
        }
    }

    /// Adds microseconds, and a share of what is there.
    fn lengthen(&mut self, (once_us, share): (f64, f64)) {
        self.total_us += once_us + share * self.total_us;
        self.extrapolated_us += share * self.extrapolated_us;
    }

    fn add_scaled(&mut self, other: &Self, factor: f64) {
        self.total_us += factor * other.total_us;
        self.extrapolated_us += factor * other.extrapolated_us;
        self.evidence = self.evidence.max(other.evidence);
    }
}

impl StepTimeModel {
    /// A model of `profile` under `settings`. A setting the tables do not hold for (other pipeline stages, CUDA graphs
    /// switched on or off) is accepted, and every step time is then [`Evidence::Extrapolated`].
    ///
    /// # Errors
    /// [`ProfileError::Values`] if the profile is not a valid one, [`ProfileError::Settings`] if
    /// `pipeline_parallel_size` is 0 or above the number of layers, or if the profile has no times of what the model's
    /// layers or the drafter do.
    pub fn new(profile: &Profile, settings: &StepTimeSettings) -> Result<Self, ProfileError> {
        profile.validate()?;
        let tables = &profile.step_time;
        let pipeline_parallel_size = settings.pipeline_parallel_size;
        let num_hidden_layers = profile.model.num_hidden_layers;
        if pipeline_parallel_size == 0 || pipeline_parallel_size > num_hidden_layers {
            let message = format!("{pipeline_parallel_size} must be from 1 to {num_hidden_layers}, the model's layers");
            return Err(ProfileError::Settings { setting: "pipeline_parallel_size", message });
        }
        let holds = settings.hold_for(profile);
        let best_evidence = best_evidence(profile, holds);
        let drafting = settings.drafting.as_ref();
        let decode_query_len = drafting.map_or(1, |drafting| 1 + drafting.num_speculative_tokens);
        let max_num_seqs = drafting.map_or(0, |drafting| drafting.max_num_seqs);
        Ok(Self {
            non_attention: Curve::new(&tables.non_attention.num_tokens, &tables.non_attention.time_us),
            head: Curve::new(&tables.head.num_seqs, &tables.head.time_us),
            attention: AttentionTables::all(tables, &settings.spans, drafting.is_some())?,
            drafter: drafting.map(|drafting| DrafterTables::new(profile, drafting)).transpose()?,
            decode_term_factor: tables.mixed_batch.as_ref().map_or(1.0, |mixed| mixed.decode_term_factor),
            uniform_capture_sizes: settings.capture_sizes.of_uniform_decodes(decode_query_len, max_num_seqs),
            capture_sizes: settings.capture_sizes.clone(),
            decode_query_len,
            best_evidence,
            best_mixed_evidence: best_evidence.max(Evidence::Interpolated),
            holds,
            factor: 1.0,
            pipeline_parallel_size,
            outside_graphs: profile
                .host
                .outside_graphs
                .as_ref()
                .map_or((0.0, 0.0), |outside| (outside.per_pass.time_us, outside.share)),
            noise: None,
            host: HostTimes::new(profile),
        })
    }

    /// The device time of one pass; an empty batch takes none.
    ///
    /// It is `non_attention(padded tokens) + head(rows) + attention`, and the drafter's runs behind it. Attention is the
    /// decodes' term at their mean context plus the prompt parts' term, for the layers of each span; both at once are
    /// joined as measured, or added where nobody measured it.
    #[must_use]
    pub fn predict(&self, batch: &BatchComposition) -> StepTime {
        let num_tokens = batch.num_tokens();
        if num_tokens == 0 {
            return StepTime {
                duration: SimDuration::ZERO,
                evidence: self.best_evidence,
                extrapolated: SimDuration::ZERO,
            };
        }
        let num_padded = self.num_padded(num_tokens, self.is_uniform_verification(batch));
        self.predict_padded(batch, num_padded, self.has_graph(num_tokens))
    }

    /// The same of a pass of some tokens, for which the device computes so many; `has_graph` if a CUDA graph holds it.
    #[inline]
    pub(super) fn predict_padded(&self, batch: &BatchComposition, num_padded: u32, has_graph: bool) -> StepTime {
        let mut sum = self.before_attention(num_padded, batch.num_reqs() + batch.num_draft_tokens());
        for tables in &self.attention {
            if batch.prefill_chunks.is_empty() {
                sum.add(tables.of_decodes(tables.decodes(batch)));
            } else if batch.num_decodes == 0 {
                tables.for_each_part(batch, |term| sum.add(term));
            } else {
                self.add_mixed_attention(tables, batch, &mut sum);
            }
        }
        self.add_drafter(batch, &mut sum);
        self.step_time(sum, has_graph)
    }

    /// The terms that do not depend on contexts, of a pass with so many tokens, padding included, and rows.
    pub(super) fn before_attention(&self, num_padded_tokens: u32, num_rows: u32) -> Sum {
        let mut sum = Sum::new(self.best_evidence);
        sum.add(self.non_attention.at(num_padded_tokens));
        sum.add(self.head.at(num_rows));
        sum
    }

    /// The time of a pass whose terms are all in `sum`; `has_graph` if a CUDA graph holds it.
    #[inline]
    pub(super) fn step_time(&self, mut sum: Sum, has_graph: bool) -> StepTime {
        if !has_graph {
            sum.lengthen(self.outside_graphs);
        }
        let extrapolated_us = if self.holds { sum.extrapolated_us } else { sum.total_us };
        StepTime {
            duration: SimDuration::from_micros_f64(self.factor * sum.total_us),
            evidence: sum.evidence,
            extrapolated: if extrapolated_us > 0.0 {
                SimDuration::from_micros_f64(self.factor * extrapolated_us)
            } else {
                SimDuration::ZERO
            },
        }
    }

    /// What host and front end take around passes.
    #[must_use]
    pub const fn host(&self) -> &HostTimes {
        &self.host
    }

    /// Adds the attention of a pass with decodes and prompt parts: the parts' term, and the decodes' times its factor.
    fn add_mixed_attention(&self, tables: &AttentionTables, batch: &BatchComposition, sum: &mut Sum) {
        let mut decode = Sum::new(self.best_mixed_evidence);
        decode.add(tables.of_decodes(tables.decodes(batch)));
        let mut prefill = Sum::new(self.best_mixed_evidence);
        tables.for_each_part(batch, |term| prefill.add(term));
        sum.add_scaled(&prefill, 1.0);
        sum.add_scaled(&decode, self.decode_term_factor);
    }

    /// Adds the drafter's runs: the first takes in the pass's tokens, the others one for each request.
    fn add_drafter(&self, batch: &BatchComposition, sum: &mut Sum) {
        let Some(drafter) = self.drafter.as_ref().filter(|_| batch.num_draft_runs > 0) else { return };
        sum.add(drafter.first_run.at(batch.num_tokens()));
        if let Some(next_run) = &drafter.next_run {
            let mut next = Sum::new(self.best_evidence);
            next.add(next_run.at(batch.num_reqs()));
            sum.add_scaled(&next, math::u32_to_f64(batch.num_draft_runs - 1));
        }
    }

    /// How long a pass holds one pipeline stage: its device time divided evenly, rounded up. With one stage, all of it.
    #[must_use]
    pub fn stage_time(&self, step_time: &StepTime) -> SimDuration {
        SimDuration::from_nanos(step_time.duration.as_nanos().div_ceil(u64::from(self.pipeline_parallel_size)))
    }
}

/// The best evidence that `profile` can give, under settings for which its tables hold or not.
fn best_evidence(profile: &Profile, holds: bool) -> Evidence {
    match profile.provenance.kind {
        ProvenanceKind::Estimated => Evidence::Estimated,
        _ if !holds => Evidence::Extrapolated,
        ProvenanceKind::Measured => Evidence::Measured,
        ProvenanceKind::Derived | ProvenanceKind::Synthetic => Evidence::Interpolated,
    }
}
