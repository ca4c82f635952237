//! What is recommended, against the whole search for every candidate.

use std::collections::BTreeMap;

use sim_core::answers::capacity::{Asked, LoadKind, Search, Trial};
use sim_core::answers::recommend::entry::Role;
use sim_core::answers::recommend::figures::Hardware;
use sim_core::answers::recommend::{
    Axis, Done, Engine, Entry, Exclusion, Job, JobKind, Objective, Plan, Recommend, Space,
};
use sim_core::models::catalogue::Catalogue;
use sim_core::operators::Pack;
use sim_core::profile::Profile;
use sim_core::rng::Pcg64;
use sim_core::scenario::{DEFAULT_GPU, Scenario};

const PACKS: [(&str, &[u8], f64); 2] = [
    ("h100-sxm", include_bytes!("../../../www/packs/h100-sxm.json"), 6.0),
    ("l40s", include_bytes!("../../../www/packs/l40s.json"), 2.0),
];
const MODELS: &[u8] = include_bytes!("../../../www/models.json");
/// Grids that are tried; `RECOMMEND_CONFIGURATIONS` asks for more.
const NUM_CONFIGURATIONS: u64 = 1;
/// What is lost at most by not searching every candidate to the end, as a share.
const MOST_LOST: f64 = 0.02;
const SEEDS: u32 = 2;

/// Composed profiles by what they are composed of.
#[derive(Default)]
struct Engines {
    profiles: Vec<Profile>,
    places: BTreeMap<String, Result<usize, Exclusion>>,
}

impl Engines {
    fn of(&mut self, scenario: &Scenario) -> Result<Engine, Exclusion> {
        let composed_of =
            ["gpu", "tensor-parallel-size", "quantization", "kv-cache-dtype"].map(|flag| scenario.get(flag));
        let key = format!("{composed_of:?}");
        // Compared with the base, the best may be on the GPU of which nothing is said.
        let gpu = composed_of[0].unwrap_or(DEFAULT_GPU);
        let (_, pack, usd) = *PACKS.iter().find(|(key, ..)| *key == gpu).expect("a pack");
        if !self.places.contains_key(&key) {
            let catalogue = Catalogue::from_json(MODELS).expect("the list");
            let composition = scenario.composition().expect("a model");
            let composed = composition.compose(&catalogue, None, &Pack::from_json(pack).expect("a pack"));
            let place = composed.map(|composed| self.profiles.push(composed.profile)).map(|()| self.profiles.len() - 1);
            self.places.insert(key.clone(), place.map_err(|error| Exclusion::from(&error)));
        }
        let profile = self.places[&key].clone()?;
        let config = scenario.resolve(&self.profiles[profile]).map_err(|error| Exclusion::from(&error))?.config;
        let num_gpus = self.profiles[profile].hardware.num_devices;
        Ok(Engine { profile, hardware: Hardware { num_gpus, usd_per_gpu_hour: Some(usd) }, config })
    }

    fn run(&self, entry: &Entry, job: Job) -> Done {
        let mut scenario = entry.candidate.scenario.clone();
        if let JobKind::Trial { num_prompts, .. } = job.kind {
            scenario.set("num-prompts", Some(&num_prompts.to_string())).expect("a number");
        }
        let profile = &self.profiles[entry.engine.as_ref().expect("known").profile];
        let asked = Asked { scenario: &scenario, profile, dataset: None, kind: LoadKind::Rate };
        match job.kind {
            JobKind::Saturated { seed } => asked.saturated(seed, None).map(Done::Rate),
            JobKind::Trial { load, seed, .. } => asked.run(load, seed, None).map(|trial| Done::Trial(Box::new(trial))),
        }
        .unwrap_or_else(|error| Done::Excluded(Exclusion::from(&error)))
    }

    /// What an entry carries, searched to the end.
    fn capacity(&self, entry: &Entry) -> f64 {
        let profile = &self.profiles[entry.engine.as_ref().expect("known").profile];
        let asked = Asked { scenario: &entry.candidate.scenario, profile, dataset: None, kind: LoadKind::Rate };
        let Ok(saturated) = asked.saturated(0, None) else { return 0.0 };
        let mut search = Search::new(LoadKind::Rate, 0.99, saturated);
        while !search.wanted().is_empty() {
            let trials =
                |load: f64| -> Vec<Trial> { (0..SEEDS).filter_map(|seed| asked.run(load, seed, None).ok()).collect() };
            let tried: Vec<(f64, Vec<Trial>)> = search.wanted().iter().map(|&load| (load, trials(load))).collect();
            search.take(tried);
        }
        search.answer().capacity.unwrap_or(0.0)
    }
}

/// Another workload and objective for every number.
fn base(number: u64) -> Scenario {
    let mut draw = Pcg64::stream(number, "recommend");
    let mut pick = |choices: &[&str]| {
        let last = u32::try_from(choices.len() - 1).expect("few");
        choices[draw.integers(0, last) as usize].to_owned()
    };
    let flags = [
        ("model", "meta-llama/Llama-3.1-8B".to_owned()),
        ("num-prompts", "600".to_owned()),
        ("max-model-len", "8192".to_owned()),
        ("random-input-len", pick(&["128", "512", "1024", "3000"])),
        ("random-output-len", pick(&["16", "64", "200"])),
        ("random-range-ratio", pick(&["0", "0.5"])),
        ("goodput", pick(&["ttft:500", "tpot:20", "ttft:1000 tpot:40", "e2el:6000"])),
    ];
    Scenario::from_flags(flags.iter().map(|(flag, value)| (*flag, Some(value.as_str())))).expect("flags")
}

fn axis(flag: &str, values: &[Option<&str>]) -> Axis {
    Axis { flag: flag.into(), values: values.iter().map(|value| value.map(Into::into)).collect() }
}

/// 64 candidates, of which many are near each other.
fn space(base: &Scenario) -> Space {
    let vary = [
        axis("gpu", &[Some("h100-sxm"), Some("l40s")]),
        axis("tensor-parallel-size", &[Some("1"), Some("2")]),
        axis("quantization", &[None, Some("fp8")]),
        axis("kv-cache-dtype", &[None]),
        axis("max-num-seqs", &[None, Some("32"), Some("128"), Some("192")]),
        axis("max-num-batched-tokens", &[Some("2048"), Some("8192")]),
    ];
    Space::new(base, &vary, 2).expect("few")
}

fn recommend(engines: &mut Engines, base: &Scenario) -> Recommend {
    let plan = Plan {
        objective: Objective::Cost,
        kind: LoadKind::Rate,
        has_goodput: true,
        required_share: 0.99,
        demand: None,
        num_gpus: 2,
        first_seed: 0,
        num_seeds: SEEDS,
        num_prompts: 600,
    };
    let mut recommend = Recommend::new(plan, space(base)).expect("flags");
    loop {
        let unknown = recommend.unknown();
        if !unknown.is_empty() {
            let found = unknown.iter().map(|&place| engines.of(&recommend.entries()[place].candidate.scenario));
            let found: Vec<_> = found.collect();
            recommend.know(found);
        } else if recommend.wanted().is_empty() {
            return recommend;
        } else {
            let run = |job: &Job| engines.run(&recommend.entries()[job.candidate], *job);
            let done = recommend.wanted().iter().map(run).collect();
            recommend.take(done);
        }
    }
}

#[test]
fn halving_keeps_what_the_whole_search_of_every_candidate_finds() {
    let asked_for = std::env::var("RECOMMEND_CONFIGURATIONS").ok().and_then(|text| text.parse().ok());
    let num_configurations = asked_for.unwrap_or(NUM_CONFIGURATIONS);
    let mut num_answered = 0;
    for number in 0..num_configurations {
        let (mut engines, base) = (Engines::default(), base(number));
        let recommend = recommend(&mut engines, &base);
        let Some(&best) = recommend.ranked().first() else { continue };
        let per_dollar = |entry: &Entry, capacity: f64| {
            let hardware = entry.engine.as_ref().expect("known").hardware;
            capacity / f64::from(hardware.num_gpus) / hardware.usd_per_gpu_hour.expect("a price")
        };
        let grid = recommend.entries().iter().filter(|entry| entry.role == Role::Grid && entry.excluded.is_none());
        let all: Vec<f64> = grid.map(|entry| per_dollar(entry, engines.capacity(entry))).collect();
        let most = all.iter().copied().fold(0.0, f64::max);
        let own = &recommend.entries()[best];
        let own = per_dollar(own, own.answer.as_ref().and_then(|answer| answer.capacity).expect("it is ranked"));
        let lost = 1.0 - own / most;
        println!(
            "{number}: {own:.4} of {most:.4} a dollar, {lost:+.4} lost, {} candidates, {:?}",
            all.len(),
            base.flags()
        );
        assert!(lost <= MOST_LOST, "{number}: {own} instead of {most}");
        num_answered += 1;
    }
    assert!(3 * num_answered >= 2 * num_configurations, "{num_answered} configurations have an answer");
}
