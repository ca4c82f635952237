//! The number formats of a checkpoint's matrices, from its own words and from `--quantization`.
//!
//! Source: `vllm/model_executor/layers/quantization`, one file for each method; `vllm/config/model.py` for how the words of a
//! checkpoint and of an engine go together. What a file says of single modules is told to the kinds of matrices by majority:
//! a kind has one format here.

use alloc::vec::Vec;

use super::config_file::{ConfigFile, Fields};
use super::error::ModelConfigError;
use super::module_names::{Kind, Meant};
use super::settings::{ModelSettings, Quantization};
use super::shape::{LayerRun, Mixer, Mlp, WeightFormat, WeightFormats};

type Result<T> = core::result::Result<T, ModelConfigError>;

/// Most layers that are told apart.
const MAX_LAYERS: usize = 1024;
/// Most groups of modules that a file has formats for.
const MAX_GROUPS: usize = 64;
/// Most regular expressions of a file.
const MAX_REGEXES: u32 = 64;
/// Numbers that share a scale where there is one for a whole row: more than any row has.
const WHOLE_ROW: u32 = 1 << 20;

/// The formats of `file`, whose model has these layers.
pub(super) fn weight_formats(
    file: &ConfigFile,
    layers: &[LayerRun],
    settings: &ModelSettings,
) -> Result<WeightFormats> {
    let Some(config) = quantization_config(file)? else {
        return settings.quantization.map_or(Ok(WeightFormats::all(WeightFormat::Unquantized)), online);
    };
    let method = method(config)?;
    if let Some(given) = settings.quantization.filter(|given| !given.goes_with(method)) {
        return Err(ModelConfigError::QuantizationMismatch { checkpoint: super::error::shortened(method), given });
    }
    Checkpoint { config, method, layers }.formats()
}

/// What a checkpoint without a quantisation becomes.
fn online(given: Quantization) -> Result<WeightFormats> {
    given.online().map(WeightFormats::all).ok_or(ModelConfigError::NoQuantizationFile { given })
}

/// The object that says how a checkpoint is quantised, wherever it stands; a file of `ModelOpt`'s own has another around it.
pub(super) fn quantization_config(file: &ConfigFile) -> Result<Option<Fields<'_>>> {
    for fields in [file.root(), file.text()?] {
        for field in ["quantization_config", "compression_config"] {
            if let Some(config) = fields.object(field)? {
                return Ok(Some(config.object("quantization")?.unwrap_or(config)));
            }
        }
    }
    Ok(None)
}

/// The method of a checkpoint. Files of `ModelOpt`'s own name none.
fn method(config: Fields<'_>) -> Result<&str> {
    match config.text("quant_method")? {
        Some(method) => Ok(method),
        None if config.value("quant_algo").is_some() => Ok("modelopt"),
        None => Err(ModelConfigError::missing("quantization_config.quant_method")),
    }
}

struct Checkpoint<'a> {
    config: Fields<'a>,
    method: &'a str,
    layers: &'a [LayerRun],
}

impl Checkpoint<'_> {
    fn formats(&self) -> Result<WeightFormats> {
        let config = self.config;
        match self.method {
            "fp8" | "fbgemm_fp8" => {
                let has_blocks = config.value("weight_block_size").is_some();
                let format = if has_blocks { WeightFormat::Fp8Block } else { WeightFormat::Fp8 };
                self.except(format, &["modules_to_not_convert", "ignored_layers"])
            }
            "compressed-tensors" => self.compressed_tensors(),
            method if method.starts_with("modelopt") => self.modelopt(),
            "awq" | "auto_awq" | "awq_marlin" => {
                let format = whole_numbers(config, config.number("bits", 64)?.unwrap_or(4))?;
                let has_zeros = config.flag_or("zero_point", true)?;
                Ok(WeightFormats { has_zeros, ..self.except(format, &["modules_to_not_convert"])? })
            }
            "gptq" | "auto_gptq" | "gptq_marlin" | "auto-round" | "inc" => {
                let format = whole_numbers(config, config.number("bits", 64)?.unwrap_or(4))?;
                let formats = self.except(format, &["modules_to_not_convert"])?;
                let lm_head = if config.flag_or("lm_head", false)? { format } else { WeightFormat::Unquantized };
                Ok(WeightFormats { has_zeros: !config.flag_or("sym", true)?, lm_head, ..formats })
            }
            // Experts alone, whatever the file says of other modules.
            "mxfp4" | "gpt_oss_mxfp4" => {
                Ok(WeightFormats { experts: WeightFormat::Mxfp4, ..WeightFormats::all(WeightFormat::Unquantized) })
            }
            other => Err(unknown(other, "weights of this method are not simulated")),
        }
    }

    /// `format` everywhere but where these lists say otherwise.
    fn except(&self, format: WeightFormat, lists: &[&'static str]) -> Result<WeightFormats> {
        let mut votes = Votes::new(self.layers);
        for list in lists {
            votes.except_all(self.config, list)?;
        }
        let mut formats = [format; 5];
        formats[Kind::Logits.place()] = WeightFormat::Unquantized;
        Ok(votes.apply(formats))
    }

    fn compressed_tensors(&self) -> Result<WeightFormats> {
        let config = self.config;
        let field = "config_groups";
        let groups = config.object(field)?.ok_or(ModelConfigError::missing(field))?;
        let mut formats = [WeightFormat::Unquantized; 5];
        let mut has_zeros = false;
        let mut votes = Votes::new(self.layers);
        for name in groups.names().take(MAX_GROUPS) {
            let Some(group) = groups.object_named(name) else { continue };
            let (format, group_has_zeros) = scheme(group, config.text("format")?)?;
            has_zeros |= group_has_zeros;
            for target in group.many_texts("targets")? {
                let targets = votes.targets(target);
                for (own, is_target) in formats.iter_mut().zip(targets) {
                    *own = if is_target { format } else { *own };
                }
            }
        }
        votes.except_all(config, "ignore")?;
        Ok(WeightFormats { has_zeros, ..votes.apply(formats) })
    }

    fn modelopt(&self) -> Result<WeightFormats> {
        let config = self.config;
        let field = "quant_algo";
        let name = config.text(field)?.ok_or(ModelConfigError::missing(field))?;
        if name.eq_ignore_ascii_case("MIXED_PRECISION") {
            return self.by_module();
        }
        self.except(algorithm(name)?, &["exclude_modules", "ignore"])
    }

    /// A format for each module by its name.
    fn by_module(&self) -> Result<WeightFormats> {
        let field = "quantized_layers";
        let modules = self.config.object(field)?.ok_or(ModelConfigError::missing(field))?;
        let mut found: Vec<(WeightFormat, Votes<'_>)> = Vec::new();
        for name in modules.names() {
            let Some(module) = modules.object_named(name) else { continue };
            let format = algorithm(module.text("quant_algo")?.ok_or(ModelConfigError::missing("quant_algo"))?)?;
            let votes = match found.iter_mut().find(|(other, _)| *other == format) {
                Some((_, votes)) => votes,
                None => {
                    found.push((format, Votes::new(self.layers)));
                    let Some((_, votes)) = found.last_mut() else { continue };
                    votes
                }
            };
            votes.add(Meant::of(name));
        }
        let mut formats = [WeightFormat::Unquantized; 5];
        for kind in Kind::ALL {
            if let Some((format, _)) = found.iter().find(|(_, votes)| votes.has_majority(kind)) {
                formats[kind.place()] = *format;
            }
        }
        Ok(named(formats))
    }
}

const fn named(formats: [WeightFormat; 5]) -> WeightFormats {
    let [mixer, mlp, experts, shared_experts, lm_head] = formats;
    WeightFormats { mixer, mlp, experts, shared_experts, lm_head, has_zeros: false }
}

fn unknown(method: &str, why: &'static str) -> ModelConfigError {
    ModelConfigError::Quantization { method: super::error::shortened(method), why }
}

/// Whole numbers of 4 or 8 bits.
fn whole_numbers(config: Fields<'_>, bits: u32) -> Result<WeightFormat> {
    match bits {
        4 => {
            // -1 is a scale for a whole row.
            let is_row = config.value("group_size").and_then(serde_json::Value::as_i64) == Some(-1);
            let group = if is_row { WHOLE_ROW } else { config.count_or("group_size", 128)? };
            Ok(WeightFormat::Int4 { group })
        }
        8 => Ok(WeightFormat::Int8),
        _ => {
            let need = "4 or 8: weights of other widths are not simulated";
            Err(ModelConfigError::value("bits", &serde_json::Value::from(bits), need))
        }
    }
}

/// An algorithm of `ModelOpt`'s.
fn algorithm(name: &str) -> Result<WeightFormat> {
    Ok(match name.to_ascii_uppercase().as_str() {
        "FP8" | "FP8_PER_CHANNEL_PER_TOKEN" => WeightFormat::Fp8,
        // 8 bits with scales for 32 numbers are nearest to those with scales for blocks.
        "FP8_PB_WO" | "MXFP8" => WeightFormat::Fp8Block,
        "NVFP4" | "W4A16_NVFP4" | "NVFP4_AWQ" => WeightFormat::Nvfp4,
        _ => return Err(unknown(name, "weights of this algorithm of ModelOpt are not simulated")),
    })
}

/// A scheme of compressed-tensors, and whether its whole numbers have zeros.
fn scheme(group: Fields<'_>, whole: Option<&str>) -> Result<(WeightFormat, bool)> {
    let field = "weights";
    let Some(weights) = group.object(field)? else { return Ok((WeightFormat::Unquantized, false)) };
    let bits = weights.number("num_bits", 64)?.unwrap_or(8);
    let is_float = weights.text("type")? == Some("float");
    let group_size = match weights.value("group_size").and_then(serde_json::Value::as_i64) {
        Some(-1) => None,
        _ => weights.optional_count("group_size")?,
    };
    let format = group.text("format")?.or(whole).unwrap_or_default();
    let has_zeros = !weights.flag_or("symmetric", true)?;
    Ok(match (bits, is_float) {
        (8, true) if weights.text("strategy")? == Some("block") => (WeightFormat::Fp8Block, false),
        (8, true) => (WeightFormat::Fp8, false),
        (8, false) => (WeightFormat::Int8, false),
        (4, true) if format.starts_with("mxfp4") || group_size == Some(32) => (WeightFormat::Mxfp4, false),
        (4, true) => (WeightFormat::Nvfp4, false),
        (4, false) => (WeightFormat::Int4 { group: group_size.unwrap_or(WHOLE_ROW) }, has_zeros),
        _ => {
            let need = "4 or 8: weights of other widths are not simulated";
            return Err(ModelConfigError::value("num_bits", &serde_json::Value::from(bits), need));
        }
    })
}

/// Which layers' matrices of each kind are meant by the names so far.
struct Votes<'a> {
    layers: &'a [LayerRun],
    meant: [Vec<bool>; 5],
    all: [bool; 5],
    num_regexes: u32,
}

impl<'a> Votes<'a> {
    const fn new(layers: &'a [LayerRun]) -> Self {
        Self { layers, meant: [const { Vec::new() }; 5], all: [false; 5], num_regexes: 0 }
    }

    fn add(&mut self, meant: Meant) {
        for kind in Kind::ALL {
            let place = kind.place();
            // An MLP beside experts is a module of its own; the experts' stands elsewhere.
            let is_beside = kind == Kind::Experts && self.has_mlp_beside() && meant.kinds[Kind::Mlp.place()];
            if !meant.kinds[place] || is_beside {
                continue;
            }
            let Some(layer) = meant.layer.and_then(|layer| usize::try_from(layer).ok()) else {
                self.all[place] = true;
                continue;
            };
            let layers = &mut self.meant[place];
            if layer < MAX_LAYERS {
                if layers.len() <= layer {
                    layers.resize(layer + 1, false);
                }
                layers[layer] = true;
            }
        }
    }

    fn has_mlp_beside(&self) -> bool {
        self.layers
            .iter()
            .any(|run| matches!(run.layer.mlp, Mlp::Experts(experts) if experts.dense_intermediate_size > 0))
    }

    /// Layers that have matrices of a kind.
    fn layers_of(&self, kind: Kind) -> impl Iterator<Item = usize> + '_ {
        let mut first = 0_usize;
        self.layers.iter().flat_map(move |run| {
            let has = match (kind, run.layer.mlp) {
                (Kind::Mixer, _) => run.layer.mixer != Mixer::Nothing,
                (Kind::Mlp, Mlp::Dense(_)) => true,
                (Kind::Mlp, Mlp::Experts(experts)) => experts.dense_intermediate_size > 0,
                (Kind::Experts, Mlp::Experts(_)) => true,
                (Kind::Shared, Mlp::Experts(experts)) => experts.shared_intermediate_size > 0,
                _ => false,
            };
            let start = first;
            first = first.saturating_add(usize::try_from(run.num_layers).unwrap_or(usize::MAX));
            (start..if has { first } else { start }).take(MAX_LAYERS)
        })
    }

    fn has_majority(&self, kind: Kind) -> bool {
        let place = kind.place();
        if self.all[place] {
            return true;
        }
        let (mut meant, mut all) = (0_u32, 0_u32);
        for layer in self.layers_of(kind) {
            all += 1;
            meant += u32::from(self.meant[place].get(layer).copied().unwrap_or(false));
        }
        all > 0 && 2 * meant > all
    }

    /// Takes in a list of names that are left alone.
    fn except_all(&mut self, config: Fields<'_>, list: &'static str) -> Result<()> {
        for name in config.many_texts(list)? {
            let Some(pattern) = name.strip_prefix("re:") else {
                self.add(Meant::of(name));
                continue;
            };
            for (all, is_matched) in self.matched(pattern).into_iter().enumerate() {
                self.all[all] |= is_matched;
            }
        }
        Ok(())
    }

    /// The kinds that a regular expression matches; none once there were too many.
    fn matched(&mut self, pattern: &str) -> [bool; 5] {
        self.num_regexes = self.num_regexes.saturating_add(1);
        let is_allowed = self.num_regexes <= MAX_REGEXES;
        Kind::ALL.map(|kind| is_allowed && kind.is_matched(pattern, self.middle(kind)))
    }

    fn middle(&self, kind: Kind) -> u32 {
        let count = self.layers_of(kind).count();
        self.layers_of(kind).nth(count / 2).and_then(|layer| u32::try_from(layer).ok()).unwrap_or(0)
    }

    /// The kinds that a target means.
    fn targets(&mut self, target: &str) -> [bool; 5] {
        match target.strip_prefix("re:") {
            Some(pattern) => self.matched(pattern),
            None if target == "Linear" => Kind::ALL.map(|kind| kind != Kind::Logits),
            None => Meant::of(target).kinds,
        }
    }

    fn apply(&self, mut formats: [WeightFormat; 5]) -> WeightFormats {
        for kind in Kind::ALL {
            if self.has_majority(kind) {
                formats[kind.place()] = WeightFormat::Unquantized;
            }
        }
        named(formats)
    }
}
