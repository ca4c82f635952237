//! Packs of a device that is a formula.

use std::path::PathBuf;
use std::time::Duration;

use sim_core::compose::{Setup, compose};
use sim_core::operators::{Operator, Pack};
use tempfile::TempDir;

use super::mock::MockTimer;
use super::sites::sites;
use super::{Options, Timer as _, measure};
use crate::simulate::library::catalogue;

fn options(folder: &TempDir) -> Options {
    Options {
        time_budget: Duration::from_secs(600),
        load_time: Duration::from_secs(60),
        journal: folder.path().join("pack.journal.jsonl"),
        fresh: false,
        show_progress: false,
        gpu_key: Some("my-gpu".to_owned()),
        date: "2026-01-31".to_owned(),
    }
}

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

/// The decode of one request that a profile of the model has, or why there is none.
fn composed(pack: &Pack, model: &str, ranks: u32) -> Result<f64, String> {
    let list = catalogue().expect("the list that ships");
    let config = list.find(model).expect("a model of it").config_json();
    let setup = Setup { tensor_parallel_size: ranks, ..Setup::default() };
    let profile = compose(pack, model, &config, &setup).map_err(|error| error.to_string())?;
    profile.step_time.non_attention.time_us.first().copied().ok_or_else(|| "no time".to_owned())
}

#[test]
fn a_pack_of_noisy_times_is_valid_and_composes_what_its_operators_make_up() {
    let folder = folder();
    let pack = measure(&mut MockTimer::new(8, 0.05), &options(&folder)).expect("a pack");
    // Valid means non-falling, too.
    let again = Pack::from_json(pack.to_json().expect("a file").as_bytes()).expect("a valid pack");
    assert_eq!(again, pack);
    assert_eq!((pack.gpu.key.as_str(), pack.gpu.label.as_str()), ("my-gpu", "H100 SXM"));
    let count = |operator| pack.curves.iter().filter(|table| table.operator == operator).count();
    assert_eq!([Operator::Product, Operator::PromptAttention, Operator::NcclAllReduce].map(count), [2, 2, 1]);
    assert_eq!(pack.grids.len(), 2);
    // 8 billion weights of 16 bits: 4.8 ms at 3.35 TB/s, 6.8 at the share that the formula reaches, and launches.
    let one = composed(&pack, "meta-llama/Llama-3.1-8B", 1).expect("a profile");
    assert!((5_500.0..9_000.0).contains(&one), "{one}");
    let four = composed(&pack, "meta-llama/Llama-3.1-8B", 4).expect("a profile");
    assert!(four < one / 2.0, "{four}");
    let refused = composed(&pack, "MiniMaxAI/MiniMax-M2.5", 4).expect_err("no experts");
    assert!(refused.contains("experts"), "{refused}");
}

#[test]
fn the_notes_say_whose_operators_these_are_and_which_are_missing() {
    let folder = folder();
    let pack = measure(&mut MockTimer::new(1, 0.0), &options(&folder)).expect("a pack");
    let notes = pack.provenance.notes.join("\n");
    for part in ["none of vLLM's", "experts, latent attention", "NVIDIA H100 80GB HBM3", "1980 MHz", "CUDA driver mock"]
    {
        assert!(notes.contains(part), "{notes}\nwithout {part:?}");
    }
    assert!(pack.curves.iter().all(|table| table.operator != Operator::NcclAllReduce), "a GPU alone");
    assert!(composed(&pack, "meta-llama/Llama-3.1-8B", 2).is_err_and(|error| error.contains("all-reduces")), "summed");
}

#[test]
fn a_measurement_goes_on_where_it_ended() {
    let folder = folder();
    let all = sites(true, 2).len();
    let mut lost = MockTimer { fails_after: Some(20), ..MockTimer::new(2, 0.05) };
    let error = measure(&mut lost, &options(&folder)).expect_err("a device that is lost");
    assert!(format!("{error:#}").contains("fell off the bus"), "{error:#}");
    let mut whole = MockTimer::new(2, 0.05);
    let pack = measure(&mut whole, &options(&folder)).expect("a pack");
    assert_eq!(whole.num_timed as usize, all - 20);
    let mut idle = MockTimer::new(2, 0.05);
    let again = measure(&mut idle, &options(&folder)).expect("a pack");
    assert_eq!((idle.num_timed, &again.curves), (0, &pack.curves));
    let mut other = MockTimer::new(2, 0.0);
    "another GPU".clone_into(&mut other.properties.name);
    let error = measure(&mut other, &options(&folder)).expect_err("a journal of another device").to_string();
    assert!(error.contains("another measurement"), "{error}");
}

#[test]
fn a_budget_that_is_spent_leaves_the_rest_and_says_so() {
    let folder = folder();
    let spent = Options { time_budget: Duration::ZERO, ..options(&folder) };
    let error = measure(&mut MockTimer::new(1, 0.0), &spent).expect_err("nothing was timed").to_string();
    assert!(error.contains("--time-budget"), "{error}");
    // What the journal holds is a pack, even if no time is left.
    let mut timer = MockTimer { fails_after: Some(30), ..MockTimer::new(1, 0.0) };
    drop(measure(&mut timer, &options(&folder)));
    let pack = measure(&mut MockTimer::new(1, 0.0), &spent).expect("a pack of what there is");
    assert!(pack.provenance.notes.iter().any(|note| note.contains("time budget ended")), "{:?}", pack.provenance.notes);
}

#[test]
fn a_gpu_that_nobody_knows_has_the_rates_that_were_measured() {
    let folder = folder();
    let mut timer = MockTimer::new(2, 0.0);
    "NVIDIA Something 9 (rev. B)".clone_into(&mut timer.properties.name);
    assert_eq!(timer.num_devices(), 2);
    let options = Options { gpu_key: None, journal: PathBuf::from(folder.path()).join("j"), ..options(&folder) };
    let pack = measure(&mut timer, &options).expect("a pack");
    assert_eq!(pack.gpu.key, "something-9-rev-b");
    // 70 % of the formula's peak.
    assert!((0.6e15..0.7e15).contains(&pack.gpu.bf16_flops), "{}", pack.gpu.bf16_flops);
    assert!(pack.provenance.notes.iter().any(|note| note.contains("not the maker's peaks")));
}

/// What a pass of 4096 tokens of the model takes beside attention.
fn long_pass(pack: &Pack) -> f64 {
    let config = catalogue().expect("a list").find("meta-llama/Llama-3.1-8B").expect("a model").config_json();
    let profile = compose(pack, "llama", &config, &Setup::default()).expect("a profile");
    let table = profile.step_time.non_attention;
    let place = table.num_tokens.iter().position(|&tokens| tokens == 4096).expect("a point");
    table.time_us[place]
}

#[test]
fn a_device_whose_clock_falls_gives_a_pack_that_composes_what_it_keeps_up() {
    let folder = folder();
    let pack = measure(&mut MockTimer::new(1, 0.0), &options(&folder)).expect("a pack");
    let formats: Vec<&str> = pack.sustained.iter().map(|load| load.format.as_str()).collect();
    assert_eq!(formats, ["bfloat16", "fp8"]);
    let moments: Vec<f64> = pack.sustained[0].readings.iter().map(|reading| reading.after_s).collect();
    assert_eq!(moments, [0.0, 1.0, 30.0, 60.0]);
    let notes = pack.provenance.notes.join("\n");
    assert!(notes.contains("80 % of the first burst's, clock 1980 to 1470 MHz, 695 W at the end"), "{notes}");
    // The mock's products reach 70 % of the peak, and keep up four fifths of that; nothing else of a pass changes.
    let steady = measure(&mut MockTimer { kept_up: [1.0; 2], ..MockTimer::new(1, 0.0) }, &options(&folder));
    let (fallen, steady) = (long_pass(&pack), long_pass(&steady.expect("a pack")));
    assert!((1.18..1.25).contains(&(fallen / steady)), "{fallen} us after {steady} us");
}

#[test]
fn a_load_is_left_out_if_no_time_is_given_and_its_failure_loses_no_pack() {
    let folder = folder();
    let without = Options { load_time: Duration::ZERO, ..options(&folder) };
    let pack = measure(&mut MockTimer::new(1, 0.0), &without).expect("a pack");
    assert_eq!(pack.sustained, []);
    let mut lost = MockTimer { fails_after: Some(0), ..MockTimer::new(1, 0.0) };
    let pack = measure(&mut lost, &options(&folder)).expect("a pack of the journal");
    assert!(pack.sustained.is_empty());
    let told = pack.provenance.notes.iter().any(|note| note.contains("not known: the device fell off the bus"));
    assert!(told, "{:?}", pack.provenance.notes);
}
