//! The packs that were given, and what is composed of them.

use std::collections::BTreeMap;

use sim_core::answers::recommend::Exclusion;
use sim_core::answers::recommend::exclusion::Kind;
use sim_core::config::ConfigError;
use sim_core::models::catalogue::Catalogue;
use sim_core::operators::transfer::Transferred;
use sim_core::operators::{Pack, gpu_table, transfer};
use sim_core::scenario::{Composed, Composition, Scenario, ScenarioError};

/// What a profile is composed of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recipe {
    /// A scenario's flags.
    pub(crate) flags: Vec<(String, Option<String>)>,
    /// What the model is called, if not as the flags say.
    pub(crate) model: String,
    /// Its `config.json`.
    pub(crate) config: Vec<u8>,
    /// The pack, as it was called when it was given.
    pub(crate) pack: String,
}

/// A profile that was composed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) file: Vec<u8>,
    /// As [`Composed::is_of_lockstep`].
    pub(crate) is_of_lockstep: bool,
}

/// What composes: [`Composition::compose`] or [`Composition::compose_rank`].
type Composing = fn(&Composition, &Catalogue, Option<&[u8]>, &Pack) -> Result<Composed, ScenarioError>;

/// A GPU's operators.
#[derive(Debug)]
enum Kept {
    Measured(Pack),
    /// Moved from another GPU.
    Moved(Transferred),
}

/// GPUs' operators by the page's names for them.
#[derive(Debug, Default)]
pub(crate) struct Packs {
    packs: BTreeMap<String, Kept>,
}

impl Packs {
    /// Keeps a pack; returns the GPU's name.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn keep(&mut self, key: &str, content: &[u8]) -> Result<String, String> {
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let pack = Pack::from_json(content).map_err(|error| error.to_string())?;
        let label = pack.gpu.label.clone();
        let unmeasured = gpu_table::find(key).filter(|gpu| gpu.key != pack.gpu.key);
        let kept = match unmeasured {
            Some(gpu) => Kept::Moved(transfer(&pack, &gpu)),
            None => Kept::Measured(pack),
        };
        self.packs.insert(key.to_owned(), kept);
        Ok(label)
    }

    /// A profile, for who simulates one engine.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn compose(&self, recipe: &Recipe) -> Result<Made, Exclusion> {
        self.made(recipe, Composition::compose)
    }

    /// A profile, for who simulates all data-parallel ranks.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn compose_rank(&self, recipe: &Recipe) -> Result<Made, Exclusion> {
        self.made(recipe, Composition::compose_rank)
    }

    fn made(&self, recipe: &Recipe, compose: Composing) -> Result<Made, Exclusion> {
        let (_, composed) = self.composed(recipe, compose).map_err(|error| Exclusion::from(&error))?;
        let Composed { profile, name, is_of_lockstep, .. } = composed;
        let file = profile.to_json();
        let file = file.map_err(|error| Exclusion { kind: Kind::Refused, why: error.to_string() })?;
        Ok(Made { name, file: file.into_bytes(), is_of_lockstep })
    }

    /// Why vLLM would not start, and whether that is for want of memory.
    pub(crate) fn fit(&self, recipe: &Recipe) -> (String, bool) {
        let composed = self.composed(recipe, Composition::compose_rank);
        let engine = composed.and_then(|(scenario, composed)| scenario.resolve(&composed.profile));
        let Err(error) = engine else { return (String::new(), false) };
        let is_too_small = matches!(
            error,
            ScenarioError::Config(
                ConfigError::NoKvCacheMemory { .. }
                    | ConfigError::KvCacheTooSmall { .. }
                    | ConfigError::NothingFits { .. }
            )
        );
        (error.to_string(), is_too_small)
    }

    fn composed(&self, recipe: &Recipe, compose: Composing) -> Result<(Scenario, Composed), ScenarioError> {
        let flags = recipe.flags.iter().map(|(flag, value)| (flag.as_str(), value.as_deref()));
        let mut scenario = Scenario::from_flags(flags)?;
        if !recipe.model.is_empty() {
            scenario.set("model", Some(&recipe.model))?;
        }
        let mut asked = scenario.clone();
        if asked.get("tensor-parallel-size").is_none() {
            // What holds anyway: so that there is something to compose.
            asked.set("tensor-parallel-size", Some("1"))?;
        }
        let kept = self.packs.get(&recipe.pack);
        let (Some(composition), Some(kept)) = (asked.composition(), kept) else {
            let why = "its operators are not there";
            return Err(ScenarioError::NotComposed { flag: "gpu", value: recipe.pack.clone(), why });
        };
        let pack = match kept {
            Kept::Measured(pack) => pack,
            Kept::Moved(moved) => &moved.pack,
        };
        let mut composed = compose(&composition, &Catalogue::default(), Some(&recipe.config), pack)?;
        if let Kept::Moved(moved) = kept {
            moved.mark(&mut composed.profile);
        }
        Ok((scenario, composed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::profile::Profile;
    use sim_core::profile::schema::ProvenanceKind;

    const H100: &[u8] = include_bytes!("../../../www/packs/h100-sxm.json");
    const MODELS: &[u8] = include_bytes!("../../../www/models.json");

    fn packs() -> Packs {
        let mut packs = Packs::default();
        assert_eq!(packs.keep("h100-sxm", H100).as_deref(), Ok("H100 SXM"));
        packs
    }

    fn recipe(pack: &str, flags: &[(&str, &str)]) -> Recipe {
        let models = Catalogue::from_json(MODELS).expect("the site's list");
        let name = flags.iter().find(|(flag, _)| *flag == "model").map_or("meta-llama/Llama-3.1-8B", |(_, name)| name);
        let flags = flags.iter().map(|&(flag, value)| (flag.to_owned(), Some(value.to_owned()))).collect();
        let config = models.find(name).expect("a model of the list").config_json();
        Recipe { flags, model: String::new(), config, pack: pack.to_owned() }
    }

    #[test]
    fn a_model_is_composed_and_called_by_what_it_is() {
        let made =
            packs().compose(&recipe("h100-sxm", &[("model", "Qwen/Qwen3-32B"), ("tp", "2")])).expect("a profile");
        assert_eq!(made.name, "h100-sxm_Qwen3-32B_bf16_tp2");
        assert_eq!(Profile::from_json(&made.file).expect("a profile").model.name, "Qwen/Qwen3-32B");
    }

    #[test]
    fn ranks_of_a_dense_model_stand_alone_where_all_are_simulated_and_are_refused_where_one_is() {
        let packs = packs();
        let dense = recipe("h100-sxm", &[("model", "Qwen/Qwen3-8B"), ("data-parallel-size", "4")]);
        let alone = packs.compose(&recipe("h100-sxm", &[("model", "Qwen/Qwen3-8B")])).expect("a profile");
        assert_eq!(packs.compose_rank(&dense), Ok(alone), "each is as an engine alone");
        assert!(packs.compose(&dense).is_err_and(|exclusion| exclusion.why.contains("--data-parallel-size")));
        assert_eq!(packs.fit(&dense), (String::new(), false));
        let experts = recipe("h100-sxm", &[("model", "Qwen/Qwen3-30B-A3B"), ("data-parallel-size", "2")]);
        let [one, all] = [packs.compose(&experts), packs.compose_rank(&experts)];
        assert!(one.as_ref().is_ok_and(|made| made.is_of_lockstep) && one == all, "{one:?}");
    }

    #[test]
    fn what_does_not_fit_is_told_as_such() {
        let packs = packs();
        let small = packs.fit(&recipe("h100-sxm", &[("model", "meta-llama/Llama-3.3-70B-Instruct")]));
        assert!(small.1 && small.0.contains("KV cache"), "{small:?}");
        assert_eq!(packs.fit(&recipe("h100-sxm", &[("model", "Qwen/Qwen3-8B")])), (String::new(), false));
        let odd = packs.fit(&recipe("h100-sxm", &[("model", "Qwen/Qwen3-8B"), ("tp", "3")]));
        assert!(!odd.1 && odd.0.contains("3 ranks"), "{odd:?}");
    }

    #[test]
    fn a_gpu_that_nobody_measured_is_moved_and_says_so() {
        let mut packs = packs();
        packs.keep("h100-pcie", H100).expect("moved");
        let Made { name, file, .. } = packs.compose(&recipe("h100-pcie", &[])).expect("a profile");
        assert!(name.starts_with("h100-pcie_"), "{name}");
        assert_eq!(Profile::from_json(&file).expect("a profile").provenance.kind, ProvenanceKind::Estimated);
    }

    #[test]
    fn without_its_pack_nothing_is_composed() {
        assert!(packs().compose(&recipe("l40s", &[])).is_err());
    }
}
