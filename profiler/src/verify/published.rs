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
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use sim_core::compose::{Setup, compose};
use sim_core::models::KvCacheDtype;
use sim_core::operators::Pack;
use sim_core::profile::Profile;
use sim_core::rng::Pcg64;
use sim_core::scenario::Scenario;
use sim_core::time::SimTime;

use crate::import::fit::runs::{Clock, Compared, Latency, Metric, Run, workload};
use crate::import::packs;
use crate::import::version::Version;

use super::published_flags::{self, Flags};

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
    id: String,
    model: String,
    system: String,
    /// `fp8`, `fp4`, `int4`, or nothing for 16 bits.
    precision: String,
    version: Option<Version>,
    is_inferencex: bool,
    flags: Flags,
    input: u32,
    output: u32,
    /// Requests under way on one engine.
    concurrency: u32,
    pub(crate) setup: Setup,
    measured: [f64; 2],
}

/// A configuration and what came of it.
#[derive(Debug)]
struct Outcome {
    row: Row,
    result: Result<Vec<Compared>>,
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
        let is_calibration = fnv1a(fields.text("id")?) % PARTS == 0;
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
    let is_inferencex = source.contains("measured=") && !source.contains("gtl_job_id") || source.contains("db-dump") || source.contains("gap-analysis");
    let input = fields.at_least_one("isl")?;
    let day = source.split("measured=").nth(1).and_then(|rest| rest.get(..10)).unwrap_or("2026-04-03");
    let name = if is_inferencex { model.rsplit('/').next().unwrap_or(model) } else { "" };
    let flags = published_flags::of(name, system, precision, day, input);
    if flags.shares_experts && setup.data_parallel_size == 1 {
        setup.enable_expert_parallel = true;
    }
    // A variable of InferenceX's scripts for gpt-oss on a B200.
    setup.has_fp8_activations = name == "gpt-oss-120b" && system.starts_with("b200");
    if flags.has_fp8_cache {
        setup.kv_cache_dtype = KvCacheDtype::Fp8;
    }
    Ok(Row {
        id: fields.text("id")?.to_owned(),
        model: model.to_owned(),
        system: system.to_owned(),
        precision: precision.to_owned(),
        version: Version::parse(fields.text("backend_version")?),
        is_inferencex,
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
    fn cell(&self) -> (String, String, String) {
        let name = self.model.rsplit('/').next().unwrap_or(&self.model).to_owned();
        let precision = if self.precision.is_empty() { "bf16" } else { &self.precision };
        (name, packs::key_of(&self.system).unwrap_or(&self.system).to_owned(), precision.to_owned())
    }

    /// The model and its number format.
    pub(crate) fn model(&self) -> (&str, &str) {
        (&self.model, &self.precision)
    }

    fn run(&self) -> Result<Run> {
        let mut engine = Scenario::default();
        engine.set("gpu-memory-utilization", Some(self.flags.gpu_memory_utilization))?;
        if let Some(tokens) = self.flags.max_num_batched_tokens {
            engine.set("max-num-batched-tokens", Some(&tokens.to_string()))?;
        }
        engine.set("tensor-parallel-size", Some(&self.setup.tensor_parallel_size.to_string()))?;
        engine.set("no-enable-prefix-caching", None)?;
        engine.set("max-model-len", Some(&(self.input + self.output + 64).to_string()))?;
        let is_async = self.is_inferencex || Version::parse("0.14").is_some_and(|first| self.version.as_ref().is_none_or(|own| *own >= first));
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
        })
    }
}

/// What profiles are composed of: packs by the source's names of systems, and a model's `config.json` in a number format.
pub(crate) struct Composer<'a> {
    pub(crate) pack: &'a (dyn Fn(&str) -> Result<&'a Pack> + Sync),
    pub(crate) config: &'a (dyn Fn(&str, &str) -> Result<Vec<u8>> + Sync),
    /// Changes a composed profile before it is used: what is being calibrated.
    pub(crate) change: &'a (dyn Fn(&mut Profile) + Sync),
}

impl Composer<'_> {
    fn compare(&self, row: &Row) -> Result<Vec<Compared>> {
        let config = (self.config)(&row.model, &row.precision)?;
        let mut profile = compose((self.pack)(&row.system)?, &row.model, &config, &row.setup)?;
        (self.change)(&mut profile);
        row.run()?.compare(&profile)
    }

    /// Composes and simulates all rows, on all cores.
    pub(crate) fn run(&self, rows: &[Row]) -> Report {
        let next = AtomicUsize::new(0);
        let outcomes: Mutex<Vec<(usize, Outcome)>> = Mutex::new(vec![]);
        let num_threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..num_threads {
                scope.spawn(|| {
                    while let Some((place, row)) = {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        rows.get(place).map(|row| (place, row))
                    } {
                        let outcome = Outcome { row: row.clone(), result: self.compare(row) };
                        if let Ok(mut outcomes) = outcomes.lock() {
                            outcomes.push((place, outcome));
                        }
                    }
                });
            }
        });
        let mut outcomes = outcomes.into_inner().unwrap_or_default();
        outcomes.sort_by_key(|(place, _)| *place);
        Report { outcomes: outcomes.into_iter().map(|(_, outcome)| outcome).collect() }
    }
}

/// What came of all rows.
#[derive(Debug)]
pub(crate) struct Report {
    outcomes: Vec<Outcome>,
}

/// Errors of a cell.
#[derive(Debug, Default, Clone)]
struct Errors {
    num_rows: u32,
    /// TTFT, TPOT.
    of: [Vec<f64>; 2],
}

impl Errors {
    fn add(&mut self, outcome: &Outcome) {
        self.num_rows += 1;
        for compared in outcome.result.iter().flatten() {
            let place = usize::from(compared.metric.latency == Latency::Tpot);
            self.of[place].push(compared.error());
        }
    }

    fn line(&self) -> String {
        let mean = |values: &[f64]| 100.0 * values.iter().sum::<f64>() / values.len().max(1) as f64;
        let sizes = |values: &[f64]| values.iter().map(|value| value.abs()).collect::<Vec<f64>>();
        let [ttft, tpot] = &self.of;
        format!(
            "{:>5} {:>9} {:>9.1} {:>+8.1} {:>9.1} {:>+8.1}",
            self.num_rows,
            tpot.len(),
            mean(&sizes(ttft)),
            mean(ttft),
            mean(&sizes(tpot)),
            mean(tpot)
        )
    }
}

impl Report {
    /// Rows that were answered, and mean sizes of the errors of TTFT and TPOT, as shares.
    pub(crate) fn summary(&self) -> (usize, [f64; 2]) {
        let mut errors = Errors::default();
        self.outcomes.iter().for_each(|outcome| errors.add(outcome));
        let mean = |values: &[f64]| values.iter().map(|value| value.abs()).sum::<f64>() / values.len().max(1) as f64;
        (errors.of[1].len(), [mean(&errors.of[0]), mean(&errors.of[1])])
    }

    /// A table by model, GPU and number format.
    pub(crate) fn table(&self) -> Result<String> {
        let mut cells: BTreeMap<(String, String, String), Errors> = BTreeMap::new();
        let mut models: BTreeMap<String, Errors> = BTreeMap::new();
        let mut all = Errors::default();
        let mut refusals: BTreeMap<String, u32> = BTreeMap::new();
        for outcome in &self.outcomes {
            let cell = outcome.row.cell();
            models.entry(cell.0.clone()).or_default().add(outcome);
            cells.entry(cell).or_default().add(outcome);
            all.add(outcome);
            if let Err(error) = &outcome.result {
                *refusals.entry(format!("{}: {error:#}", outcome.row.model)).or_default() += 1;
            }
        }
        let mut text = String::new();
        writeln!(text, "{:<52} {:>5} {:>9} {:>18} {:>18}", "", "rows", "answered", "mean TTFT, error %", "mean TPOT, error %")?;
        writeln!(text, "{:<52} {:>5} {:>9} {:>9} {:>8} {:>9} {:>8}", "model, GPU, format", "", "", "size", "bias", "size", "bias")?;
        for ((model, gpu, format), errors) in &cells {
            writeln!(text, "{:<52} {}", format!("{model} {gpu} {format}"), errors.line())?;
        }
        writeln!(text)?;
        for (model, errors) in &models {
            writeln!(text, "{model:<52} {}", errors.line())?;
        }
        writeln!(text, "{:<52} {}", "all", all.line())?;
        for (refusal, count) in &refusals {
            writeln!(text, "not answered, {count} rows: {refusal}")?;
        }
        Ok(text)
    }

    /// A line for each row: for looking closer.
    pub(crate) fn rows(&self) -> Result<String> {
        let mut text = String::new();
        for outcome in &self.outcomes {
            let row = &outcome.row;
            let (model, gpu, format) = row.cell();
            write!(
                text,
                "{model},{gpu},{format},tp{} dp{} ep{},{},{},{}",
                row.setup.tensor_parallel_size,
                row.setup.data_parallel_size,
                u8::from(row.setup.enable_expert_parallel),
                row.input,
                row.output,
                row.concurrency
            )?;
            match &outcome.result {
                Ok(compared) => {
                    for one in compared {
                        let (measured, simulated) = (one.measured, one.simulated);
                        write!(text, ",{measured:.2},{simulated:.2},{:+.1}", 100.0 * one.error())?;
                    }
                    writeln!(text, ",{}", row.id)?;
                }
                Err(error) => writeln!(text, ",{error:#},{}", row.id)?,
            }
        }
        Ok(text)
    }
}
