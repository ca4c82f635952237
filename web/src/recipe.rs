//! What the form says of model and GPU: all that a profile is composed of.

use sim_core::scenario::{DEFAULT_GPU, DEFAULT_MODEL, Scenario};

use crate::state::OwnFile;

/// What the worker calls the pack of the user's own.
pub(crate) const OWN_PACK: &str = "own";

/// The flags that decide about a profile, and the user's own model and GPU.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Recipe {
    flags: Vec<(String, Option<String>)>,
    pub(crate) model: Option<OwnFile>,
    pub(crate) gpu: Option<OwnFile>,
}

impl Recipe {
    /// That of a form.
    pub(crate) fn new(scenario: &Scenario, model: Option<OwnFile>, gpu: Option<OwnFile>) -> Self {
        let flags = scenario.composed_of().map(|(flag, value)| flag.written(value)).collect();
        Self { flags, model, gpu }
    }

    /// The flags, as [`Scenario::flags`] gives them.
    pub(crate) fn flags(&self) -> Vec<(String, Option<String>)> {
        self.flags.clone()
    }

    /// What it says of a flag.
    fn given(&self, flag: &str) -> Option<&str> {
        self.flags.iter().find(|(name, _)| name == flag).and_then(|(_, value)| value.as_deref())
    }

    /// Whether it says nothing: then the profile is the first visit's, which is there already.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it is these flags and no more.
    pub(crate) fn has_flags(&self, flags: &[(&str, String)]) -> bool {
        let is_own = |(name, value): &(String, Option<String>)| {
            flags.iter().any(|(flag, given)| flag == name && Some(given) == value.as_ref())
        };
        self.model.is_none() && self.gpu.is_none() && self.flags.len() == flags.len() && self.flags.iter().all(is_own)
    }

    /// Whether it is the same but for the number of GPUs.
    pub(crate) fn is_but_for_number(&self, other: &Self) -> bool {
        let rest = |recipe: &Self| {
            let is_rest = |flag: &&(String, Option<String>)| flag.0 != "tensor-parallel-size";
            recipe.flags.iter().filter(is_rest).cloned().collect::<Vec<_>>()
        };
        rest(self) == rest(other) && self.model == other.model && self.gpu == other.gpu
    }

    /// The model's name.
    pub(crate) fn model_name(&self) -> String {
        self.given("model").unwrap_or(DEFAULT_MODEL).to_owned()
    }

    /// What the worker calls the pack.
    pub(crate) fn pack_key(&self) -> String {
        if self.gpu.is_some() {
            return OWN_PACK.to_owned();
        }
        self.given("gpu").unwrap_or(DEFAULT_GPU).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use sim_core::scenario::Composition;

    fn recipe(flags: &[(&str, &str)]) -> Recipe {
        let flags = flags.iter().map(|&(flag, value)| (flag, Some(value)));
        Recipe::new(&Scenario::from_flags(flags).expect("known flags"), None, None)
    }

    #[test]
    fn a_workload_changes_nothing_of_it() {
        assert_eq!(recipe(&[("request-rate", "3"), ("max-num-seqs", "4")]), Recipe::default());
        assert_ne!(recipe(&[("tensor-parallel-size", "2")]), Recipe::default());
        assert_ne!(recipe(&[("kv-cache-dtype", "fp8")]), Recipe::default());
    }

    #[test]
    fn a_drafter_is_part_of_what_is_composed_and_asks_for_nothing_by_itself() {
        let drafter = ("speculative-config", r#"{"method": "ngram", "num_speculative_tokens": 3}"#);
        assert_eq!(recipe(&[drafter]), Recipe::default(), "the first visit's profile holds");
        let [with, without] = [recipe(&[("gpu", "l40s"), drafter]), recipe(&[("gpu", "l40s")])];
        assert_ne!(with, without);
        let drafters = [with, without].map(|recipe| composed(&recipe).map(|own| own.setup.drafter.is_some()));
        assert_eq!(drafters, [Some(true), Some(false)]);
    }

    fn composed(recipe: &Recipe) -> Option<Composition> {
        let flags = recipe.flags.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        Scenario::from_flags(flags).expect("known flags").composition()
    }

    #[test]
    fn model_and_gpu_are_those_that_are_composed() {
        for flags in [&[("model", "a/b")][..], &[("gpu", "l40s"), ("model", "c")], &[("tensor-parallel-size", "2")]] {
            let recipe = recipe(flags);
            let composed = composed(&recipe).expect("something to compose");
            assert_eq!(recipe.model_name(), composed.model_name(), "{flags:?}");
            assert_eq!(recipe.pack_key(), composed.gpu_key(), "{flags:?}");
        }
        let default = Recipe::default();
        assert_eq!([default.model_name(), default.pack_key()], [DEFAULT_MODEL, DEFAULT_GPU]);
    }
}
