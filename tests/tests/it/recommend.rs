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
const NUM_CONFIGURATIONS: u64 = 20;
/// What is lost at most by not searching every candidate to the end, as a share.
const MOST_LOST: f64 = 0.02;
/// What is lost at most by taking the simplest of a tie, with so few requests and seeds.
const MOST_FOR_SIMPLICITY: f64 = 0.06;
/// The share of the grids of which the very best is among those searched to the end.
const FOUND: f64 = 0.8;
const SEEDS: u32 = 2;
/// Few, as every candidate is searched to the end; a cheap round differs from that by its loads and seeds.
const NUM_PROMPTS: u32 = 150;

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

    /// The most that any of `entries` carries by `worth` of a request a second, each searched to the end but where not
    /// even what its engine answers at most would be more: a search never finds more than that.
    fn most(&self, entries: &[&Entry], worth: impl Fn(&Entry) -> f64) -> f64 {
        let asked = |entry: &&Entry| {
            let profile = self.profiles[entry.engine.as_ref().expect("known").profile].clone();
            (profile, entry.candidate.scenario.clone(), worth(entry))
        };
        let mut bounds: Vec<(f64, f64, Profile, Scenario)> = vec![];
        for (profile, scenario, worth) in entries.iter().map(asked) {
            let asked = Asked { scenario: &scenario, profile: &profile, dataset: None, kind: LoadKind::Rate };
            let Ok(saturated) = asked.saturated(0, None) else { continue };
            bounds.push((saturated, worth, profile, scenario));
        }
        bounds.sort_by(|a, b| (b.0 * b.1).total_cmp(&(a.0 * a.1)));
        let mut most = 0.0_f64;
        for (saturated, worth, profile, scenario) in &bounds {
            if saturated * worth > most {
                let asked = Asked { scenario, profile, dataset: None, kind: LoadKind::Rate };
                most = most.max(worth * searched(&asked, *saturated));
            }
        }
        most
    }
}

/// What is carried, searched to the end.
fn searched(asked: &Asked<'_>, saturated: f64) -> f64 {
    let mut search = Search::new(LoadKind::Rate, 0.99, saturated);
    while !search.wanted().is_empty() {
        let trials =
            |load: f64| -> Vec<Trial> { (0..SEEDS).filter_map(|seed| asked.run(load, seed, None).ok()).collect() };
        let tried: Vec<(f64, Vec<Trial>)> = search.wanted().iter().map(|&load| (load, trials(load))).collect();
        search.take(tried);
    }
    search.answer().capacity.unwrap_or(0.0)
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
        ("num-prompts", NUM_PROMPTS.to_string()),
        ("max-model-len", "8192".to_owned()),
        ("random-input-len", pick(&["128", "512", "1024", "3000"])),
        ("random-output-len", pick(&["4", "16", "32"])),
        ("random-range-ratio", pick(&["0", "0.5"])),
        ("goodput", pick(&["ttft:500", "tpot:20", "ttft:1000 tpot:40", "e2el:3000"])),
    ];
    Scenario::from_flags(flags.iter().map(|(flag, value)| (*flag, Some(value.as_str())))).expect("flags")
}

fn axis(flag: &str, values: &[Option<&str>]) -> Axis {
    Axis { flag: flag.into(), values: values.iter().map(|value| value.map(Into::into)).collect() }
}

/// 32 candidates, more than survive a round, of which many are near each other; other ones for every number.
fn space(base: &Scenario, number: u64) -> Space {
    const PLACES: [[Option<&str>; 2]; 3] = [[None, Some("32")], [Some("64"), Some("192")], [Some("16"), Some("128")]];
    const BUDGETS: [[Option<&str>; 2]; 2] = [[None, Some("2048")], [Some("1024"), Some("4096")]];
    let vary = [
        axis("gpu", &[Some("h100-sxm"), Some("l40s")]),
        axis("tensor-parallel-size", &[Some("1"), Some("2")]),
        axis("quantization", &[None, Some("fp8")]),
        axis("kv-cache-dtype", &[None]),
        axis("max-num-seqs", &PLACES[(number % 3) as usize]),
        axis("max-num-batched-tokens", &BUDGETS[(number % 2) as usize]),
    ];
    Space::new(base, &vary, 2).expect("few")
}

fn recommend(engines: &mut Engines, base: &Scenario, number: u64) -> Recommend {
    let plan = Plan {
        objective: Objective::Cost,
        kind: LoadKind::Rate,
        has_goodput: true,
        required_share: 0.99,
        demand: None,
        num_gpus: 2,
        first_seed: 0,
        num_seeds: SEEDS,
        num_prompts: NUM_PROMPTS,
    };
    let mut recommend = Recommend::new(plan, space(base, number)).expect("flags");
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

/// A grid, against the whole search of every candidate.
struct Held {
    /// What is lost by not searching every candidate to the end.
    by_halving: f64,
    /// What is lost by recommending a simpler setup of a tie.
    by_simplicity: f64,
}

/// `None` if nothing is recommended.
#[expect(clippy::print_stdout, reason = "how near each grid came, for whoever asks with --no-capture")]
fn held(number: u64) -> Option<Held> {
    let (mut engines, base) = (Engines::default(), base(number));
    let recommend = recommend(&mut engines, &base, number);
    let worth = |entry: &Entry| {
        let hardware = entry.engine.as_ref().expect("known").hardware;
        1.0 / f64::from(hardware.num_gpus) / hardware.usd_per_gpu_hour.expect("a price")
    };
    let value = |place: &usize| {
        let entry = &recommend.entries()[*place];
        worth(entry) * entry.answer.as_ref().and_then(|answer| answer.capacity).expect("it is ranked")
    };
    let ranked = recommend.ranked();
    let (own, found) = (value(ranked.first()?), ranked.iter().map(value).fold(0.0, f64::max));
    let grid = recommend.entries().iter().filter(|entry| entry.role == Role::Grid && entry.excluded.is_none());
    let grid: Vec<&Entry> = grid.collect();
    let most = engines.most(&grid, worth);
    println!(
        "{number}: {own:.4}, found {found:.4} of {most:.4} a dollar, {} candidates, {:?}",
        grid.len(),
        base.flags()
    );
    if own < found {
        let best = ranked.iter().max_by(|a, b| value(a).total_cmp(&value(b))).expect("some");
        let num_flags = |place: &usize| recommend.entries()[*place].name().matches("--").count();
        assert!(num_flags(&ranked[0]) <= num_flags(best), "{number}: what is worth less is simpler");
    }
    Some(Held { by_halving: 1.0 - found / most, by_simplicity: 1.0 - own / found })
}

#[track_caller]
#[expect(clippy::print_stdout, reason = "how near all came, likewise")]
fn check(numbers: impl Iterator<Item = u64>) {
    let numbers: Vec<u64> = numbers.collect();
    let held: Vec<Held> = numbers.iter().filter_map(|&number| held(number)).collect();
    let told = |lost: &dyn Fn(&Held) -> f64| {
        let sum: f64 = held.iter().map(lost).sum();
        let num_none = held.iter().filter(|held| lost(held) <= 0.0).count();
        let most = held.iter().map(lost).fold(0.0, f64::max);
        println!(
            "nothing lost in {num_none} of {}; {:.5} in the mean, {most:.5} at most",
            held.len(),
            sum / held.len() as f64
        );
        (num_none as f64 / held.len() as f64, most)
    };
    let (share_found, most) = told(&|held| held.by_halving);
    assert!(most <= MOST_LOST && share_found >= FOUND, "halving loses {most}; the best of {share_found} is found");
    let (_, most) = told(&|held| held.by_simplicity);
    assert!(most <= MOST_FOR_SIMPLICITY, "simplicity costs {most}");
    assert!(3 * held.len() >= 2 * numbers.len(), "{} of {} grids have an answer", held.len(), numbers.len());
}

fn num_configurations() -> u64 {
    let asked_for = std::env::var("RECOMMEND_CONFIGURATIONS").ok().and_then(|text| text.parse().ok());
    asked_for.unwrap_or(NUM_CONFIGURATIONS)
}

// Two tests, as there are two cores.
#[test]
fn halving_keeps_what_the_whole_search_of_every_candidate_finds() {
    check((0..num_configurations()).step_by(2));
}

#[test]
fn halving_keeps_what_the_whole_search_finds_of_the_other_grids() {
    check((1..num_configurations()).step_by(2));
}
