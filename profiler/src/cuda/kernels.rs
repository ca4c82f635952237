//! The kernels by name, and the text they are compiled from when the engine starts.

use super::number::{Format, Storage};
use super::shape::Shape;

/// Shipped in the binary, so that it needs no other file. `#line` makes the compiler's complaints name these files.
pub(crate) const SOURCE: &str = concat!(
    "#line 1 \"numbers.cu\"\n",
    include_str!("kernels/numbers.cu"),
    "#line 1 \"rows.cu\"\n",
    include_str!("kernels/rows.cu"),
    "#line 1 \"quantize.cu\"\n",
    include_str!("kernels/quantize.cu"),
    "#line 1 \"kv_cache.cu\"\n",
    include_str!("kernels/kv_cache.cu"),
    "#line 1 \"decode_attention.cu\"\n",
    include_str!("kernels/decode_attention.cu"),
    "#line 1 \"prefill_attention.cu\"\n",
    include_str!("kernels/prefill_attention.cu"),
);

/// A kernel of [`SOURCE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kernel {
    FillRandom,
    FillTables,
    Embed,
    GatherRows,
    AddRmsNorm,
    QkNorm,
    RopeAndCache,
    SiluAndMul,
    Argmax,
    DecodeAttention,
    MergeParts,
    PrefillAttention,
    FillRandomFp8,
    QuantizeRows,
    AddRmsNormFp8,
    SiluAndMulFp8,
}

impl Kernel {
    pub(crate) const ALL: [Self; 16] = [
        Self::FillRandom,
        Self::FillTables,
        Self::Embed,
        Self::GatherRows,
        Self::AddRmsNorm,
        Self::QkNorm,
        Self::RopeAndCache,
        Self::SiluAndMul,
        Self::Argmax,
        Self::DecodeAttention,
        Self::MergeParts,
        Self::PrefillAttention,
        Self::FillRandomFp8,
        Self::QuantizeRows,
        Self::AddRmsNormFp8,
        Self::SiluAndMulFp8,
    ];

    /// As in the text, with the types of the parameters: `p` a pointer, `i` an int, `f` a float, `u` a 64-bit count. A
    /// launch is checked against it.
    pub(crate) const fn signature(self) -> (&'static str, &'static str) {
        match self {
            Self::FillRandom => ("fill_random", "puuf"),
            Self::FillTables => ("fill_tables", "ppiuu"),
            Self::Embed => ("embed", "pppi"),
            Self::GatherRows => ("gather_rows", "pppi"),
            Self::AddRmsNorm => ("add_rms_norm", "pppppif"),
            Self::QkNorm => ("qk_norm", "ppppiif"),
            Self::RopeAndCache => ("rope_and_cache", "ppppppppiiiff"),
            Self::SiluAndMul => ("silu_and_mul", "ppi"),
            Self::Argmax => ("argmax", "ppi"),
            Self::DecodeAttention => ("decode_attention", "pppppppiiff"),
            Self::MergeParts => ("merge_parts", "pppi"),
            Self::PrefillAttention => ("prefill_attention", "ppppppiiiff"),
            Self::FillRandomFp8 => ("fill_random_fp8", "puuf"),
            Self::QuantizeRows => ("quantize_rows", "pppi"),
            Self::AddRmsNormFp8 => ("add_rms_norm_fp8", "ppppppif"),
            Self::SiluAndMulFp8 => ("silu_and_mul_fp8", "ppppi"),
        }
    }

    /// Whether it is compiled only for models that keep something in 8 bits.
    pub(crate) const fn is_of_fp8(self) -> bool {
        matches!(self, Self::FillRandomFp8 | Self::QuantizeRows | Self::AddRmsNormFp8 | Self::SiluAndMulFp8)
    }

    pub(crate) const fn name(self) -> &'static str {
        self.signature().0
    }
}

/// What NVRTC is told for a model on a device of this compute capability.
pub(crate) fn compile_options(shape: &Shape, block_size: u32, capability: (u32, u32)) -> Vec<String> {
    let is_half = u32::from(shape.format == Format::Float16);
    vec![
        format!("--gpu-architecture=compute_{}{}", capability.0, capability.1),
        format!("-DHEAD_DIM={}", shape.head_dim),
        format!("-DGROUP={}", shape.group()),
        format!("-DBLOCK_SIZE={block_size}"),
        format!("-DFP16={is_half}"),
        format!("-DFP8={}", u32::from(shape.uses_fp8())),
        format!("-DKV8={}", u32::from(shape.kv_cache == Storage::Fp8)),
    ]
}

/// The kernels that are compiled for a model.
pub(crate) fn kernels_of(shape: &Shape) -> impl Iterator<Item = Kernel> {
    let uses_fp8 = shape.uses_fp8();
    Kernel::ALL.into_iter().filter(move |kernel| uses_fp8 || !kernel.is_of_fp8())
}

#[cfg(test)]
mod tests {
    use super::{Kernel, SOURCE};

    /// Name and parameter types of every kernel in the text.
    fn kernels_in(source: &str) -> Vec<(String, String)> {
        let mut kernels = vec![];
        for part in source.split("extern \"C\" __global__").skip(1) {
            let part = part.replace("__launch_bounds__(128)", "");
            let (head, rest) = part.split_once('(').expect("parameters");
            let name = head.split_whitespace().last().expect("a name").to_owned();
            let parameters = rest.split(')').next().expect("an end");
            let letter = |parameter: &str| {
                let is = |word: &str| parameter.split_whitespace().any(|part| part == word);
                match parameter {
                    p if p.contains('*') => 'p',
                    _ if is("int") => 'i',
                    _ if is("float") => 'f',
                    _ if is("u64") => 'u',
                    other => panic!("{name}: what is {other}?"),
                }
            };
            kernels.push((name.clone(), parameters.split(',').map(letter).collect()));
        }
        kernels
    }

    #[test]
    fn every_kernel_is_in_the_text_with_its_parameters_and_no_other() {
        let known =
            Kernel::ALL.map(|kernel| kernel.signature()).map(|(name, types)| (name.to_owned(), types.to_owned()));
        let mut in_text = kernels_in(SOURCE);
        let mut known = known.to_vec();
        in_text.sort();
        known.sort();
        assert_eq!(in_text, known);
    }

    #[test]
    fn kernels_in_8_bits_are_those_between_the_condition_and_its_end() {
        let within = include_str!("kernels/quantize.cu");
        for kernel in Kernel::ALL {
            assert_eq!(within.contains(&format!("void {}(", kernel.name())), kernel.is_of_fp8(), "{kernel:?}");
        }
    }

    #[test]
    fn a_wrong_parameter_would_be_found() {
        let text = SOURCE.replace("u16* out, const u16* gate_up, int intermediate", "u16* out, const u16* gate_up");
        assert!(kernels_in(&text).contains(&("silu_and_mul".to_owned(), "pp".to_owned())), "{text}");
    }
}
