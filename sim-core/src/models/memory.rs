//! What of a rank's memory is not for the KV cache, by the limits of a run's passes.
//!
//! vLLM runs one pass of `max_num_batched_tokens` tokens with `max_num_seqs` requests when it starts, and takes what that
//! pass needed at its peak for what every pass needs (`gpu_worker.py::determine_available_memory`,
//! `gpu_model_runner.py::profile_run`). So the peak is a formula of the two limits whose coefficients are the model's:
//! [`MemoryTerms`]. The constants here are fitted to start-up logs that people published, of one half of
//! `tests/data/startup_logs`; the test over that table says how far off they are on both halves.

use super::settings::{ComputeCapability, Dtype};
use super::shape::{DenseMlp, ExpertsShape, Mlp, ModelShape, WeightFormat};

const MIB: u64 = 1 << 20;
/// What one rank keeps beside weights and activations, without collectives (0.25 GiB; the logs' «non-torch forward»).
const RANK: u64 = 256 * MIB;
/// The same before vLLM 0.18.
const RANK_BEFORE_0_18: u64 = 133 * MIB;
/// The same of a stage of a pipeline, whose ranks have made their contexts before vLLM looks.
const STAGE: u64 = 72 * MIB;
/// What collectives keep beyond their own start, which vLLM counts among what was taken before it came.
const COLLECTIVES: u64 = 100 * MIB;
/// Buffers of all-reduces over symmetric memory and of those fused with a norm: of two ranks, and of more.
const COLLECTIVES_BUFFERS: [u64; 2] = [1864 * MIB, 1960 * MIB];
/// Tenths of a byte for each request and word of the vocabulary in a pass's sampling: logits in 16 and in 32 bits,
/// probabilities, random numbers.
const SAMPLING_TENTHS: u64 = 146;
/// The same before vLLM 0.17, which sorted the vocabulary.
const SORTED_SAMPLING_TENTHS: u64 = 380;
/// What the encoder of a model that reads images, too, leaves behind when it was tried.
const ENCODER_KEPT: u64 = 150 * MIB;
/// The peak of Qwen's encoder for one image of the largest size, 65,536 patches.
const QWEN_ENCODER: u64 = 920 * MIB;
/// A CUDA graph of one layer for one number of tokens.
const GRAPH_OF_LAYER: u64 = MIB / 2;

/// The versions of vLLM between which the amounts differ. Runs are simulated by
/// [`VllmVersion`](crate::vllm_version::VllmVersion) alone, whose versions are all of the newest kind; the others are here
/// because most public logs are theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum MemoryEra {
    /// Before 0.17: sampling sorts the vocabulary, and experts' workspace is freed before.
    SortedSampling,
    /// 0.17.
    LeanSampling,
    /// From 0.18 on: more stays resident.
    MoreResident,
    /// From 0.21 on: CUDA graphs are estimated and set aside (`VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS`); before, they
    /// were captured in what was left.
    #[default]
    WithGraphs,
}

impl MemoryEra {
    /// The era of a version, such as `0.19.0` or `0.26.1rc1.dev156+g0eec856cc`; `None` if it is none of vLLM.
    #[must_use]
    pub fn of_version(version: &str) -> Option<Self> {
        let mut parts = version.trim().trim_start_matches('v').split('.');
        let (major, minor) = (parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?);
        Some(match (major, minor) {
            (0, ..17) => Self::SortedSampling,
            (0, 17) => Self::LeanSampling,
            (0, ..21) => Self::MoreResident,
            _ => Self::WithGraphs,
        })
    }

    /// Whether memory for CUDA graphs is set aside.
    #[must_use]
    pub const fn sets_graphs_aside(self) -> bool {
        matches!(self, Self::WithGraphs)
    }
}

/// How a model is spread, over what, by which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemorySettings {
    /// Ranks that share each layer, at least 1.
    pub tensor_parallel_size: u32,
    /// Stages that the layers are divided into, at least 1.
    pub pipeline_parallel_size: u32,
    /// Ranks that experts are spread over whole, at least 1; 1 where each rank has a slice of all.
    pub expert_parallel_size: u32,
    /// The GPU.
    pub compute_capability: ComputeCapability,
    /// vLLM's version.
    pub era: MemoryEra,
}

impl Default for MemorySettings {
    fn default() -> Self {
        Self {
            tensor_parallel_size: 1,
            pipeline_parallel_size: 1,
            expert_parallel_size: 1,
            compute_capability: ComputeCapability::HOPPER,
            era: MemoryEra::default(),
        }
    }
}

/// The limits of a run that its memory depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Most tokens of a pass.
    pub max_num_batched_tokens: u32,
    /// Most requests of a pass.
    pub max_num_seqs: u32,
    /// Numbers of tokens that CUDA graphs are captured for; 0 with `enforce_eager`.
    pub num_capture_sizes: u32,
}

/// What activations and graphs of one rank take, as coefficients of a run's limits; all in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryTerms {
    /// A layer's widest moment, for each token.
    pub layer_per_token: u64,
    /// Sampling, for each request.
    pub sampling_per_seq: u64,
    /// What stays of the layers while requests are sampled, for each token.
    pub residual_per_token: u64,
    /// The peak of an encoder of images; 0 if there is none.
    pub encoder: u64,
    /// What stays beside all of these, for each token: the experts' workspace.
    pub workspace_per_token: u64,
    /// The same, whatever the limits.
    pub fixed: u64,
    /// What is set aside for CUDA graphs of one number of tokens.
    pub graphs_per_capture_size: u64,
}

impl MemoryTerms {
    /// The terms of one rank of a model; of a pipeline, the rank of the last stage, which samples.
    #[must_use]
    pub fn of(shape: &ModelShape, settings: &MemorySettings) -> Self {
        let width_of_expert = |shape: &ExpertsShape| {
            let slices = (settings.tensor_parallel_size / settings.expert_parallel_size.max(1)).max(1);
            shape.intermediate_size / slices
        };
        let mut widths = MemoryWidths {
            hidden_size: shape.hidden_size,
            vocab_size: shape.vocab_size,
            num_layers: shape.layers.iter().fold(0, |sum: u32, run| sum.saturating_add(run.num_layers)),
            dtype: shape.dtype,
            has_encoder: shape.architecture.ends_with("ForConditionalGeneration"),
            has_large_encoder: shape.architecture.starts_with("Qwen"),
            ..MemoryWidths::default()
        };
        // MXFP4's kernels gather tokens as they go: gpt-oss has no workspace to see.
        let has_workspace = shape.formats.experts != WeightFormat::Mxfp4;
        for run in &shape.layers {
            let dense = match run.layer.mlp {
                Mlp::Nothing => 0,
                Mlp::Dense(DenseMlp { intermediate_size, .. }) => intermediate_size,
                Mlp::Experts(experts) => {
                    if has_workspace {
                        widths.experts = (experts.num_experts_per_tok, width_of_expert(&experts));
                    }
                    experts.shared_intermediate_size.max(experts.dense_intermediate_size)
                }
            };
            widths.intermediate_size = widths.intermediate_size.max(dense / settings.tensor_parallel_size.max(1));
        }
        widths.terms(settings)
    }

    /// Peak of vLLM's profiling pass above what is resident.
    #[must_use]
    pub fn activation_peak(&self, limits: &MemoryLimits) -> u64 {
        let tokens = u64::from(limits.max_num_batched_tokens);
        let requests = u64::from(limits.max_num_seqs).min(tokens);
        let layer = self.layer_per_token.saturating_mul(tokens);
        let sampling = self.sampling_per_seq.saturating_mul(requests);
        let sampling = sampling.saturating_add(self.residual_per_token.saturating_mul(tokens));
        let workspace = self.workspace_per_token.saturating_mul(tokens);
        layer.max(sampling).max(self.encoder).saturating_add(workspace).saturating_add(self.fixed)
    }

    /// What is set aside for CUDA graphs.
    #[must_use]
    pub fn cuda_graphs(&self, limits: &MemoryLimits) -> u64 {
        self.graphs_per_capture_size.saturating_mul(u64::from(limits.num_capture_sizes))
    }

    /// Both together.
    #[must_use]
    pub fn total(&self, limits: &MemoryLimits) -> u64 {
        self.activation_peak(limits).saturating_add(self.cuda_graphs(limits))
    }
}

/// What activations are made of, on one rank: what [`MemoryTerms::of`] takes from a model's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryWidths {
    /// Width of the residual stream.
    pub hidden_size: u32,
    /// Tokens in the vocabulary.
    pub vocab_size: u32,
    /// Width of the widest MLP on the rank; 0 if there are experts alone.
    pub intermediate_size: u32,
    /// Experts of a token, and the width of one on the rank; 0 if there are none, or their kernels need no workspace.
    pub experts: (u32, u32),
    /// Layers.
    pub num_layers: u32,
    /// Number format of activations.
    pub dtype: Dtype,
    /// Whether the model has an encoder of images.
    pub has_encoder: bool,
    /// Whether that is Qwen's, which takes images of up to 65,536 patches.
    pub has_large_encoder: bool,
}

impl Default for MemoryWidths {
    fn default() -> Self {
        Self {
            hidden_size: 0,
            vocab_size: 0,
            intermediate_size: 0,
            experts: (0, 0),
            num_layers: 0,
            dtype: Dtype::Bfloat16,
            has_encoder: false,
            has_large_encoder: false,
        }
    }
}

impl MemoryWidths {
    /// The terms of activations of these widths.
    #[must_use]
    pub fn terms(&self, settings: &MemorySettings) -> MemoryTerms {
        let era = settings.era;
        let number_bytes = self.dtype.num_bytes();
        let [hidden, vocab, intermediate] = [self.hidden_size, self.vocab_size, self.intermediate_size].map(u64::from);
        let [per_token, width] = [self.experts.0, self.experts.1].map(u64::from);
        let layer = number_bytes.saturating_mul(3 * intermediate + 4 * hidden);
        let workspace = number_bytes.saturating_mul(per_token).saturating_mul(3 * width + hidden);
        let sorts = era == MemoryEra::SortedSampling;
        let tenths = if sorts { SORTED_SAMPLING_TENTHS } else { SAMPLING_TENTHS };
        // The constants are for logits of 2 bytes.
        let tenths = tenths + 10 * number_bytes.saturating_sub(2);
        let layers = u64::from(self.num_layers.div_ceil(settings.pipeline_parallel_size.max(1)));
        MemoryTerms {
            layer_per_token: if sorts { layer.saturating_add(workspace) } else { layer },
            sampling_per_seq: tenths.saturating_mul(vocab) / 10,
            residual_per_token: number_bytes.saturating_mul(7 * hidden) / 4,
            encoder: if self.has_encoder && self.has_large_encoder { QWEN_ENCODER } else { 0 },
            workspace_per_token: if sorts { 0 } else { workspace },
            fixed: if self.has_encoder { ENCODER_KEPT } else { 0 },
            graphs_per_capture_size: if era.sets_graphs_aside() { GRAPH_OF_LAYER.saturating_mul(layers) } else { 0 },
        }
    }
}

/// What stays resident on a rank beside the weights, in bytes. vLLM gives buffers to all-reduces over symmetric memory
/// (`device_communicators/symm_mem.py`) and to those fused with a norm (`config/vllm.py`, `enable_allreduce_rms_fusion`)
/// on capabilities 9.0 and 10.x only.
#[must_use]
pub fn other_resident(settings: &MemorySettings) -> u64 {
    let ComputeCapability { major, minor } = settings.compute_capability;
    let has_buffers = (major, minor) == (9, 0) || major == 10;
    let rank = if settings.era < MemoryEra::MoreResident { RANK_BEFORE_0_18 } else { RANK };
    let [of_two, of_more] = COLLECTIVES_BUFFERS;
    match (settings.tensor_parallel_size, has_buffers) {
        (..=1, _) if settings.pipeline_parallel_size > 1 => STAGE,
        (..=1, _) => rank,
        (2, true) => rank.saturating_add(of_two),
        (_, true) => rank.saturating_add(of_more),
        (_, false) => rank.saturating_add(COLLECTIVES),
    }
}

#[cfg(test)]
mod tests {
    use super::{MIB, MemoryEra, MemoryLimits, MemorySettings, MemoryWidths, other_resident};
    use crate::models::ComputeCapability;

    const LIMITS: MemoryLimits =
        MemoryLimits { max_num_batched_tokens: 8192, max_num_seqs: 1024, num_capture_sizes: 51 };

    /// Llama-3.1-8B on one rank.
    const LLAMA: MemoryWidths = MemoryWidths {
        hidden_size: 4096,
        vocab_size: 128_256,
        intermediate_size: 14_336,
        experts: (0, 0),
        num_layers: 32,
        dtype: crate::models::Dtype::Bfloat16,
        has_encoder: false,
        has_large_encoder: false,
    };

    fn terms(era: MemoryEra) -> super::MemoryTerms {
        LLAMA.terms(&MemorySettings { era, ..MemorySettings::default() })
    }

    #[test]
    fn the_peak_follows_the_limits() {
        let lean = terms(MemoryEra::WithGraphs);
        // The larger of both sides: sampling with many requests, a layer with few.
        assert_eq!(lean.activation_peak(&LIMITS), 146 * 128_256 / 10 * 1024 + 3 * 4096 * 8192 + 4096 * 8192 / 2);
        let few = MemoryLimits { max_num_seqs: 1, ..LIMITS };
        assert_eq!(lean.activation_peak(&few), 2 * 8192 * (3 * 14_336 + 4 * 4096));
        // A pass has no more requests than tokens.
        let short = MemoryLimits { max_num_batched_tokens: 1, ..LIMITS };
        assert!(lean.activation_peak(&short) < 4 * MIB);
        assert!(terms(MemoryEra::SortedSampling).activation_peak(&LIMITS) > 2 * lean.activation_peak(&LIMITS));
    }

    #[test]
    fn graphs_are_set_aside_by_their_number_and_only_since_0_21() {
        let of = |era, num_capture_sizes| terms(era).cuda_graphs(&MemoryLimits { num_capture_sizes, ..LIMITS });
        assert_eq!(of(MemoryEra::WithGraphs, 51), 51 * 32 * MIB / 2);
        assert_eq!(of(MemoryEra::WithGraphs, 0), 0);
        assert_eq!(of(MemoryEra::MoreResident, 51), 0);
    }

    #[test]
    fn collectives_have_buffers_on_some_devices() {
        let of = |tensor_parallel_size, major, minor| {
            let compute_capability = ComputeCapability { major, minor };
            other_resident(&MemorySettings { tensor_parallel_size, compute_capability, ..MemorySettings::default() })
        };
        assert_eq!(of(1, 9, 0), of(1, 8, 0));
        assert!(of(2, 9, 0) > of(2, 8, 9) + 1024 * MIB);
        assert!(of(2, 8, 9) > of(1, 8, 9));
        assert!(of(8, 10, 0) > of(2, 10, 0));
    }

    #[test]
    fn versions_have_their_eras() {
        let era = MemoryEra::of_version;
        assert_eq!(era("0.16.0"), Some(MemoryEra::SortedSampling));
        assert_eq!(era("v0.17.1"), Some(MemoryEra::LeanSampling));
        assert_eq!(era("0.18.2rc1.dev73+gdb7a17ecc"), Some(MemoryEra::MoreResident));
        assert_eq!(era("0.21.0"), Some(MemoryEra::WithGraphs));
        assert_eq!(era("0.33.0"), Some(MemoryEra::default()));
        assert_eq!(era("nightly"), None);
    }
}
