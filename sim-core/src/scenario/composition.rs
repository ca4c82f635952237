//! Which model runs on which GPU, and in which numbers: the flags of which a profile is composed.
//!
//! A scenario with one of these flags says its own profile: [`Scenario::composition`]. Where a whole-pass profile is
//! chosen besides (dropped, measured, linked), that one holds, and [`Scenario::check_profile`] refuses flags that
//! disagree with it.

use alloc::borrow::ToOwned as _;
use alloc::string::{String, ToString as _};

use super::{Flag, Scenario, ScenarioError};
use crate::compose::DrafterSetup;
use crate::compose::setup::Routing;
use crate::compose::{ComposeError, Setup, compose};
use crate::config::flags::FlagError;
use crate::models::catalogue::Catalogue;
use crate::models::settings::Quantization;
use crate::models::{Dtype, KvCacheDtype};
use crate::operators::{Pack, gpu_table, transfer};
use crate::profile::Profile;

/// The model, where none is said.
pub const DEFAULT_MODEL: &str = "meta-llama/Llama-3.1-8B";
/// The GPU, where none is said.
pub const DEFAULT_GPU: &str = "h100-sxm";

/// Methods of vLLM's whose weights are not known here, some of which need no checkpoint of their own.
const NOT_SIMULATED: [&str; 7] = ["bitsandbytes", "gguf", "experts_int8", "torchao", "fp_quant", "humming", "quark"];

/// The flags of [`super::Part::Model`] as they were given.
#[derive(Debug, Clone, Default)]
pub(super) struct ModelArgs {
    pub(super) model: Option<String>,
    pub(super) gpu: Option<String>,
    /// `None` inside for `auto`.
    pub(super) dtype: Option<Option<Dtype>>,
    pub(super) quantization: Option<Quantization>,
    pub(super) kv_cache_dtype: Option<String>,
    pub(super) data_parallel_size: Option<u32>,
    pub(super) enable_expert_parallel: Option<bool>,
}

impl ModelArgs {
    /// Sets the field of flag `name` from its text.
    pub(super) fn set(&mut self, name: &'static str, text: &str) -> Result<(), ScenarioError> {
        let wrong = |need| ScenarioError::from(FlagError::value(&alloc::format!("--{name}"), text, need));
        match name {
            "model" | "gpu" if text.is_empty() => return Err(wrong("a value is needed")),
            "model" => self.model = Some(text.to_owned()),
            "gpu" => self.gpu = Some(text.to_owned()),
            "dtype" if text == "auto" => self.dtype = Some(None),
            "dtype" => {
                let need = "one of auto, half, float16, bfloat16, float, float32";
                let dtype = Dtype::from_name(text).filter(|_| !text.starts_with("torch."));
                self.dtype = Some(Some(dtype.ok_or_else(|| wrong(need))?));
            }
            // Not vLLM's, but what its other formats have: the checkpoint's own.
            "quantization" if text == "auto" => self.quantization = None,
            "quantization" => {
                let method = Quantization::from_name(text).ok_or_else(|| wrong("not a method of vLLM's"))?;
                self.quantization = Some(method);
            }
            "kv-cache-dtype" => {
                let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                if text.is_empty() || !text.bytes().all(is_word) {
                    return Err(wrong("one of auto, fp8, float16, bfloat16"));
                }
                self.kv_cache_dtype = Some(text.to_owned());
            }
            "data-parallel-size" => {
                let size = text.parse().ok().filter(|&size: &u32| size > 0);
                self.data_parallel_size = Some(size.ok_or_else(|| wrong("a whole number from 1"))?);
            }
            _ => self.enable_expert_parallel = Some(text == "true"),
        }
        Ok(())
    }
}

/// A profile that is to be composed.
#[derive(Debug, Clone, PartialEq)]
pub struct Composition {
    /// Name of the model, or a word of the user's for their own `config.json`; `None` for [`DEFAULT_MODEL`].
    pub model: Option<String>,
    /// Key of the GPU's pack; `None` for [`DEFAULT_GPU`]. From a pasted command it can be any text: see
    /// [`super::link::is_profile_name`] before it becomes part of an address.
    pub gpu: Option<String>,
    /// How the model runs.
    pub setup: Setup,
    /// The number format of keys and values, if it is none that is simulated.
    refused_kv_cache_dtype: Option<String>,
}

/// A composed profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Composed {
    /// The profile.
    pub profile: Profile,
    /// What to call it, as a file or in a report: `h100-sxm_Qwen3-32B_fp8_tp2`.
    pub name: String,
    /// The model of the list whose facts were taken, if the name asked for is another, with the quantisation that the name
    /// adds: `Qwen/Qwen3-32B, AWQ`.
    pub recognised: Option<String>,
    /// Whether it is one of several data-parallel ranks that have experts in common, and so step together.
    pub is_of_lockstep: bool,
}

impl Scenario {
    /// What the flags ask to be composed; `None` if none of them was given: neither one of [`super::Part::Model`] nor
    /// `tensor-parallel-size`.
    #[must_use]
    pub fn composition(&self) -> Option<Composition> {
        if !self.is_composed() {
            return None;
        }
        let tensor_parallel_size = self.engine().tensor_parallel_size;
        let args = &self.model;
        let kv_cache_dtype = args.kv_cache_dtype.as_deref().unwrap_or("auto");
        // The kernels whose times are known read e4m3.
        let known = KvCacheDtype::from_name(kv_cache_dtype).filter(|_| kv_cache_dtype != "fp8_e5m2");
        Some(Composition {
            model: args.model.clone(),
            gpu: args.gpu.clone(),
            setup: Setup {
                // What is no number of ranks is refused by its own name while composing.
                tensor_parallel_size: u32::try_from(tensor_parallel_size.unwrap_or(1)).unwrap_or(0),
                data_parallel_size: args.data_parallel_size.unwrap_or(1),
                enable_expert_parallel: args.enable_expert_parallel.unwrap_or(false),
                dtype: args.dtype.flatten(),
                quantization: args.quantization,
                kv_cache_dtype: known.unwrap_or_default(),
                vllm_version: None,
                drafter: drafter(self),
                routing: Routing::default(),
                has_fp8_activations: false,
            },
            refused_kv_cache_dtype: known.is_none().then(|| kv_cache_dtype.to_owned()),
        })
    }

    /// Whether a flag asks for a profile that is composed.
    fn is_composed(&self) -> bool {
        !self.is_default(super::Part::Model) || self.engine().tensor_parallel_size.is_some()
    }

    /// The flags of which a profile is composed, with their values; none if nothing asks for one.
    pub fn composed_of(&self) -> impl Iterator<Item = (&'static Flag, &str)> {
        let is_composed = self.is_composed();
        let is_part = |name: &str| ["tensor-parallel-size", "speculative-config"].contains(&name);
        self.given().filter(move |(flag, _)| is_composed && (flag.part == super::Part::Model || is_part(flag.name)))
    }

    /// Refuses flags that a whole-pass `profile` does not hold for. Not for composed profiles: their flags have acted. What
    /// `--model` names is looked up in `catalogue`.
    ///
    /// # Errors
    /// [`ScenarioError::NotInProfile`], and [`ScenarioError::Flag`] for more than one data-parallel rank.
    pub fn check_profile(&self, profile: &Profile, catalogue: &Catalogue) -> Result<(), ScenarioError> {
        super::agreement::check(self, profile, catalogue)?;
        super::agreement::check_one_rank(self)
    }

    /// What [`Self::check_profile`] and [`Self::check_profile_of_ranks`] have in common: all but data-parallel ranks.
    ///
    /// # Errors
    /// [`ScenarioError::NotInProfile`].
    pub fn check_agreement(&self, profile: &Profile, catalogue: &Catalogue) -> Result<(), ScenarioError> {
        super::agreement::check(self, profile, catalogue)
    }

    /// As [`Self::check_profile`], for who simulates all data-parallel ranks: those of a dense model are each as `profile`
    /// says.
    ///
    /// # Errors
    /// [`ScenarioError::NotInProfile`], and [`ScenarioError::Flag`] for several ranks of a model that has experts, or of which
    /// `catalogue` does not know whether it has.
    pub fn check_profile_of_ranks(&self, profile: &Profile, catalogue: &Catalogue) -> Result<(), ScenarioError> {
        super::agreement::check(self, profile, catalogue)?;
        super::agreement::check_ranks(self, profile, catalogue)
    }

    /// Refuses data-parallel ranks of a dense model, for those who simulate one engine: nothing tells a rank from an engine that
    /// stands alone. `is_lockstep` is [`Composed::is_of_lockstep`] of the profile.
    ///
    /// # Errors
    /// [`ScenarioError::Flag`].
    pub fn check_one_of_ranks(&self, is_lockstep: bool) -> Result<(), ScenarioError> {
        if is_lockstep || self.model.data_parallel_size.is_none_or(|size| size == 1) {
            return Ok(());
        }
        Err(refused_ranks())
    }

    /// The flags of which a profile is composed.
    pub(super) const fn model_args(&self) -> &ModelArgs {
        &self.model
    }
}

impl Composition {
    /// The model's name.
    #[must_use]
    pub fn model_name(&self) -> &str {
        self.model.as_deref().unwrap_or(DEFAULT_MODEL)
    }

    /// The key of the GPU's pack.
    #[must_use]
    pub fn gpu_key(&self) -> &str {
        self.gpu.as_deref().unwrap_or(DEFAULT_GPU)
    }

    /// Key of the pack that [`Self::compose`] needs: the GPU's own, or that of the measured GPU whose operators are moved to
    /// it; `None` if the GPU is unknown, so that only a pack of the user's own can be of it.
    #[must_use]
    pub fn pack_key(&self) -> Option<&'static str> {
        gpu_table::measured(self.gpu_key())
    }

    /// As [`Self::compose`], for who simulates all data-parallel ranks: those of a dense model are engines that stand alone,
    /// and the profile is that of one.
    ///
    /// # Errors
    /// Those of [`Self::compose`], but for a dense model's ranks.
    pub fn compose_rank(
        &self,
        catalogue: &Catalogue,
        config_file: Option<&[u8]>,
        pack: &Pack,
    ) -> Result<Composed, ScenarioError> {
        match self.try_compose(catalogue, config_file, pack) {
            Err(ScenarioError::Compose(ComposeError::NoExperts { flag: "data-parallel-size" })) => {
                let setup = Setup { data_parallel_size: 1, ..self.setup.clone() };
                Self { setup, ..self.clone() }.try_compose(catalogue, config_file, pack)
            }
            composed => composed,
        }
    }

    /// The profile on the GPU of `pack`, or on one that nobody measured and `pack` is moved to. The model is that of `config_file`, a `config.json`, if there is one, else the one
    /// that `catalogue` has by the name.
    ///
    /// # Errors
    /// [`ScenarioError::Model`] if the name is not known, [`ScenarioError::NotComposed`] for a value that is not
    /// simulated, [`ScenarioError::Compose`].
    pub fn compose(
        &self,
        catalogue: &Catalogue,
        config_file: Option<&[u8]>,
        pack: &Pack,
    ) -> Result<Composed, ScenarioError> {
        self.try_compose(catalogue, config_file, pack).map_err(|error| match error {
            ScenarioError::Compose(error) => refusal(error),
            error => error,
        })
    }

    fn try_compose(
        &self,
        catalogue: &Catalogue,
        config_file: Option<&[u8]>,
        pack: &Pack,
    ) -> Result<Composed, ScenarioError> {
        let not = |flag, value: &str, why| ScenarioError::NotComposed { flag, value: value.to_owned(), why };
        if let Some(method) = self.setup.quantization.filter(|method| NOT_SIMULATED.contains(&method.name())) {
            return Err(not("quantization", method.name(), "weights of this method are not simulated"));
        }
        if let Some(value) = &self.refused_kv_cache_dtype {
            let why =
                "step times with keys and values in this format are not known; must be auto, fp8, float16 or bfloat16";
            return Err(not("kv-cache-dtype", value, why));
        }
        let name = self.model_name();
        let (config, recognised) = match config_file {
            Some(file) => (file.to_vec(), None),
            None => {
                let found = catalogue.find(name)?;
                let variant = found.variant.map(|variant| alloc::format!(", {variant}")).unwrap_or_default();
                let told = alloc::format!("{}{variant}", found.entry.name);
                (found.config_json(), (told != name).then_some(told))
            }
        };
        let other = Some(self.gpu_key()).filter(|key| *key != pack.gpu.key && self.pack_key() == Some(&pack.gpu.key));
        let moved = other.and_then(gpu_table::find).map(|gpu| transfer(pack, &gpu));
        let pack = moved.as_ref().map_or(pack, |moved| &moved.pack);
        let mut profile = compose(pack, name, &config, &self.setup)?;
        if let Some(moved) = &moved {
            moved.mark(&mut profile);
        }
        if let Some(method) = self.setup.quantization {
            // Of several names for the same weights the one that was given.
            profile.engine.quantization = Some(method.name().to_owned());
        }
        let name = file_name(pack, &profile);
        Ok(Composed { profile, name, recognised, is_of_lockstep: self.setup.data_parallel_size > 1 })
    }
}

/// A dense model's engines beside each other share nothing but the requests.
fn refusal(error: ComposeError) -> ScenarioError {
    match error {
        ComposeError::NoExperts { flag: "data-parallel-size" } => refused_ranks(),
        error => error.into(),
    }
}

fn refused_ranks() -> ScenarioError {
    let why = "data-parallel ranks of a model without experts are engines that stand alone, of which one is simulated here; \
               `profiler simulate` and the page's \"What if?\" have all of them";
    FlagError::NotSimulated { flag: "--data-parallel-size".to_owned(), why }.into()
}

/// What a composed profile is called: characters that a link and a file's name may have.
fn file_name(pack: &Pack, profile: &Profile) -> String {
    let engine = &profile.engine;
    let model = profile.model.name.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or_default();
    let format = match engine.quantization.as_deref().unwrap_or(&engine.dtype) {
        "bfloat16" => "bf16",
        "float16" => "fp16",
        "float32" => "fp32",
        other => other,
    };
    let kv_cache = if engine.kv_cache_dtype == "auto" { "" } else { "_kv-fp8" };
    let name = alloc::format!("{}_{model}_{format}{kv_cache}_tp{}", pack.gpu.key, engine.tensor_parallel_size);
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars()
        .map(|c| if is_allowed(c) { c } else { '-' })
        .take(100)
        .collect::<String>()
        .trim_start_matches('.')
        .to_string()
}

/// Who drafts, if the flags for it can be read; what is wrong with them is told where the engine is resolved.
fn drafter(scenario: &Scenario) -> Option<DrafterSetup> {
    let config = scenario.engine().speculative_config.as_ref()?.resolve().ok()?;
    Some(DrafterSetup { method: config.method, num_speculative_tokens: config.num_speculative_tokens, config: None })
}
