//! A model's name taken apart: what it is, what it was tuned for, how it is quantised.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::variant::Variant;

/// Longest name that is looked at, in bytes.
pub(super) const MAX_BYTES: usize = 512;
/// Most words of one.
const MAX_WORDS: usize = 32;

/// A name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// What the model is: family, version, size. Two models that differ in one of these differ.
    pub(super) words: Vec<String>,
    /// What does not change its shape: tuning and dates.
    pub(super) tuning: Vec<String>,
    /// How it is quantised.
    pub(super) variant: Option<Variant>,
    /// Why no engine of vLLM's takes it, or its weights are not known.
    pub(super) refused: Option<&'static str>,
}

/// What says nothing of a model's shape.
const TUNING: [&str; 19] = [
    "instruct",
    "it",
    "base",
    "chat",
    "hf",
    "thinking",
    "think",
    "preview",
    "pt",
    "sft",
    "reasoning",
    "text",
    "fp16",
    "float16",
    "bfloat16",
    "dev",
    "unsloth",
    "release",
    "qat",
];
/// Owners' names that some of them put before a model's.
const OWNERS: [&str; 6] = ["meta", "nvidia", "ai21", "c4ai", "ibm", "google"];
/// Families whose version some write without a dash.
const FAMILIES: [&str; 14] = [
    "qwen", "llama", "gemma", "phi", "mistral", "mixtral", "glm", "olmo", "granite", "exaone", "kimi", "deepseek",
    "minimax", "lfm",
];
/// Owners whose 8 bits have a scale for each block of 128 × 128.
const BLOCK_OWNERS: [&str; 7] =
    ["qwen", "zai-org", "deepseek-ai", "minimaxai", "xiaomimimo", "stepfun-ai", "moonshotai"];

impl Name {
    /// Takes a name apart: of Hugging Face, of a folder, or of Hugging Face's own cache.
    pub(super) fn parse(name: &str) -> Self {
        let name = cut(name.trim()).replace('\\', "/");
        let name = name.strip_prefix("hf://").unwrap_or(&name).trim_end_matches('/');
        // `models--owner--name/snapshots/…` of the cache.
        let cached = name.rsplit_once("models--").map(|(_, behind)| behind.split('/').next().unwrap_or_default());
        let cached = cached.map(|cached| cached.replace("--", "/"));
        let name = cached.as_deref().unwrap_or(name).to_lowercase();
        let mut parts = name.rsplit('/').filter(|part| !part.is_empty());
        let (own, owner) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let mut parsed = Self { words: Vec::new(), tuning: Vec::new(), variant: None, refused: None };
        if own.strip_suffix(".gguf").is_some() {
            parsed.refused = Some(GGUF);
        }
        let words = split(own);
        let mut rest = words.iter().map(String::as_str).peekable();
        let mut is_first = true;
        while let Some(word) = rest.next() {
            let is_owner = core::mem::take(&mut is_first) && OWNERS.contains(&word) && rest.peek().is_some();
            if !is_owner {
                parsed.take(word, BLOCK_OWNERS.contains(&owner));
            }
        }
        parsed
    }

    /// Takes in one word.
    fn take(&mut self, word: &str, has_blocks: bool) {
        let fp8 = if has_blocks { Variant::Fp8Block } else { Variant::Fp8 };
        let variant = match word {
            "fp8" => Some(fp8),
            "nvfp4" | "fp4" => Some(Variant::Nvfp4),
            "awq" => Some(Variant::Awq),
            "gptq" => Some(Variant::Gptq),
            "w4a16" | "quantized.w4a16" | "int4" => Some(Variant::Int4),
            "w8a8" | "quantized.w8a8" | "int8" => Some(Variant::Int8),
            "bf16" => Some(Variant::Unquantized),
            _ => None,
        };
        if let Some(variant) = variant {
            return self.quantise(variant);
        }
        match word {
            "bnb" | "bitsandbytes" => self.refused = Some("weights of bitsandbytes are not simulated"),
            "gguf" => self.refused = Some(GGUF),
            "mlx" | "exl2" | "exl3" | "onnx" | "openvino" => {
                self.refused = Some("vLLM does not take weights of this kind");
            }
            "4bit" | "8bit" | "3bit" | "6bit" if self.variant.is_none() => {
                self.refused =
                    self.refused.or(Some("it says how many bits, not by which method; its config.json does"));
            }
            "block" if self.variant == Some(Variant::Fp8) => self.variant = Some(Variant::Fp8Block),
            // What follows a quantisation and changes nothing of its size.
            "4bit" | "dynamic" | "static" | "kv" | "block" | "tensor" | "pertensor" | "g128" | "marlin" | "sym"
            | "autoround"
                if self.variant.is_some() => {}
            _ if TUNING.contains(&word) || is_date(word) => self.tuning.push(word.into()),
            _ => self.words.push(word.into()),
        }
    }

    fn quantise(&mut self, variant: Variant) {
        self.variant = match (self.variant, variant) {
            // `-GPTQ-Int4`, `-AWQ-INT4`: the first says how.
            (Some(given @ (Variant::Awq | Variant::Gptq)), Variant::Int4) => Some(given),
            (Some(Variant::Gptq), Variant::Int8) => Some(Variant::Int8),
            // `-BF16` beside another means the rest of the model.
            (Some(given), Variant::Unquantized) => Some(given),
            _ => Some(variant),
        };
    }

    /// The words of what it is, as one.
    pub(super) fn joined(&self) -> String {
        self.words.join("-")
    }
}

const GGUF: &str = "GGUF files have formats of their own, which are not simulated";

fn cut(name: &str) -> &str {
    let mut end = name.len().min(MAX_BYTES);
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    name.get(..end).unwrap_or_default()
}

/// A month and day, or a year and month: 0528, 2507.
fn is_date(word: &str) -> bool {
    let Ok(number) = word.parse::<u32>() else { return false };
    let (front, behind) = (number / 100, number % 100);
    let is_month_and_day = (1..=12).contains(&front) && (1..=31).contains(&behind);
    let is_year_and_month = (23..=29).contains(&front) && (1..=12).contains(&behind);
    word.len() == 4 && (is_month_and_day || is_year_and_month)
}

/// The words of a name. A low line between digits is a dot; families' versions are words of their own.
fn split(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let is_digit = |place: Option<usize>| place.and_then(|place| letters.get(place)).is_some_and(char::is_ascii_digit);
    let mut words: Vec<String> = alloc::vec![String::new()];
    for (place, &letter) in letters.iter().enumerate() {
        let is_point = letter == '_' && is_digit(place.checked_sub(1)) && is_digit(place.checked_add(1));
        match (letter, words.last_mut()) {
            (_, Some(word)) if is_point => word.push('.'),
            ('-' | '_' | ' ' | ':' | '@', _) => words.push(String::new()),
            (letter, Some(word)) => word.push(letter),
            (_, None) => {}
        }
    }
    let words = words.iter().filter(|word| !word.is_empty()).take(MAX_WORDS);
    words.flat_map(|word| family_and_version(word)).collect()
}

fn family_and_version(word: &str) -> Vec<String> {
    let version = |family: &&str| {
        let version = word.strip_prefix(*family)?;
        version.starts_with(|letter: char| letter.is_ascii_digit()).then(|| [family.to_string(), version.to_string()])
    };
    FAMILIES.iter().find_map(version).map_or_else(|| alloc::vec![word.to_string()], Vec::from)
}
