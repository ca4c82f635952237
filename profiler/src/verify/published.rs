//! Configurations that others ran on vLLM, as `silicon_sample.csv` of aiconfigurator-core 0.12.0 (Apache-2.0) lists them:
//! mean TTFT and TPOT by model, GPUs, lengths and concurrency. Each is composed and simulated.
//!
//! What the list leaves out is in InferenceX's public scripts: `gpu-memory-utilization` 0.9, no prefix caching,
//! asynchronous scheduling, a client that keeps so many requests under way, ten times as many in all, with lengths drawn
//! from 0.8 L to L. Runs of others are taken to have lengths as they stand.
//!
//! Where attention is data parallel, the list counts the ranks twice (`tp_size` and `attention_dp_size`); InferenceX's
//! scripts then start `--tensor-parallel-size 1 --data-parallel-size N --enable-expert-parallel`, and `batch_size` is what
//! one engine has under way. That engine is simulated.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use rayon::prelude::*;
use sim_core::compose::{Setup, compose};
use sim_core::models::catalogue::Catalogue;
use sim_core::models::{Dtype, KvCacheDtype};
use sim_core::operators::Pack;
use sim_core::profile::StatedRange;
use sim_core::rng::Pcg64;
use sim_core::scenario::Scenario;
use sim_core::time::SimTime;

use crate::import::fit::runs::{Clock, Latency, Metric, Run, Told, workload};
use crate::import::packs;
use crate::import::version::Version;
use crate::simulate::library;

use super::published_flags::{self, Flags};
use super::published_report::{Outcome, Placed, Report};

/// Longest list that is read.
pub(crate) const MAX_BYTES: usize = 8 << 20;
/// Largest length or concurrency.
const MAX_COUNT: u32 = 1 << 14;
/// Shortest length, as a share of the longest, in InferenceX's runs.
const SHORTEST: f64 = 0.8;
const PROMPTS_PER_PLACE: u32 = 10;
/// One in so many rows is for calibration.
const PARTS: u64 = 10;

/// Which rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// One in ten, by a hash of its id: those that rules may be fitted to.
    Calibration,
    /// The others.
    HeldOut,
    /// All.
    All,
}

/// A configuration.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(super) id: String,
    pub(super) model: String,
    system: String,
    /// `fp8`, `fp4`, `int4`, or nothing for 16 bits.
    precision: String,
    version: Option<Version>,
    is_inferencex: bool,
    /// Measured for the list's own sake, by nobody's scripts: flags are the version's defaults.
    has_own_flags: bool,
    flags: Flags,
    pub(super) input: u32,
    pub(super) output: u32,
    /// Requests under way on one engine.
    pub(super) concurrency: u32,
    pub(crate) setup: Setup,
    measured: [f64; 2],
}

/// Reads the rows of vLLM without disaggregation that belong to `part`.
///
/// # Errors
/// If it is not such a list, with the line.
pub(crate) fn read(bytes: &[u8], part: Part) -> Result<Vec<Row>> {
    let text = std::str::from_utf8(bytes).context("not text")?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let mut rows = vec![];
    for (number, line) in (2..).zip(lines).filter(|(_, line)| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').collect();
        ensure!(fields.len() == header.len(), "line {number}: {} fields; must be {}", fields.len(), header.len());
        let fields = Fields { header: &header, fields: &fields };
        if fields.text("backend")? != "vllm" || fields.text("mode")? != "agg" {
            continue;
        }
        let is_calibration = fnv1a(fields.text("id")?).is_multiple_of(PARTS);
        let is_wanted = match part {
            Part::Calibration => is_calibration,
            Part::HeldOut => !is_calibration,
            Part::All => true,
        };
        if is_wanted {
            rows.push(row(&fields).with_context(|| format!("line {number}"))?);
        }
    }
    ensure!(!rows.is_empty(), "no configuration of vLLM");
    Ok(rows)
}

/// A line by column.
struct Fields<'a> {
    header: &'a [&'a str],
    fields: &'a [&'a str],
}

impl<'a> Fields<'a> {
    fn text(&self, name: &str) -> Result<&'a str> {
        let place = self.header.iter().position(|column| *column == name);
        place.and_then(|place| self.fields.get(place).copied()).with_context(|| format!("no column {name}"))
    }

    /// A whole number, written with a point or not; `None` for an empty field.
    fn count(&self, name: &str) -> Result<Option<u32>> {
        let value = self.text(name)?;
        if value.is_empty() {
            return Ok(None);
        }
        let count = value.parse::<f64>().ok().filter(|count| (0.0..=f64::from(MAX_COUNT)).contains(count));
        let count = count.with_context(|| format!("{name} is {value:?}; it must be from 0 to {MAX_COUNT}"))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
        Ok(Some(count as u32))
    }

    fn at_least_one(&self, name: &str) -> Result<u32> {
        let count = self.count(name)?.filter(|&count| count > 0);
        count.with_context(|| format!("{name} must be at least 1"))
    }

    fn time(&self, name: &str) -> Result<f64> {
        let value = self.text(name)?;
        let time = value.parse::<f64>().ok().filter(|time| *time > 0.0 && *time < 1e9);
        time.with_context(|| format!("{name} is {value:?}; it must be milliseconds above 0"))
    }
}

fn row(fields: &Fields<'_>) -> Result<Row> {
    let source = fields.text("silicon_data_source")?;
    let (tensor, data) = (fields.at_least_one("tp_size")?, fields.count("attention_dp_size")?.unwrap_or(0));
    let (slices, shares) = (fields.count("moe_tp_size")?.unwrap_or(0), fields.count("moe_ep_size")?.unwrap_or(0));
    let mut setup = Setup { tensor_parallel_size: tensor, enable_expert_parallel: shares > 1, ..Setup::default() };
    if data > 1 {
        (setup.tensor_parallel_size, setup.data_parallel_size, setup.enable_expert_parallel) = (1, tensor, true);
    } else if data == 0 && slices * shares > tensor {
        // Not told: what the experts' ranks exceed attention's.
        setup.data_parallel_size = slices * shares / tensor;
    }
    let (model, system) = (fields.text("model_path")?, fields.text("system")?);
    let precision = fields.text("precision")?;
    let is_inferencex = source.contains("measured=") && !source.contains("gtl_job_id")
        || source.contains("db-dump")
        || source.contains("gap-analysis");
    let input = fields.at_least_one("isl")?;
    let day = source.split("measured=").nth(1).and_then(|rest| rest.get(..10)).unwrap_or("2026-04-03");
    let name = if is_inferencex { model.rsplit('/').next().unwrap_or(model) } else { "" };
    let flags = published_flags::of(name, system, precision, day, input);
    if flags.shares_experts && setup.data_parallel_size == 1 {
        setup.enable_expert_parallel = true;
    }
    // A variable of InferenceX's scripts for gpt-oss on a B200.
    setup.has_fp8_activations = name == "gpt-oss-120b" && system.starts_with("b200");
    setup.kv_cache_dtype = match name {
        _ if flags.has_fp8_cache => KvCacheDtype::Fp8,
        // The checkpoint asks for 8 bits, but on Hopper the runs had 16: see compose/host.rs.
        "Llama-3.1-70B" => KvCacheDtype::Plain(Dtype::Bfloat16),
        _ => KvCacheDtype::Auto,
    };
    Ok(Row {
        id: fields.text("id")?.to_owned(),
        model: model.to_owned(),
        system: system.to_owned(),
        precision: precision.to_owned(),
        version: Version::parse(fields.text("backend_version")?),
        is_inferencex,
        has_own_flags: source.contains("auto-gap-analysis"),
        flags,
        input,
        output: fields.at_least_one("osl")?,
        concurrency: fields.at_least_one("batch_size")?,
        setup,
        measured: [fields.time("silicon_ttft_ms")?, fields.time("silicon_tpot_ms")?],
    })
}

/// The hash by Fowler, Noll and Vo in 64 bits.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Row {
    /// Model, GPU and number format, for the table.
    pub(super) fn cell(&self) -> (String, String, String) {
        let name = self.model.rsplit('/').next().unwrap_or(&self.model).to_owned();
        let precision = if self.precision.is_empty() { "bf16" } else { &self.precision };
        (name, packs::key_of(&self.system).unwrap_or(&self.system).to_owned(), precision.to_owned())
    }

    fn run(&self) -> Result<Run> {
        let mut engine = Scenario::default();
        engine.set("gpu-memory-utilization", Some(self.flags.gpu_memory_utilization))?;
        engine.set("max-num-batched-tokens", Some(&self.flags.max_num_batched_tokens.to_string()))?;
        engine.set("tensor-parallel-size", Some(&self.setup.tensor_parallel_size.to_string()))?;
        engine.set("no-enable-prefix-caching", None)?;
        engine.set("max-model-len", Some(&(self.input + self.output + 64).to_string()))?;
        let is_async = self.is_inferencex && !self.has_own_flags
            || Version::parse("0.14").is_some_and(|first| self.version.as_ref().is_none_or(|own| *own >= first));
        engine.set(if is_async { "async-scheduling" } else { "no-async-scheduling" }, None)?;
        let mut random = Pcg64::stream(0, "published");
        let mut length = |longest: u32| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a whole number")]
            let shortest = ((f64::from(longest) * SHORTEST) as u32).max(1);
            if self.is_inferencex { random.integers(shortest, longest) } else { longest }
        };
        let lengths: Vec<(u32, u32)> =
            (0..self.concurrency * PROMPTS_PER_PLACE).map(|_| (length(self.input), length(self.output))).collect();
        let send_times = vec![SimTime::ZERO; lengths.len()];
        Ok(Run {
            name: self.id.clone(),
            model: self.model.clone(),
            engine,
            vllm_version: self.version.clone(),
            num_gpu_blocks: None,
            workload: workload(&lengths, send_times, Some(self.concurrency))?,
            clock: Clock::Client,
            measured: vec![
                (Metric::mean(Latency::Ttft), self.measured[0]),
                (Metric::mean(Latency::Tpot), self.measured[1]),
            ],
            told: Told::default(),
        })
    }
}

/// The model's name and number format in the catalogue.
fn name_of(model: &str, precision: &str) -> String {
    match (model, precision) {
        ("MiniMaxAI/MiniMax-M2.5", "fp4") => "nvidia/MiniMax-M2.5-NVFP4".to_owned(),
        ("moonshotai/Kimi-K2.5", "fp4") => "nvidia/Kimi-K2.5-NVFP4".to_owned(),
        ("meta-llama/Llama-3.1-70B", "fp4") => "nvidia/Llama-3.1-70B-Instruct-NVFP4".to_owned(),
        ("meta-llama/Llama-3.1-70B", "fp8") => "nvidia/Llama-3.1-70B-Instruct-FP8".to_owned(),
        ("Qwen/Qwen3-32B", "fp8") => "Qwen/Qwen3-32B-FP8".to_owned(),
        _ => model.to_owned(),
    }
}

/// The packs of the rows' GPUs, read once.
fn packs_of(rows: &[Row]) -> Result<BTreeMap<String, Pack>> {
    let mut packs = BTreeMap::new();
    for row in rows {
        if let Some(key) = packs::key_of(&row.system).filter(|_| !packs.contains_key(&row.system)) {
            packs.insert(row.system.clone(), library::pack(key)?.pack);
        }
    }
    Ok(packs)
}

fn compare(row: &Row, packs: &BTreeMap<String, Pack>, catalogue: &Catalogue, range: bool) -> Result<Vec<Placed>> {
    let pack = packs.get(&row.system).with_context(|| format!("no pack of {}", row.system))?;
    let config = catalogue.find(&name_of(&row.model, &row.precision))?.config_json();
    let profile = compose(pack, &row.model, &config, &row.setup)?;
    let run = row.run()?;
    let mut placed: Vec<Placed> = run.compare(&profile)?.into_iter().map(Placed::new).collect();
    for factor in StatedRange::of(&profile).filter(|_| range).into_iter().flat_map(|stated| stated.factors()) {
        for (placed, end) in placed.iter_mut().zip(run.repeat(&profile, factor)?.compared) {
            placed.widen(end.simulated);
        }
    }
    Ok(placed)
}

/// Composes and simulates all rows, on all cores; with `range` at both ends of each profile's range, too.
///
/// # Errors
/// If what ships with the program cannot be read.
pub(crate) fn run(rows: &[Row], range: bool) -> Result<Report> {
    let (packs, catalogue) = (packs_of(rows)?, library::catalogue()?);
    let outcome = |row: &Row| Outcome { row: row.clone(), result: compare(row, &packs, &catalogue, range) };
    Ok(Report { outcomes: rows.par_iter().with_max_len(1).map(outcome).collect(), has_range: range })
}

#[cfg(test)]
mod tests {
    use super::{Part, read, run};

    /// Models of one source whose servers' flags nobody published.
    const UNKNOWN_FLAGS: [&str; 2] = ["nvidia/Llama-3.1-8B-Instruct-FP8", "Qwen/Qwen3-235B-A22B-FP8"];

    /// The errors that `sim_core::compose::host` states, on the rows that its rule was fitted to.
    #[test]
    fn the_tenth_that_the_rule_was_fitted_to_keeps_its_errors() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/calibration/published_tenth.csv");
        let rows = read(&std::fs::read(path).expect("the tenth"), Part::All).expect("rows");
        let check = |rows: &[super::Row], most: [f64; 2]| {
            let (num_answered, errors) = run(rows, false).expect("what ships can be read").summary();
            assert_eq!(num_answered, rows.len(), "all are answered");
            assert!(errors.iter().zip(most).all(|(error, most)| *error <= most), "TTFT, TPOT: {errors:?}, {most:?}");
        };
        check(&rows, [0.21, 0.15]);
        let known: Vec<_> = rows.into_iter().filter(|row| !UNKNOWN_FLAGS.contains(&row.model.as_str())).collect();
        check(&known, [0.20, 0.10]);
    }

    /// The range was read from the other nine tenths.
    #[test]
    fn the_range_of_composed_profiles_holds_eight_in_ten_of_the_tenth() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/calibration/published_tenth.csv");
        let rows = read(&std::fs::read(path).expect("the tenth"), Part::All).expect("rows");
        let [ttft, tpot] = run(&rows, true).expect("what ships can be read").coverage();
        assert!((0.7..0.9).contains(&tpot), "TPOT: {tpot}");
        assert!((0.3..0.6).contains(&ttft), "TTFT, of which the page says that it is less: {ttft}");
    }

    #[test]
    fn the_tenth_is_chosen_by_a_hash() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/calibration/published_tenth.csv");
        let bytes = std::fs::read(path).expect("the tenth");
        assert_eq!(read(&bytes, Part::Calibration).expect("rows").len(), 128);
        assert!(read(&bytes, Part::HeldOut).is_err());
    }
}
