//! Several engines in the worker, against the simulator asked directly.

use sim_core::answers::recommend::splits::AskedOfEngines;
use sim_core::fleet::RouterFigures;
use sim_core::fleet::router::Policy;
use sim_core::fleet::simulation::Replica;
use sim_core::profile::Profile;
use sim_core::scenario::{Engines, FleetArgs, Prepared, Scenario, prepare_fleet};
use sim_core::simulator::SimulationOptions;

use super::session::{Host, Session};
use crate::answer::Answer;
use crate::detail::GanttWindow;
use crate::fleet_answer::{FleetAnswer, FleetKind, RouterRow};
use crate::protocol::{Asked, ExportKind, Reply, Request, RunInput, Tried, Trying};

const PROFILE: &[u8] = include_bytes!("../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

/// Nobody looks.
struct Nobody;

impl Host for Nobody {
    fn now_ms(&self) -> f64 {
        0.0
    }
    fn wall_clock_ms(&self) -> u64 {
        0
    }
    fn progress(&mut self, _: u32, _: u32, _: f64) {}
}

type Flags<'a> = &'a [(&'a str, &'a str)];

const FOUR: Flags<'_> = &[
    ("num-prompts", "200"),
    ("request-rate", "40"),
    ("dataset-name", "prefix_repetition"),
    ("max-num-seqs", "16"),
    ("replicas", "4"),
    ("router", "random"),
];

fn input(flags: Flags<'_>) -> RunInput {
    RunInput {
        flags: flags.iter().map(|&(flag, value)| (flag.to_owned(), Some(value.to_owned()))).collect(),
        profile_name: "h100".to_owned(),
        profile: PROFILE.to_vec(),
        is_of_lockstep: false,
        dataset: None,
    }
}

fn asked(session: &mut Session, request: Request) -> Result<Reply, String> {
    match session.handle(request, &mut Nobody) {
        Reply::Fault { message, .. } => Err(message),
        reply => Ok(reply),
    }
}

fn run(session: &mut Session, flags: Flags<'_>) -> Result<Answer, String> {
    match asked(session, Request::Run { id: 1, input: input(flags) })? {
        Reply::Answer { answer, .. } => Ok(*answer),
        other => panic!("{other:?}"),
    }
}

fn fleet(flags: Flags<'_>) -> (Answer, FleetAnswer) {
    let answer = run(&mut Session::default(), flags).expect("a run");
    let fleet = answer.fleet.clone().expect("several engines");
    (answer, fleet)
}

/// What comes of `router`, without a worker.
fn directly(flags: Flags<'_>, router: Policy) -> RouterFigures {
    let profile = Profile::from_json(PROFILE).expect("the shipped profile");
    let scenario = Scenario::from_flags(flags.iter().map(|&(flag, value)| (flag, Some(value)))).expect("known flags");
    let Prepared { engine, workload, step_time, .. } = prepare_fleet(&scenario, &profile, None, None).expect("a run");
    let Engines::Replicas(args, life, ranks) = scenario.engines(true).expect("engines") else { panic!("no replicas") };
    let replica = Replica { config: &engine.config, step_time: &step_time };
    let args = FleetArgs { router, ..args };
    let mut fleet = args
        .simulation((&life, ranks), (&workload, replica), scenario.fleet_seed(), SimulationOptions::default())
        .expect("a run");
    while fleet.advance() {}
    RouterFigures::new(router, &fleet.finish())
}

#[test]
fn a_fleet_of_one_is_the_engine_alone() {
    let alone = run(&mut Session::default(), &FOUR[..4]).expect("a run");
    let one = run(&mut Session::default(), &[FOUR[0], FOUR[1], FOUR[2], FOUR[3], ("replicas", "1")]).expect("a run");
    assert_eq!((one.fleet, &one.digest), (None, &alone.digest));
    // One engine behind a router that has nothing to choose, with its own record of what happened.
    let (scaled, fleet) = fleet(&[FOUR[0], FOUR[1], FOUR[2], FOUR[3], ("replica-fails", "0@9000..9001")]);
    assert_eq!((scaled.digest, fleet.engines.len()), (alone.digest, 1));
    let (series, own) = (&alone.series.running, &fleet.engines[0].series.running);
    let most = |points: &[(f64, f64, f64, f64)]| points.iter().map(|point| point.3).fold(0.0, f64::max);
    assert!((most(series) - most(own)).abs() < 1e-9, "its part of the recording is the whole");
    assert!((alone.verdict.waiting_share - scaled.verdict.waiting_share).abs() < 1e-9, "and so is what limits it");
}

#[test]
fn the_answer_is_of_the_very_fleet_and_of_each_of_its_engines() {
    let (answer, fleet) = fleet(FOUR);
    let expect = directly(FOUR, Policy::Random);
    assert_eq!(answer.digest, format!("{:016x}", expect.digest));
    assert_eq!((fleet.kind, fleet.router.as_str(), fleet.engines.len()), (FleetKind::Replicas, "random", 4));
    let sum: u64 = fleet.engines.iter().map(|engine| engine.num_requests).sum();
    assert_eq!(sum, 200, "each request is one engine's");
    let most = fleet.engines.iter().map(|engine| engine.num_requests).max().expect("four");
    let imbalance = fleet.imbalances.iter().find(|(name, _)| name == "requests").expect("of requests").1;
    assert!((imbalance - f64::from(u32::try_from(most).expect("few")) / 50.0).abs() < 1e-9, "{imbalance}");
    for engine in &fleet.engines {
        assert!(engine.ttft[0] > 0.0 && engine.ttft[0] <= engine.ttft[1], "{engine:?}");
        assert!(engine.busy > 0.0 && engine.busy <= 1.0, "{}: {}", engine.name, engine.busy);
        let peak = engine.series.kv_cache_usage.iter().map(|point| point.3).fold(0.0, f64::max);
        assert!((peak - engine.kv_cache_usage[1]).abs() < 1e-6, "{}: {peak}", engine.name);
        assert!(engine.series.running.iter().all(|point| point.3 <= 16.0), "{}: max_num_seqs", engine.name);
    }
    assert!(answer.series.running.is_empty(), "nobody's passes after each other are one engine's");
}

#[test]
fn a_stretch_is_one_engines_and_its_requests_go_by_their_numbers() {
    let mut session = Session::default();
    run(&mut session, FOUR).expect("a run");
    let window = |session: &mut Session, engine| -> Result<GanttWindow, String> {
        let request = Request::Gantt { id: 2, range: None, width: 800, max_requests: 1_000, engine };
        asked(session, request).map(|reply| match reply {
            Reply::Gantt { window, .. } => *window,
            other => panic!("{other:?}"),
        })
    };
    let mut seen = Vec::new();
    for engine in 0..4 {
        let window = window(&mut session, engine).expect("a stretch");
        assert!(window.passes.windows(2).all(|pair| pair[0].start <= pair[1].start), "in order");
        seen.extend(window.requests.iter().map(|request| request.0));
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert!(count > 20 && seen.len() == count, "no request is two engines'");
    assert!(window(&mut session, 4).is_err_and(|why| why.contains("no such engine")), "there are four");
}

#[test]
fn the_file_of_the_engines_is_that_of_the_command_line() {
    let mut session = Session::default();
    let export = |session: &mut Session, kind| {
        let request = Request::Export { id: 3, kind, date: "20260102-030405".to_owned(), range: None };
        asked(session, request).map(|reply| match reply {
            Reply::Export { content, .. } => String::from_utf8(content).expect("a text"),
            other => panic!("{other:?}"),
        })
    };
    run(&mut session, &FOUR[..4]).expect("a run");
    assert!(
        export(&mut session, ExportKind::EnginesJson).is_err_and(|why| why.contains("--replicas")),
        "of one engine"
    );
    run(&mut session, FOUR).expect("a run");
    let json: serde_json::Value =
        serde_json::from_str(&export(&mut session, ExportKind::EnginesJson).expect("a file")).expect("JSON");
    assert_eq!((json["router"].as_str(), json["replicas"].as_array().map(Vec::len)), (Some("random"), Some(4)));
    let trace = export(&mut session, ExportKind::ChromeTrace);
    assert!(trace.is_err_and(|why| why.contains("one engine")), "a trace of several");
    let detailed = export(&mut session, ExportKind::BenchJsonDetailed).expect("made again");
    assert!(detailed.contains("\"itls\""), "with times of tokens");
}

#[test]
fn each_router_comes_to_what_its_own_run_does() {
    let mut session = Session::default();
    let kind = sim_core::answers::capacity::LoadKind::Rate;
    let routed = |session: &mut Session, flags, place| -> Result<RouterRow, String> {
        let asked_of = Some(Asked { input: input(flags), kind });
        let request = Request::Try { id: 4, setup: 9, asked: asked_of, trying: Trying::Router { place } };
        asked(session, request).map(|reply| match reply {
            Reply::Tried { tried: Tried::Routed(row), .. } => *row,
            other => panic!("{other:?}"),
        })
    };
    for (place, router) in (0..).zip(Policy::ALL) {
        let (row, expect) = (routed(&mut session, FOUR, place).expect("a run"), directly(FOUR, router));
        assert_eq!((row.router.as_str(), row.digest), (router.name(), format!("{:016x}", expect.digest)));
        assert_eq!((row.ttft, row.imbalance), (expect.latencies.ttft, expect.imbalance), "{}", router.name());
    }
    let alone = run(&mut session, FOUR).expect("a run");
    let row = routed(&mut session, FOUR, 1).expect("random's");
    assert!((row.request_throughput - alone.totals.request_throughput).abs() < 1e-9, "as the tiles have it");
    assert!(routed(&mut session, &FOUR[..4], 0).is_err_and(|why| why.contains("--replicas")), "nothing to choose from");
    assert!(routed(&mut session, FOUR, 99).is_err(), "no such router");
}

#[test]
fn both_roles_have_their_engines_and_those_that_answer_are_drawn() {
    let (answer, fleet) = fleet(&[FOUR[0], FOUR[1], FOUR[2], ("prefill-replicas", "1"), ("decode-replicas", "2")]);
    assert_eq!(fleet.kind, FleetKind::Roles);
    let names: Vec<_> = fleet.engines.iter().map(|engine| engine.name.as_str()).collect();
    assert_eq!(names, ["prefill 0", "decode 0", "decode 1"]);
    let prefill = &fleet.engines[0];
    assert!(prefill.tpot.is_none() && prefill.series.running.is_empty() && prefill.num_requests == 200, "{prefill:?}");
    assert!(fleet.engines[1..].iter().all(|engine| !engine.series.running.is_empty()), "they answer");
    assert!(fleet.notes.iter().any(|note| note.contains("KV transfers: 200")), "{:?}", fleet.notes);
    assert_eq!(answer.num_finished, 200);
}

#[test]
fn runs_of_many_on_all_engines_are_those_of_the_command_line() {
    let profile = Profile::from_json(PROFILE).expect("a profile");
    let kind = sim_core::answers::capacity::LoadKind::Rate;
    let roles: Flags<'_> = &[("num-prompts", "80"), ("prefill-replicas", "1"), ("decode-replicas", "2")];
    let own_args = ("decode-args", "--max-num-seqs 8");
    for flags in [roles.to_vec(), [roles, &[own_args]].concat(), vec![FOUR[0], FOUR[2], FOUR[4]]] {
        let mut session = Session::default();
        let mut tried = |asked_of: Option<Asked>, trying| match asked(
            &mut session,
            Request::Try { id: 4, setup: 9, asked: asked_of, trying },
        ) {
            Ok(Reply::Tried { tried, .. }) => tried,
            other => panic!("{other:?}"),
        };
        let scenario = Scenario::from_flags(flags.iter().map(|&(flag, value)| (flag, Some(value)))).expect("flags");
        let directly = AskedOfEngines {
            asked: sim_core::answers::capacity::Asked { scenario: &scenario, profile: &profile, dataset: None, kind },
            is_lockstep: false,
            roles: [(&profile, false); 2],
        };
        let saturated = directly.saturated(1, None).expect("a run");
        let of_all = Some(Asked { input: input(&flags), kind });
        assert_eq!(tried(of_all, Trying::SaturatedOfAll { seed: 1 }), Tried::Saturated(saturated), "{flags:?}");
        let trial = directly.run(30.0, 2, None).expect("a run");
        let found = tried(None, Trying::TrialOfAll { load: 30.0, seed: 2 });
        assert_eq!(found, Tried::Trial(Box::new(trial)), "{flags:?}");
    }
}

#[test]
fn ranks_of_a_dense_model_stand_alone_and_are_no_engine_of_a_question_about_one() {
    let ranks: Flags<'_> = &[("num-prompts", "200"), ("request-rate", "40"), ("data-parallel-size", "2")];
    let (alone, told) = fleet(ranks);
    let names: Vec<_> = told.engines.iter().map(|engine| engine.name.as_str()).collect();
    assert_eq!((told.kind, names.as_slice()), (FleetKind::Ranks, &["rank 0", "rank 1"][..]));
    assert!(told.engines.iter().all(|rank| !rank.series.running.is_empty()), "each is drawn over time");
    assert!(told.notes.iter().all(|note| !note.contains("lockstep")), "{:?}", told.notes);
    let together = Request::Run { id: 1, input: RunInput { is_of_lockstep: true, ..input(ranks) } };
    let Ok(Reply::Answer { answer, .. }) = asked(&mut Session::default(), together) else { panic!("no run") };
    assert!(answer.digest != alone.digest, "steps in common are others");
    let told = answer.fleet.expect("ranks");
    assert!(told.notes.iter().any(|note| note.contains("In lockstep")), "{:?}", told.notes);
    let kind = sim_core::answers::capacity::LoadKind::Rate;
    let tried = |is_of_lockstep, trying| {
        let asked_of = Asked { input: RunInput { is_of_lockstep, ..input(ranks) }, kind };
        asked(&mut Session::default(), Request::Try { id: 4, setup: 9, asked: Some(asked_of), trying })
    };
    let one = Trying::Trial { load: 5.0, seed: 0, num_prompts: None };
    assert!(tried(false, one).is_err_and(|why| why.contains("--data-parallel-size")), "one is as if alone");
    assert!(tried(true, one).is_ok(), "one of ranks with experts");
    assert!(tried(false, Trying::TrialOfAll { load: 5.0, seed: 0 }).is_ok(), "all");
}

#[test]
fn a_role_whose_profile_would_be_another_is_refused_by_name() {
    let flags = [("prefill-replicas", "1"), ("decode-replicas", "1"), ("decode-args", "--tensor-parallel-size 2")];
    let of_all = Asked { input: input(&flags), kind: sim_core::answers::capacity::LoadKind::Rate };
    let request =
        Request::Try { id: 4, setup: 9, asked: Some(of_all), trying: Trying::TrialOfAll { load: 1.0, seed: 0 } };
    assert!(asked(&mut Session::default(), request).is_err_and(|why| why.contains("--decode-args")), "another profile");
}

#[test]
fn what_happens_to_replicas_of_roles_is_told() {
    let roles = [FOUR[0], FOUR[1], FOUR[2], ("prefill-replicas", "2"), ("decode-replicas", "2")];
    let (answer, fleet) = fleet(&[&roles[..], &[("decode-replica-fails", "1@1..3")]].concat());
    for said in ["2 to 2 prefill replicas took requests", "1 to 2 decode replicas", "Requests lost their replica"] {
        assert!(fleet.notes.iter().any(|note| note.contains(said)), "{said}: {:?}", fleet.notes);
    }
    assert!(answer.num_finished < answer.num_requests, "what had begun has failed");
}

#[test]
fn what_happens_to_replicas_is_told() {
    let (answer, fleet) = fleet(&[FOUR[0], FOUR[1], FOUR[2], ("replicas", "2"), ("replica-fails", "1@1..3")]);
    assert!(fleet.notes.iter().any(|note| note.contains("1 to 2 replicas took requests")), "{:?}", fleet.notes);
    let failed = answer.num_requests - answer.num_finished;
    assert!(failed > 0 && answer.warnings.iter().any(|text| text.contains(&format!("{failed} requests failed"))));
}

#[test]
fn fleets_that_cannot_be_are_refused_by_the_flag() {
    let check = |flags: Flags<'_>, named: &[&str]| {
        let why = run(&mut Session::default(), flags).expect_err("refused");
        assert!(named.iter().all(|word| why.contains(word)), "{flags:?}: {why}");
    };
    check(&[("replicas", "1025")], &["--replicas", "1025", "1 to 1024"]);
    check(&[("prefill-replicas", "1")], &["--prefill-replicas", "--decode-replicas"]);
    check(&[("replicas", "2"), ("replica-fails", "2@1..2")], &["--replica-fails", "there is no replica 2"]);
    check(&[("replicas", "2"), ("router-args", "cache-threshold=0.2")], &["--router-args", "cache-aware"]);
    let range = Request::Range { id: 5, input: input(FOUR) };
    assert!(asked(&mut Session::default(), range).is_err_and(|why| why.contains("one engine")), "a range of several");
}
