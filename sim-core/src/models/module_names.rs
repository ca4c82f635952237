//! Which of a model's matrices the name of a module, or a pattern of such names, is about.

use super::patterns::regex_matches;

/// A kind of matrices that have one format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Attention and states.
    Mixer,
    /// Dense MLPs.
    Mlp,
    /// Routed experts.
    Experts,
    /// Experts of every token.
    Shared,
    /// The logits.
    Logits,
}

impl Kind {
    /// All, in the order of their places.
    pub(super) const ALL: [Self; 5] = [Self::Mixer, Self::Mlp, Self::Experts, Self::Shared, Self::Logits];

    /// Its place in [`Kind::ALL`].
    pub(super) const fn place(self) -> usize {
        match self {
            Self::Mixer => 0,
            Self::Mlp => 1,
            Self::Experts => 2,
            Self::Shared => 3,
            Self::Logits => 4,
        }
    }

    /// Names of such modules in a layer, as published models have them; whole names for the logits.
    const fn examples(self) -> &'static [&'static str] {
        match self {
            Self::Mixer => &[
                "self_attn.q_proj",
                "self_attn.o_proj",
                "self_attn.q_b_proj",
                "linear_attn.in_proj_qkv",
                "linear_attn.out_proj",
                "mixer.in_proj",
                "mixer.q_proj",
                "mamba.in_proj",
                "attention.wo",
            ],
            Self::Mlp => &["mlp.gate_proj", "mlp.down_proj", "mlp.gate_up_proj", "mixer.up_proj", "feed_forward.w1"],
            Self::Experts => &[
                "mlp.experts.0.gate_proj",
                "mlp.experts.0.down_proj",
                "block_sparse_moe.experts.0.w1",
                "feed_forward.experts.0.down_proj",
                "mixer.experts.0.up_proj",
                "experts.0.down_proj",
            ],
            Self::Shared => &[
                "mlp.shared_experts.down_proj",
                "mlp.shared_expert.down_proj",
                "feed_forward.shared_expert.down_proj",
                "mixer.shared_experts.up_proj",
                "shared_mlp.input_linear",
            ],
            Self::Logits => &["lm_head", "language_model.lm_head"],
        }
    }

    /// Whether a regular expression means such modules in the middle of the model.
    pub(super) fn is_matched(self, pattern: &str, layer: u32) -> bool {
        const FRONTS: [&str; 4] =
            ["model.layers", "language_model.model.layers", "model.language_model.layers", "backbone.layers"];
        let is_whole = self == Self::Logits;
        self.examples().iter().any(|name| {
            if is_whole {
                return regex_matches(pattern, name);
            }
            FRONTS.iter().any(|front| regex_matches(pattern, &alloc::format!("{front}.{layer}.{name}")))
        })
    }
}

/// What a name that is no regular expression is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meant {
    /// Of which kinds, by their places.
    pub(super) kinds: [bool; 5],
    /// In which layer; `None` for all.
    pub(super) layer: Option<u32>,
}

impl Meant {
    const fn only(kind: Kind, layer: Option<u32>) -> Self {
        let mut kinds = [false; 5];
        kinds[kind.place()] = true;
        Self { kinds, layer }
    }

    /// What `name` means: a module, a part of one, or the beginning of some with a star behind. Norms, routers, small gates
    /// and whatever stands outside the language model mean nothing here.
    pub(super) fn of(name: &str) -> Self {
        const NOTHING: [bool; 5] = [false; 5];
        let nothing = Self { kinds: NOTHING, layer: None };
        if ["vision", "visual", "audio", "mtp", "projector"].iter().any(|other| name.contains(other)) {
            return nothing;
        }
        let (layer, inside) = inside_layer(name);
        let inside = inside.trim_end_matches('*').trim_end_matches('.');
        if inside.is_empty() {
            let all = Self { kinds: [true, true, true, true, false], layer };
            return if layer.is_some() { all } else { nothing };
        }
        let parts = || inside.split('.').map(|part| part.trim_matches('*'));
        let last = parts().next_back().unwrap_or_default();
        if layer.is_none() && (last == "lm_head" || last == "head") {
            return Self::only(Kind::Logits, None);
        }
        if is_small(last) || parts().any(|part| part.starts_with("indexer")) {
            return nothing;
        }
        let has = |names: &[&str]| parts().any(|part| names.contains(&part));
        if has(&["shared_experts", "shared_expert", "share_expert", "shared_mlp"]) {
            Self::only(Kind::Shared, layer)
        } else if has(&["experts"]) {
            Self::only(Kind::Experts, layer)
        } else if has(&["self_attn", "attn", "attention", "linear_attn", "mamba", "short_conv", "conv"]) {
            Self::only(Kind::Mixer, layer)
        } else if has(&["mixer"]) {
            of_mixer(last, layer)
        } else if has(&["mlp", "feed_forward", "ffn", "block_sparse_moe", "moe"]) {
            of_mlp(last, layer)
        } else if is_matrix_of_mlp(last) {
            Self::only(Kind::Mlp, layer)
        } else if ["q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "in_proj", "out_proj"].contains(&last) {
            Self::only(Kind::Mixer, layer)
        } else {
            nothing
        }
    }
}

/// Nemotron-H calls whatever a layer has its mixer.
fn of_mixer(last: &str, layer: Option<u32>) -> Meant {
    if last == "mixer" {
        Meant { kinds: [true, true, true, true, false], layer }
    } else if is_matrix_of_mlp(last) {
        Meant::only(Kind::Mlp, layer)
    } else {
        Meant::only(Kind::Mixer, layer)
    }
}

fn of_mlp(last: &str, layer: Option<u32>) -> Meant {
    if is_matrix_of_mlp(last) {
        Meant::only(Kind::Mlp, layer)
    } else {
        Meant { kinds: [false, true, true, true, false], layer }
    }
}

fn is_matrix_of_mlp(last: &str) -> bool {
    ["gate_proj", "up_proj", "down_proj", "gate_up_proj", "w1", "w2", "w3", "fc1", "fc2"].contains(&last)
}

/// What is never quantised, or too small to matter.
fn is_small(last: &str) -> bool {
    const SMALL: [&str; 10] = [
        "gate",
        "router",
        "conv1d",
        "in_proj_a",
        "in_proj_b",
        "in_proj_ba",
        "shared_expert_gate",
        "e_score_correction_bias",
        "indexers_proj",
        "bias",
    ];
    last.contains("norm") || SMALL.contains(&last)
}

/// The number of the layer that a name stands in, and what stands behind it.
fn inside_layer(name: &str) -> (Option<u32>, &str) {
    let Some((_, behind)) = name.split_once("layers.") else { return (None, name) };
    let end = behind.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(behind.len());
    let (number, behind) = behind.split_at(end);
    let behind = behind.strip_prefix('.').unwrap_or(behind);
    match number.parse() {
        Ok(number) => (Some(number), behind),
        // A star in its place means all.
        Err(_) => (None, behind.trim_start_matches(['*', '.'])),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{Kind, Meant};

    #[track_caller]
    fn check(name: &str, kinds: &[Kind], layer: Option<u32>) {
        let meant = Meant::of(name);
        let found: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| meant.kinds[kind.place()]).collect();
        assert_eq!((found.as_slice(), meant.layer), (kinds, layer), "{name}");
    }

    #[test]
    fn names_of_published_files_mean_the_matrices_that_they_name() {
        let four = &[Kind::Mixer, Kind::Mlp, Kind::Experts, Kind::Shared];
        check("lm_head", &[Kind::Logits], None);
        check("language_model.lm_head", &[Kind::Logits], None);
        check("model.layers.61*", four, Some(61));
        check("model.layers.1.*", four, Some(1));
        check("model.layers.3.self_attn.q_a_proj", &[Kind::Mixer], Some(3));
        check("model.layers.3.self_attn*", &[Kind::Mixer], Some(3));
        check("model.layers.*.self_attn", &[Kind::Mixer], None);
        check("model.layers.3.self_attn.indexer*", &[], None);
        check("model.layers.3.mlp.gate", &[], None);
        check("gate", &[], None);
        check("model.layers.3.input_layernorm", &[], None);
        check("model.language_model.layers.0.mlp.shared_expert*", &[Kind::Shared], Some(0));
        check("model.language_model.layers.0.mlp*", &[Kind::Mlp, Kind::Experts, Kind::Shared], Some(0));
        check("*.mlp.shared_expert.*", &[Kind::Shared], None);
        check("backbone.layers.4.mixer.in_proj", &[Kind::Mixer], Some(4));
        check("backbone.layers.4.mixer.experts.17.up_proj", &[Kind::Experts], Some(4));
        check("backbone.layers.4.mixer.up_proj", &[Kind::Mlp], Some(4));
        check("model.visual*", &[], None);
        check("mtp.layers.0*", &[], None);
        check("self_attn", &[Kind::Mixer], None);
    }
}
